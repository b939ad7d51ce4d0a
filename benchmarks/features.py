"""What features cost: here, in other libraries, and at the limit of the machine.

    python -m benchmarks.features --prices BARS.parquet [--against pandas|mlforecast|qlib]
        [--python PYTHON] [--tickers N]

Without ``--against``: Alpha158 and the default families here, and the limit, a numba kernel that
was written for the 158 columns alone (`benchmarks.alpha158_limit`). With it: that library on the
same bars and the same two cores, beside Alpha158 here. PYTHON is the interpreter of an
environment that holds the library. Each side runs in a process of its own, from bars in memory
to finished columns; imports, conversions and compilation are not counted.

The typical price stands for the mean price paid. What differs by more than 1e-4 of the value plus
1e-5 is counted. Linux only.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.measure import run_module, table

LONGEST = 60
"""Sessions of the longest window: cells before it are not compared."""

NAMES = {
    "ours": "Alpha158 here",
    "default": "default families here",
    "limit": "Alpha158, the limit: one numba kernel",
    "pandas": "Alpha158 in pandas, groupby and rolling",
    "mlforecast": "the 35 of the 158 that mlforecast can express",
    "qlib-expressions-1": "qlib's expressions, 1 kernel",
    "qlib-expressions-2": "qlib's expressions, 2 kernels",
    "qlib-handler-1": "qlib's handler, 1 kernel",
    "qlib-handler-2": "qlib's handler, 2 kernels",
}
SIDES = {
    "": ("ours", "limit", "default"),
    "pandas": ("ours", "pandas"),
    "mlforecast": ("ours", "mlforecast"),
    "qlib": ("ours", *(name for name in NAMES if name.startswith("qlib"))),
}
COLUMNS = ("side", "columns", "wall s", "CPU s", "peak GiB", "ns of CPU a cell", "to ours")


def main(argv: Sequence[str]) -> dict[str, Any]:
    """Measure the sides, and give the table and what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prices", type=Path, required=True)
    parser.add_argument("--against", choices=tuple(SIDES)[1:], default="")
    parser.add_argument("--python", type=Path, help="interpreter of the other environment")
    parser.add_argument("--tickers", type=int, default=0, help="0: all")
    options = parser.parse_args(argv)
    bars = prepared_bars(pl.read_parquet(options.prices), options.tickers)
    with tempfile.TemporaryDirectory() as scratch:
        return _compare(bars, options, Path(scratch))


def prepared_bars(bars: pl.DataFrame, tickers: int) -> pl.DataFrame:
    """Keep some tickers, in 32 bits as qlib stores them, and add the typical price.

    Those kept when a number is named lack no session, where qlib puts in an empty row.
    """
    bars = bars.sort("ticker", "date")
    if tickers:
        place = pl.col("date").rank("dense").cast(pl.Int64)
        span = bars.select("ticker", place).group_by("ticker", maintain_order=True)
        gaps = span.agg(gap=pl.col("date").last() - pl.col("date").first() + 1 - pl.len())
        whole = gaps.filter(pl.col("gap") == 0)["ticker"][:tickers]
        bars = bars.filter(pl.col("ticker").is_in(whole.to_list()))
    paid = (pl.col("high") + pl.col("low") + pl.col("close")) / 3
    fields = ("open", "high", "low", "close", "volume", "vwap")
    return bars.with_columns(paid.alias("vwap")).select(
        "date", "ticker", pl.col(*fields).cast(pl.Float32)
    )


def _compare(bars: pl.DataFrame, options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Run each side in a process of its own, and hold what it found against ours."""
    source = scratch / "bars.parquet"
    bars.write_parquet(source)
    measured: dict[str, dict[str, Any]] = {}
    sentences, versions = [], {}
    for side in SIDES[options.against]:
        python = options.python if side not in ("ours", "default", "limit", "pandas") else None
        out = scratch / f"{side}.parquet"
        found = run_module("benchmarks.features_side", [side, str(source), str(out)], python)
        measured[side] = found
        versions = found["versions"] | versions
        if side != "ours" and out.exists():
            sentences.append(differences(scratch / "ours.parquet", out, NAMES[side]))
    title = f"{bars['ticker'].n_unique()} tickers, {bars.height:,} rows, two cores"
    rows = [_row(side, measured, bars.height) for side in measured]
    if options.against == "mlforecast":
        sentences.append(
            "mlforecast gives the features of a ticker's last session with its forecast only, so "
            "they are among those on one side."
        )
    return {"versions": versions, "tables": [table(COLUMNS, rows, title)], "sentences": sentences}


def _row(side: str, measured: dict[str, dict[str, Any]], rows: int) -> list[str]:
    """Write one side's line; a cell is a row of one column."""

    def a_cell(name: str) -> float:
        return float(measured[name]["cpu"]) / rows / int(measured[name]["columns"]) * 1e9

    found = measured[side]
    return [
        NAMES[side],
        str(found["columns"]),
        f"{found['wall']:.2f}",
        f"{found['cpu']:.2f}",
        f"{found['peak']:.2f}",
        f"{a_cell(side):.1f}",
        f"{a_cell(side) / a_cell('ours'):.2f}",
    ]


def differences(ours: Path, theirs: Path, name: str) -> str:
    """Count the cells of full windows that differ, and those that only one side has."""
    keys = ["date", "ticker"]
    right = pl.read_parquet(theirs)
    left = pl.read_parquet(ours, columns=[*keys, *right.drop(keys).columns])
    left = left.sort("ticker", "date")
    left = left.filter(pl.int_range(pl.len()).over("ticker") >= LONGEST)
    right = left.select(keys).join(right, on=keys, how="left")
    apart: dict[str, int] = {}
    lonely: dict[str, int] = {}
    names = left.columns[2:]
    for column in names:
        one, other = (np.asarray(each[column], dtype=np.float64) for each in (left, right))
        both = np.isfinite(one) & np.isfinite(other)
        close = np.isclose(one[both], other[both], rtol=1e-4, atol=1e-5)
        apart |= {column: int((~close).sum())} if not close.all() else {}
        alone = int((np.isfinite(one) != np.isfinite(other)).sum())
        lonely |= {column: alone} if alone else {}
    return (
        f"{name}: of {len(left) * len(names):,} cells of full windows {_counted(apart)} differ "
        f"from ours, and {_counted(lonely)} are on one side only."
    )


def _counted(found: dict[str, int]) -> str:
    """Write a number of cells, and the columns that most of them are in."""
    most = sorted(found, key=lambda name: -found[name])[:3]
    names = ", ".join(f"{name} {found[name]:,}" for name in most)
    return f"{sum(found.values()):,}" + (f" ({names})" if names else "")


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
