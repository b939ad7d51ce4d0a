"""A run's folder on disk is its own, and is gone when the run is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from src.v2 import run_folders
from src.v2.errors import ConfigError, OmninmoError
from src.v2.scale import external
from src.v2.tests.synthetic import random_walk_bars
from src.v2.tests.workplace import SMALL, Workplace

ROOT = Path(__file__).parents[3]

HOLDING = """
import sys, time
from pathlib import Path
from src.v2.run_folders import scratch_folder

with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "piece").write_text("half")
    print(folder, flush=True)
    time.sleep(60)
"""


def _runs(parent: Path) -> list[Path]:
    return sorted(parent.glob("run-*"))


def _hold(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    command = [sys.executable, "-c", HOLDING, str(parent)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_is_new_and_goes_with_its_run(tmp_path: Path) -> None:
    with run_folders.scratch_folder(tmp_path / "scratch") as folder:
        (folder / "blocks").mkdir()
        (folder / "blocks" / "one").write_text("1")
        assert _runs(tmp_path / "scratch") == [folder]
    assert not _runs(tmp_path / "scratch")


def test_an_error_removes_the_folder_and_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="as planned"), run_folders.scratch_folder(tmp_path):
        raise RuntimeError("as planned")
    assert not _runs(tmp_path)


def test_two_runs_at_once_do_not_meet(tmp_path: Path) -> None:
    with run_folders.scratch_folder(tmp_path) as one, run_folders.scratch_folder(tmp_path) as two:
        assert one != two
        assert _runs(tmp_path) == sorted([one, two])


def test_the_folder_of_a_killed_run_is_removed_by_the_next_and_that_of_a_live_one_stays(
    tmp_path: Path,
) -> None:
    killed, left = _hold(tmp_path)
    living, kept = _hold(tmp_path)
    try:
        killed.kill()
        killed.communicate()
        assert left.is_dir()
        with run_folders.scratch_folder(tmp_path):
            assert not left.exists()
            assert (kept / "piece").read_text() == "half"
    finally:
        living.kill()
        living.communicate()


def test_a_folder_that_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "run-of-mine").mkdir()
    with run_folders.scratch_folder(tmp_path):
        pass
    assert _runs(tmp_path) == [tmp_path / "run-of-mine"]


def test_what_killed_runs_left_among_temporary_files_goes_and_what_others_put_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, elsewhere = tmp_path / "ours-left", tmp_path / "elsewhere"
    for folder in (left, elsewhere):
        folder.mkdir()
        (folder / run_folders.LOCK_NAME).write_text("")
    (tmp_path / "ours-link").symlink_to(elsewhere)
    with (
        run_folders.temporary_folder("ours-") as own,
        run_folders.temporary_folder("ours-") as other,
    ):
        assert own.is_dir() and other.is_dir() and not left.exists()
        assert (elsewhere / run_folders.LOCK_NAME).is_file()
    assert sorted(tmp_path.iterdir()) == [elsewhere, tmp_path / "ours-link"]


def test_many_runs_that_start_and_end_at_once_never_lose_a_folder(tmp_path: Path) -> None:
    def live(_: int) -> bool:
        with run_folders.scratch_folder(tmp_path) as folder:
            (folder / "piece").write_text("whole")
            return (folder / "piece").read_text() == "whole"

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(live, range(200)))
    assert not _runs(tmp_path)


def test_a_folder_that_cannot_be_made_is_a_setting_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigError, match=r"paths\.scratch-dir"),
        run_folders.scratch_folder(tmp_path / "file" / "scratch"),
    ):
        pass


def test_a_disk_too_small_is_told_with_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folders, "free_bytes", lambda folder: 2_000_000_000)
    run_folders.check_space(tmp_path, 2_000_000_000, "The panel")
    with pytest.raises(ConfigError, match=r"The panel needs 41\.2 GB .* has 2\.0 GB free"):
        run_folders.check_space(tmp_path, 41_200_000_000, "The panel")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(5, "broken")])
def test_a_disk_that_fills_up_is_named(tmp_path: Path, error: OSError) -> None:
    full = error.errno == 28
    with (
        pytest.raises(OmninmoError if full else OSError, match="is full" if full else "broken"),
        external._full_disk_told(tmp_path),
    ):
        raise error


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_build_that_is_ended_leaves_nothing_on_disk(
    tmp_path: Path, number: signal.Signals
) -> None:
    place = Workplace(tmp_path)
    bars = place.bars("noise", random_walk_bars(60, 1500, 3, ohlcv=True))
    words = ["--scale.mode", "external", "--scale.rows-at-once", "10000"]
    words += ["--paths.scratch-dir", str(tmp_path / "scratch"), "--mlflow.enabled", "false"]
    command = [sys.executable, "-m", "src.v2.train", *place.flags(bars), *SMALL, *words]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
    )
    end = time.monotonic() + 120
    while not list(tmp_path.glob("scratch/run-*/pieces/*/*.parquet")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "executive summary" not in output
    assert not _runs(tmp_path / "scratch")
