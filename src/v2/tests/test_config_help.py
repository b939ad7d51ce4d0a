"""What --help says: plain words, every setting, and defaults that are the defaults."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest

from src.v2.config import Config, setting_paths
from src.v2.config_help import default_words, fields_by_flag
from src.v2.config_sources import load_config
from src.v2.tests.test_architecture import DOORS

PYTHON = re.compile(
    r"Union|Optional|Literal|tuple|dict\[|\bNone\b|\bTrue\b|\bFalse\b|\bstr\b|default: \(\)"
)


def _help(door: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as ended:
        import_module(f"src.v2.{door}").main(["--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out.partition("options:")[2]


@pytest.mark.parametrize("door", DOORS)
def test_help_shows_words_and_no_python_types(
    door: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = _help(door, capsys, monkeypatch)
    assert not PYTHON.findall(options)
    assert "--data.max-dropped-share number" in options
    assert "--validation.train-stride int or null" in options
    assert "{sample,files,yahoo}" in options


def test_every_setting_has_its_default_beside_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(_help("train", capsys, monkeypatch).split())
    places = fields_by_flag(Config)
    assert len(places) == len(setting_paths(Config))
    for flag, field in places.items():
        told = text[text.index(f"{flag} ") :]
        shown = told[told.index("(default: ") :]
        assert shown.startswith(f"(default: {default_words(field.default)})"), flag
    assert "--forward-days, --label.forward-days int " in text
    assert "AAPL, ABBV, ABT" in text
    assert "… 50 in all" in text
    assert "XOM" not in text


def test_every_setting_says_what_it_is() -> None:
    assert not [flag for flag, field in fields_by_flag(Config).items() if not field.description]


def test_what_is_shown_as_default_is_taken_as_the_default() -> None:
    words: list[str] = []
    for flag, field in fields_by_flag(Config).items():
        value: Any = field.default
        if value not in ((), {}, "") and "in all" not in default_words(value):
            words.append(f"{flag}={default_words(value)}")
    assert len(words) > 130
    assert load_config(words, environ={}, files=False) == load_config(environ={}, files=False)
