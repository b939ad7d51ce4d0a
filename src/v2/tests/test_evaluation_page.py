"""The page of results on real prices: its trials, and its tables from what runs leave."""

from __future__ import annotations

import datetime as dt
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.v2.evaluation.trial_log import Tried, count_trials
from src.v2.tests.workplace import Workplace

page: Any = import_module("benchmarks.evaluation_page")


def test_configurations_tried_before_the_page_are_counted_once(tmp_path: Path) -> None:
    first, last = dt.date(2020, 1, 2), dt.date(2022, 12, 30)
    prices = tmp_path / "prices.parquet"
    pl.DataFrame({"date": [first, last], "ticker": ["A", "B"]}).write_parquet(prices)
    for _ in range(2):
        page._remember_earlier_trials(tmp_path, prices)
    mine = Tried(["A", "B"], first, last, last, "bars", "mine")
    assert count_trials(tmp_path / "ledger", mine) == page.EARLIER_TRIALS + 1


def test_the_tables_are_those_of_the_runs(
    noise_workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "page.md"
    written.write_text(f"before\n{page.START}\nthe last page\n{page.END}\nafter\n")
    monkeypatch.setattr(page, "PAGE", written)
    (tmp_path / "noise").mkdir()
    runs: dict[str, dict[str, Any]] = {}
    for path in (noise_workplace.folder / "logs" / "training").glob("*.json"):
        run = json.loads(path.read_text())
        if run.get("metrics", {}).get("cv_rank_ic_mean") is not None:
            runs[run["mode"]] = run
    assert runs.keys() == set(page.MODES)
    for mode in page.MODES:
        for days in page.HORIZONS:
            (tmp_path / "noise" / f"{mode}_{days}.json").write_text(json.dumps(runs[mode]))
    page._write_page(tmp_path, ["noise"])
    text = written.read_text()
    assert text.startswith(f"before\n{page.START}\n") and text.endswith(f"{page.END}\nafter\n")
    assert "the last page" not in text and "### noise" in text
    for mode in page.MODES:
        mean = runs[mode]["evaluation"]["ranking"]["rank_ic"]["mean"]
        lines = [line for line in text.splitlines() if line.startswith(f"| {mode} ")]
        assert sum(f"| {mean:+.4f} (" in line for line in lines) == len(page.HORIZONS)
