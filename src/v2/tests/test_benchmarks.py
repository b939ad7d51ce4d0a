"""The command that runs the benchmarks, and the page that it writes."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

run: Any = import_module("benchmarks.run")
results: Any = import_module("benchmarks.results")
measure: Any = import_module("benchmarks.measure")

PAGE = Path(results.PAGE)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    copy = tmp_path / "RESULTS.md"
    copy.write_text(PAGE.read_text())
    return copy


def parts(text: str) -> tuple[str, dict[str, str]]:
    """Part a page into what stands around the marks, and what stands between them."""
    inside: dict[str, str] = {}

    def take(match: re.Match[str]) -> str:
        inside[match[1]] = match[2].strip()
        return f"[{match[1]}]"

    pattern = r"<!-- (\w+): made by make bench -->(.*?)<!-- end of \1 -->"
    return re.sub(pattern, take, text, flags=re.DOTALL), inside


def test_a_quick_run_rewrites_its_part_of_the_page_and_nothing_else(page: Path) -> None:
    before = page.read_text()
    words = ["--quick", "--only", "features_pandas", "shuffled_split", "scaling"]
    assert run.main([*words, "--results", str(page)]) == 0
    around, inside = parts(page.read_text())
    old_around, old = parts(before)
    assert around == old_around
    made = inside.pop("features_pandas")
    assert "simulated bars (seeded random walks, seed 0): 10 tickers, 400 sessions" in made
    assert 'make bench ARGS="--only features_pandas --quick"' in made
    assert re.search(
        r"\| Alpha158 here \| 158 \| [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+ \| 1\.00 \|", made
    )
    assert re.search(r"of 537,200 cells of full windows \d+ .*differ", made)
    for name in ("shuffled_split", "scaling"):
        kept = inside.pop(name)
        assert kept == f"> Not measured again: --quick leaves it out.\n\n{old.pop(name)}"
    del old["features_pandas"]
    assert inside == old
    assert [path.name for path in page.parent.iterdir()] == ["RESULTS.md"]


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("this", "this must print JSON on its last line"),
        ("http", "http ended with 1: "),
        ("benchmarks.nothing_of_the_kind", "is not there"),
    ],
)
def test_a_benchmark_that_fails_keeps_its_numbers_and_says_why(
    page: Path, module: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = run.Section("train_cost", "Training", module, needs_bars=False, quick=True)
    monkeypatch.setattr(run, "SECTIONS", (failing,))
    old = parts(page.read_text())[1]
    for _ in range(2):
        code = run.main(["--quick", "--results", str(page)])
        assert code == (0 if said == "is not there" else 1)
    inside = parts(page.read_text())[1]
    first, numbers = inside["train_cost"].split("\n", 1)
    assert first.startswith("> Not measured again: ") and said in first
    assert "/" not in first
    assert numbers.strip() == old["train_cost"]
    assert {name: text for name, text in inside.items() if name != "train_cost"} == {
        name: text for name, text in old.items() if name != "train_cost"
    }


def test_a_path_with_a_space_is_left_out_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/home/some one/.venv")
    page = "\n".join((results.marks("a")[0], "| old |", results.marks("a")[1]))
    kept = results.keep_section(page, "a", "/home/some one/.venv/bin/python: gone, /tmp/x too.")
    assert "> Not measured again: PATH: gone, PATH too." in kept


def test_a_benchmark_without_its_environment_keeps_its_numbers(page: Path) -> None:
    only = ("--only", "features_qlib", "features_mlforecast")
    assert run.main(["--prices", str(_bars(page.parent)), *only, "--results", str(page)]) == 0
    inside = parts(page.read_text())[1]
    for name in ("qlib", "mlforecast"):
        assert f"no environment was named with --{name}" in inside[f"features_{name}"]


def _bars(folder: Path) -> Path:
    path = folder / "bars.parquet"
    measure.simulated_bars(2, 20).write_parquet(path)
    return path


def test_a_section_that_the_page_lacks_is_put_at_its_end() -> None:
    found = {"tables": [{"columns": ["a", "b"], "rows": [["1", "2"]]}], "sentences": ["So it is."]}
    text = results.section_text(found, "- made")
    grown = results.replace_section("# Page\n", "new", "New", text)
    assert grown == (
        "# Page\n\n## New\n\n<!-- new: made by make bench -->\n\n- made\n\n| a | b |\n|---|---|\n"
        "| 1 | 2 |\n\nSo it is.\n\n<!-- end of new -->\n"
    )
    assert results.replace_section(grown, "new", "New", text) == grown
    assert results.keep_section("# Page\n", "new", "why") == "# Page\n"


def test_every_section_of_the_page_is_one_that_the_command_fills() -> None:
    names = set(parts(PAGE.read_text())[1])
    there = {each.name for each in run.SECTIONS if find_spec(each.module) is not None}
    assert {"features", "train_cost", "report_cost", "shuffled_split"} <= names <= there


def test_simulated_bars_are_sound_and_always_the_same() -> None:
    bars = measure.simulated_bars(3, 50)
    assert bars.equals(measure.simulated_bars(3, 50))
    assert bars.height == 150 and bars["date"].dt.weekday().max() == 5
    assert bars.equals(bars.sort("ticker", "date"))
    sound = bars.select(
        (pl.col("high") >= pl.max_horizontal("open", "close"))
        & (pl.col("low") <= pl.min_horizontal("open", "close"))
        & (pl.col("low") > 0)
        & (pl.col("volume") > 0)
    )
    assert sound.to_series().all()


@pytest.mark.slow
def test_the_limit_computes_what_the_family_computes() -> None:
    from src.v2.features.alpha158 import alpha158_features
    from src.v2.features.compute import compute_features

    limit: Any = import_module("benchmarks.alpha158_limit")
    features: Any = import_module("benchmarks.features")
    bars = features.prepared_bars(measure.simulated_bars(5, 700), 0).cast({pl.Float32: pl.Float64})
    still = pl.int_range(pl.len()) % 331 == 7
    flat = pl.int_range(pl.len()).is_between(900, 970)
    bars = bars.with_columns(
        pl.when(still).then(0.0).otherwise("volume").alias("volume"),
        *(
            pl.when(flat).then(50.0).otherwise(name).alias(name)
            for name in ("open", "high", "low", "close", "vwap")
        ),
    )
    fields = bars.select("open", "high", "low", "close", "volume", "vwap").to_numpy()
    found = limit.alpha158_limit(np.ascontiguousarray(fields.T), np.arange(0, 3501, 700))
    table = compute_features(bars, alpha158_features()).frame.sort("ticker", "date")
    for name, theirs in zip(table.columns[2:], found, strict=True):
        ours = table[name].to_numpy()
        assert np.array_equal(np.isnan(ours), np.isnan(theirs)), name
        assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-5, equal_nan=True), name
