"""The lock, the Makefile and the set-up."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
LOCKS = (ROOT / "requirements.lock", ROOT / "scripts" / "tools.lock")

Make = Callable[..., "subprocess.CompletedProcess[str]"]


def pins(lock: Path) -> dict[str, str]:
    """Versions by name; every requirement must carry a hash."""
    text = re.sub(r"\\\n", "", lock.read_text())
    found = {}
    for line in text.splitlines():
        if line and not line.lstrip().startswith("#"):
            match = re.fullmatch(r"([a-z0-9-]+)==(\S+)( ; [^-]+?)?(\s+--hash=sha256:\w{64})+", line)
            assert match, line[:100]
            found[match[1]] = match[2]
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what set-up needs, in a path with spaces, its environment a stand-in."""
    copy = tmp_path / "a folder with spaces"
    shutil.copytree(ROOT / "scripts", copy / "scripts")
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, copy)
    for name in (
        "models",
        "reports",
        "logs",
        "ledger",
        "bars",
        "predictions",
        "mlruns",
        "src/__pycache__",
        ".mypy_cache",
    ):
        (copy / name).mkdir(parents=True)
        (copy / name / "kept").touch()
        (copy / name / ".gitkeep").touch()
    (copy / "mlruns.db").touch()
    python = copy / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "ran $*"\n')
    python.chmod(0o755)
    shutil.copy(ROOT / "requirements.lock", copy / ".venv")
    (copy / "scripts" / "set_up.sh").write_text("echo set-up was called\n")
    return copy


@pytest.fixture
def make(tree: Path) -> Make:
    """Call make in the copy, without a terminal."""

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *words],
            cwd=tree,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return call


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_has_hashes_and_no_address(lock: Path) -> None:
    assert pins(lock)
    text = lock.read_text()
    for word in ("://", "--index", "--extra-index", "--find-links", "-f ", "@ "):
        assert word not in text


def test_the_lock_meets_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = pins(LOCKS[0])
    for text in project["dependencies"] + project["optional-dependencies"]["dev"]:
        wanted = Requirement(text)
        assert wanted.specifier.contains(locked[wanted.name]), text


def test_help_lists_every_target(make: Make) -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^\.PHONY: (\S+)$", text, re.MULTILINE)
    assert targets == re.findall(r"^([a-z-]+):(?!=)", text, re.MULTILINE)
    shown = make().stdout
    assert re.findall(r"^  make (\S+) +\S", shown, re.MULTILINE) == targets


def test_a_ready_environment_is_not_set_up_again(make: Make) -> None:
    done = make("train-sample", "ARGS=--seed 1")
    assert done.returncode == 0
    assert "set-up was called" not in done.stdout
    assert "ran -m src.v2.train --force-sample --seed 1" in done.stdout


def test_predict_ticker_asks_for_one_row(make: Make) -> None:
    done = make("predict-ticker", "TICKER=BRK-B", "ARGS=--format csv")
    assert "ran -m src.v2.predict --tickers BRK-B --format csv" in done.stdout
    quoted = make("predict-ticker", "TICKER=it's; echo more")
    assert "ran -m src.v2.predict --tickers it's; echo more" in quoted.stdout
    refused = make("predict-ticker")
    assert refused.returncode == 2
    assert "make predict-ticker TICKER=AAPL" in refused.stderr


@pytest.mark.parametrize("change", ["lock", "interrupted", "no python"])
def test_set_up_is_called_when_needed(make: Make, tree: Path, change: str) -> None:
    if change == "lock":
        with (tree / "requirements.lock").open("a") as lock:
            lock.write("# changed\n")
    elif change == "interrupted":
        (tree / ".venv" / "requirements.lock").unlink()
    else:
        (tree / ".venv" / "bin" / "python").unlink()
    assert "set-up was called" in make("train-sample").stdout


def test_clean_leaves_results_alone(make: Make, tree: Path) -> None:
    assert make("clean").returncode == 0
    assert not (tree / ".mypy_cache").exists()
    assert not (tree / "src" / "__pycache__").exists()
    for name in ("models", "reports", "logs", "ledger", "bars", "predictions", "mlruns"):
        assert (tree / name / "kept").exists()
    assert (tree / "mlruns.db").exists()
    assert (tree / ".venv").exists()


def test_clean_all_needs_a_yes(make: Make, tree: Path) -> None:
    refused = make("clean-all")
    assert refused.returncode != 0
    assert "Nothing was removed" in refused.stdout
    assert (tree / "models" / "kept").exists()
    assert (tree / "mlruns.db").exists()

    assert make("clean-all", "CONFIRM=no").returncode != 0
    assert (tree / "models" / "kept").exists()

    assert make("clean-all", "CONFIRM=yes").returncode == 0
    for name in ("models", "reports", "logs", "ledger", "bars", "predictions"):
        assert [path.name for path in (tree / name).iterdir()] == [".gitkeep"]
    for name in ("mlruns", "mlruns.db", ".venv"):
        assert not (tree / name).exists()


def test_no_usable_python_is_said_in_one_line(tree: Path) -> None:
    shutil.copy(ROOT / "scripts" / "set_up.sh", tree / "scripts")
    script = tree / "scripts" / "set_up.sh"
    script.write_text(re.sub(r"/usr/(local/)?bin/", "/none/", script.read_text()))
    (tree / "bin").mkdir()
    for name in ("sh", "dirname"):
        (tree / "bin" / name).symlink_to(shutil.which(name) or name)
    done = subprocess.run(
        ["sh", str(script)],
        env={"PATH": str(tree / "bin"), "HOME": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "Install one" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_fresh_copy_sets_itself_up(make: Make, tree: Path) -> None:
    shutil.rmtree(tree / ".venv")
    shutil.copytree(ROOT / "scripts", tree / "scripts", dirs_exist_ok=True)
    first = make("setup")
    assert first.returncode == 0, first.stderr
    again = make("setup")
    assert again.stderr == ""
    code = "import mlflow, polars, shap, xgboost"
    subprocess.run([tree / ".venv" / "bin" / "python", "-c", code], check=True)
