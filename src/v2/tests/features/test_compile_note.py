"""The note on kernels that are compiled is shown when they are, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.v2.console import Stages
from src.v2.features.compile_note import ALWAYS, ONCE, _Teller

RANK_TWICE = """
import numpy as np
from src.v2.console import Stages
from src.v2.features.compile_note import compiling_told

stages = Stages()
with compiling_told(stages.note), stages.stage("features"):
    from src.v2.features.recursions import lags
    for _ in range(2):
        lags(np.zeros(4), np.array([0, 4]), 1, np.empty((1, 4)))
"""


def test_the_first_run_says_that_it_compiles_and_the_second_nothing(tmp_path: Path) -> None:
    said = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", RANK_TWICE],
            cwd=Path(__file__).parents[4],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stderr)
    assert said == [f"note: {ONCE}\n", ""]


@pytest.mark.parametrize(("place", "words"), [("somewhere", ONCE), (None, ALWAYS)])
def test_a_later_run_is_promised_only_where_kernels_are_kept(place: str | None, words: str) -> None:
    said: list[str] = []
    teller = _Teller(said.append)
    kernel = SimpleNamespace(stats=SimpleNamespace(cache_path=place))
    for _ in range(3):
        teller.on_start(SimpleNamespace(data={"dispatcher": kernel}))
        teller.on_end(None)
    assert said == [words]


def test_a_note_stands_above_the_running_stage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    stages = Stages(live=True)
    with stages.stage("features"):
        stages.note("one moment")
    wipe = "\r\x1b[K"
    assert capsys.readouterr().err == (
        f"{wipe}features …{wipe}note: one moment\n{wipe}features …{wipe}"
    )
