"""How commands end, and what they show."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from src.v2.console import Stages, log_to, progress_bar, run_command, signals_deferred
from src.v2.errors import ConfigError, Interrupted, OmninmoError, SourceUnavailable

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("data.path is missing.\nName one."), 2, "data.path is missing. Name one."),
        (SourceUnavailable("Yahoo is out of reach."), 1, "Yahoo is out of reach."),
        (ValueError("odd"), 1, "unexpected ValueError: odd"),
        (KeyError("k"), 1, "unexpected KeyError: 'k'"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: Exception, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(argv: Sequence[str]) -> int:
        raise error

    assert run_command(command, []) == code
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"error: {line}\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_gives_its_code_even_when_a_library_swallows_it(number: int, code: int) -> None:
    def swallowing(argv: Sequence[str]) -> int:
        try:
            os.kill(os.getpid(), number)
        except Interrupted as error:
            raise RuntimeError("the library failed") from error
        return 0

    before = signal.getsignal(number)
    assert run_command(swallowing, []) == code
    assert signal.getsignal(number) is before


def test_a_deferred_signal_comes_after_the_block() -> None:
    seen: list[str] = []

    def command(argv: Sequence[str]) -> int:
        with signals_deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            seen.append("the block went on")
        seen.append("never")
        return 0

    assert run_command(command, []) == 143
    assert seen == ["the block went on"]


def test_a_reader_that_goes_away_leaves_no_complaint() -> None:
    code = (
        "import sys\nfrom src.v2.console import run_command\n"
        "def command(argv):\n"
        "    for number in range(100000):\n        sys.stdout.write(f'{number}\\n')\n    return 0\n"
        "sys.exit(run_command(command))\n"
    )
    ended = subprocess.run(
        f'"{sys.executable}" -c "$CODE" | head -1',
        shell=True,
        cwd=ROOT,
        env=os.environ | {"CODE": code},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("0\n", "")


def test_an_unexpected_error_names_the_log_that_holds_its_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(argv: Sequence[str]) -> int:
        with log_to(tmp_path / "logs"):
            raise ValueError("odd")

    assert run_command(command, []) == 1
    assert f"the traceback is in {tmp_path / 'logs' / 'train.log'}" in capsys.readouterr().err
    assert "ValueError: odd" in (tmp_path / "logs" / "train.log").read_text()


def test_no_secret_of_an_address_is_shown_or_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(argv: Sequence[str]) -> int:
        with log_to(tmp_path):
            raise ValueError("http://ann:s3cret@host/a?token=s3cret is out of reach")

    assert run_command(command, []) == 1
    assert "s3cret" not in capsys.readouterr().err
    assert "s3cret" not in (tmp_path / "train.log").read_text()


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress_bar(range(3), "counting", 3)) == [0, 1, 2]
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_a_stage_used_twice_adds_up() -> None:
    stages = Stages()
    for _ in range(2):
        with stages.stage("features"):
            pass
    assert list(stages.seconds) == ["features"]


def test_waiting_threads_sleep_in_notebooks_unless_the_user_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.v2 import api

    for own, expected in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        for call in (lambda: api.load(tmp_path), lambda: api.train(pl.DataFrame())):
            monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
            if own is not None:
                monkeypatch.setenv("OMP_WAIT_POLICY", own)
            with pytest.raises(OmninmoError):
                call()
            assert os.environ["OMP_WAIT_POLICY"] == expected


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("code", [0, 2])
def test_a_log_on_a_full_disk_is_said_once_and_changes_no_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    (tmp_path / "train.log").symlink_to("/dev/full")

    def command(argv: Sequence[str]) -> int:
        with log_to(tmp_path):
            for _ in range(3):
                logging.getLogger("src.v2").info("a line")
            if code:
                raise ConfigError("The setting is wrong.")
        return 0

    assert run_command(command, []) == code
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("note: the log ") and "No space left on device" in said[0]
    assert said[1:] == (["error: The setting is wrong."] if code else [])
