"""Commands and snippets of the pages for readers: each is one that this project takes."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from src.v2.config_sources import load_config
from src.v2.errors import ConfigError
from src.v2.features.families import load_own_features
from src.v2.tests.markdown_pages import DOCS, GUIDES, PAGES, README, ROOT, blocks, commands
from src.v2.tests.synthetic import random_walk_bars

TOLD = tuple(page for page in PAGES if page != GUIDES and page.parent.name != "decisions")
SHELL = re.compile(r"[<>|&].*")
WRONG = (ConfigError, KeyError, AssertionError, ImportError)


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


class ReadError(Exception):
    """The command line was read; raised in place of the command's work."""


def read(name: str, words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a command line as the command does, without running it."""
    module = importlib.import_module(f"src.v2.{name}")

    def stop(*_: object) -> NoReturn:
        raise ReadError

    def load_and_stop(*given: Any, **named: Any) -> NoReturn:
        load_config(*given, **named)
        raise ReadError

    # Each command opens its log when it has read all its words; `runs` has none.
    logs = hasattr(module, "log_to")
    monkeypatch.setattr(module, *(("log_to", stop) if logs else ("load_config", load_and_stop)))
    with pytest.raises(ReadError):
        module._command([name for word in words for name in _as_the_shell_gives(word)])


def _as_the_shell_gives(word: str) -> list[str]:
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


def recipes() -> dict[str, str]:
    """The recipe of each target of the Makefile."""
    text = (ROOT / "Makefile").read_text()
    return dict(re.findall(r"^([a-z-]+):[^\n]*\n((?:\t[^\n]*\n?)+)", text, re.MULTILINE))


def try_out(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail on a command that this project does not take."""
    if words[0] != "make":
        return read(words[2].removeprefix("src.v2."), words[3:], monkeypatch)
    recipe = recipes()[words[1]]
    given = dict(word.split("=", 1) for word in words[2:])
    assert [name for name in given if f"$({name})" not in recipe] == []
    module = re.search(r"-m src\.v2\.(\w+)(.*)", recipe)
    if module is not None:
        more = shlex.split(given.get("ARGS", "").replace("...", ""))
        files = ["experiments/*.yaml"] if "$(EXPERIMENTS)" in recipe else []
        own = ["--force-sample"] if "--force-sample" in module[2] else []
        read(module[1], [*([] if "--sweep" in more else files), *own, *more], monkeypatch)
    return None


def told() -> list[tuple[str, ...]]:
    """Every command that a page tells, once; what the shell takes away is cut off."""
    found = []
    for page in TOLD:
        for words in commands(page.read_text()):
            end = next((at for at, word in enumerate(words) if SHELL.fullmatch(word)), len(words))
            found.append(tuple(words if words[0] == "make" else words[:end]))
    asked = ("…", "--help", "ARGS=--help")
    return [words for words in dict.fromkeys(found) if not set(asked) & set(words)]


def test_every_command_of_the_pages_is_one_that_this_project_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = told()
    assert len(found) > 60
    assert {"train", "predict", "compare"} <= {words[1] for words in found if words[0] == "make"}
    for words in found:
        try:
            try_out(words, monkeypatch)
        except WRONG as error:
            pytest.fail(f"{' '.join(words)}: {error!r}")


@pytest.mark.parametrize(
    "line",
    [
        "make trian",
        "make train PORT=5001",
        'make train ARGS="--forward-day 5"',
        "python -m src.v2.trian",
        "python -m src.v2.train --label.forward-day 5",
        "python -m src.v2.compare --sweep model.depth=3,6",
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (words,) = commands(f"Call\n\n    {line}\n")
    with pytest.raises(WRONG):
        try_out(words, monkeypatch)


def test_the_two_commands_of_the_front_page_come_first() -> None:
    first = blocks(README.read_text(), "bash")[0]
    assert [line.partition("#")[0].strip() for line in first.splitlines()] == [
        "make train-sample",
        "make report ARGS=--open",
    ]


def test_the_own_feature_of_the_page_is_taken(tmp_path: Path) -> None:
    own, _ = blocks((DOCS / "data.md").read_text(), "python")
    path = tmp_path / "mine.py"
    path.write_text(own)
    (feature,) = load_own_features([path])
    assert (feature.name, feature.family) == ("my_return_3", "mine")


@pytest.mark.slow
def test_the_notebook_of_the_page_trains_and_ranks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, notebook = blocks((DOCS / "data.md").read_text(), "python")
    random_walk_bars(20, 1_060).write_parquet(tmp_path / "YOUR_PRICES.parquet")
    monkeypatch.chdir(tmp_path)
    lines = notebook.strip().splitlines()
    names: dict[str, object] = {}
    exec("\n".join(lines[:-1]), names)
    assert len(eval(lines[-1], names)) == 20
