"""What the 158 factors of Alpha158 cost here, in pandas and in qlib.

    python -m benchmarks.alpha158 PRICES.parquet [--tickers 20] [--pandas-tickers 20]
        [--qlib PYTHON] [--qlib-tickers 20]

Each side runs in a process of its own, from bars in memory (qlib: from its binary files, on one
kernel, without a cache) to 158 columns; imports and conversions are not counted. pandas is
written as people write it: groupby of the ticker, rolling, one column after the other, and
numpy for the least-squares line. PYTHON is the interpreter of an environment with pyqlib and
polars. The typical price stands for vwap. What differs is counted at 1e-4. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

SIDES = ("ours", "pandas", "qlib")
WINDOWS = (5, 10, 20, 30, 60)


def main() -> None:
    """Run every side and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prices", type=Path)
    parser.add_argument("--tickers", type=int, default=0, help="of ours; 0: all")
    parser.add_argument("--pandas-tickers", type=int, default=20, help="0: leave pandas out")
    parser.add_argument("--qlib", type=Path, help="interpreter of an environment with pyqlib")
    parser.add_argument("--qlib-tickers", type=int, default=20)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(_measure(options.side, options.prices, options.out)))
        return
    with tempfile.TemporaryDirectory() as folder:
        _compare(options, Path(folder))


def _compare(options: argparse.Namespace, folder: Path) -> None:
    """Cut the bars for each side, run it, and hold the results together."""
    every = pl.read_parquet(options.prices).sort("ticker", "date")
    python = Path(sys.executable)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print("| side | tickers | rows | seconds | CPU seconds | peak GiB | rows a CPU second |")
    print("|---|---|---|---|---|---|---|")
    _line("ours", every, options.tickers, python, folder)
    others = [
        ("pandas", options.pandas_tickers, python),
        ("qlib", options.qlib_tickers, options.qlib),
    ]
    notes = []
    for side, tickers, interpreter in others:
        if tickers and interpreter:
            ours = _line("ours", every, tickers, python, folder)
            theirs = _line(side, every, tickers, interpreter, folder)
            notes.append(f"{side} takes {theirs / ours:.1f} times the CPU seconds.")
            notes.append(_differences(folder, side))
    print("\n".join(notes))


def _line(side: str, every: pl.DataFrame, tickers: int, python: Path, folder: Path) -> float:
    """Measure one side in a process of its own, print its row, and return its CPU seconds."""
    bars = _with_vwap(every, tickers)
    prices = folder / "bars.parquet"
    bars.write_parquet(prices)
    command = [str(python), "-m", "benchmarks.alpha158", str(prices), "--side", side]
    if tickers:
        command += ["--out", str(folder / f"{side}.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    rate = len(bars) / found["cpu"]
    print(
        f"| {side} | {bars['ticker'].n_unique()} | {len(bars):,} | {found['wall']:.2f} | "
        f"{found['cpu']:.2f} | {found['peak']:.2f} | {rate:,.0f} |"
    )
    return float(found["cpu"])


def _with_vwap(every: pl.DataFrame, tickers: int) -> pl.DataFrame:
    """Keep some tickers, in 32 bits as qlib stores them, and add the typical price.

    Those cut out lack no session, where qlib puts in an empty row.
    """
    if tickers:
        place = pl.col("date").rank("dense").cast(pl.Int64)
        span = every.select("ticker", place).group_by("ticker", maintain_order=True)
        gaps = span.agg(gap=pl.col("date").last() - pl.col("date").first() + 1 - pl.len())
        whole = gaps.filter(pl.col("gap") == 0)["ticker"][:tickers]
        every = every.filter(pl.col("ticker").is_in(whole.to_list()))
    paid = (pl.col("high") + pl.col("low") + pl.col("close")) / 3
    fields = ("open", "high", "low", "close", "volume", "vwap")
    return every.with_columns(paid.alias("vwap")).select(
        "date", "ticker", pl.col(*fields).cast(pl.Float32)
    )


def _measure(side: str, prices: Path, out: Path | None) -> dict[str, float]:
    """Run one side, write what it found under qlib's names, and return what it cost."""
    sides: dict[str, Callable[[pl.DataFrame], tuple[pl.DataFrame, float, float]]]
    sides = {"ours": _ours, "pandas": _pandas, "qlib": _qlib}
    found, wall, cpu = sides[side](pl.read_parquet(prices))
    # Not the peak of getrusage, which a child inherits from the process that started it.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 2**20
    if out:
        found.write_parquet(out)
    return {"wall": wall, "cpu": cpu, "peak": peak}


def _timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return a result, the seconds and the CPU seconds it took, children included."""
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    found = work()
    return found, time.perf_counter() - wall, sum(os.times()[:4]) - cpu


def _ours(bars: pl.DataFrame) -> tuple[pl.DataFrame, float, float]:
    """Compute the family as training does."""
    from src.v2.features.alpha158 import alpha158_features, qlib_name
    from src.v2.features.compute import compute_features

    features = alpha158_features()
    table, wall, cpu = _timed(lambda: compute_features(bars, features))
    names = {item.name: qlib_name(item.name) for item in features}
    return table.frame.rename(names), wall, cpu


def _qlib(bars: pl.DataFrame) -> tuple[pl.DataFrame, float, float]:
    """Ask qlib for its factors, from files in its own format."""
    oracles: Any = import_module("src.v2.tests.golden.make_alpha158_oracles")
    codes = {name: f"T{place:05d}" for place, name in enumerate(bars["ticker"].unique().sort())}
    coded = bars.with_columns(pl.col("ticker").replace_strict(codes))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        oracles.write_provider(coded, root)
        oracles.start_qlib(root)
        found, wall, cpu = _timed(oracles.qlib_factors)
    back = {code: name for name, code in codes.items()}
    return found.with_columns(pl.col("ticker").replace_strict(back)), wall, cpu


def _pandas(bars: pl.DataFrame) -> tuple[pl.DataFrame, float, float]:
    """Compute the factors with pandas' groupby and rolling."""
    frame = bars.cast({pl.Float32: pl.Float64}).to_pandas()
    table, wall, cpu = _timed(lambda: _pandas_factors(frame))
    return pl.from_pandas(table).with_columns(pl.col("date").cast(pl.Date)), wall, cpu


def _pandas_factors(frame: Any) -> Any:
    """Return the frame's keys and the 158 factors, null before a full window."""
    pandas: Any = import_module("pandas")
    frame = frame.sort_values(["ticker", "date"]).reset_index(drop=True)
    groups = frame.groupby("ticker", sort=False)
    frame["last"] = groups["close"].shift(1)
    frame["move"] = frame["close"] - frame["last"]
    frame["volume_move"] = groups["volume"].diff()
    frame["weighted"] = (frame["close"] / frame["last"] - 1).abs() * frame["volume"]
    frame["log_volume"] = np.log(frame["volume"] + 1)
    frame["price_ratio"] = frame["close"] / frame["last"]
    frame["volume_ratio"] = np.log(frame["volume"] / groups["volume"].shift(1) + 1)
    columns = _pandas_bar(frame)
    for window in WINDOWS:
        for name, values in _pandas_window(frame, window).items():
            columns[f"{name}{window}"] = values
    return pandas.concat([frame[["date", "ticker"]], pandas.DataFrame(columns)], axis=1)


def _pandas_bar(frame: Any) -> dict[str, Any]:
    """Return the factors of one bar."""
    start, high, low, close = (frame[name] for name in ("open", "high", "low", "close"))
    bar = high - low + 1e-12
    top, bottom = np.maximum(start, close), np.minimum(start, close)
    parts = {"MID": close - start, "UP": high - top, "LOW": bottom - low}
    parts["SFT"] = 2 * close - high - low
    columns = {"KLEN": (high - low) / start}
    for name, part in parts.items():
        columns |= {f"K{name}": part / start, f"K{name}2": part / bar}
    prices = {"OPEN0": start, "HIGH0": high, "LOW0": low, "VWAP0": frame["vwap"]}
    return columns | {name: price / close for name, price in prices.items()}


def _pandas_window(frame: Any, window: int) -> dict[str, Any]:
    """Return the rolling factors of one window."""
    pandas: Any = import_module("pandas")
    close, volume = frame["close"], frame["volume"]

    def rolling(values: Any) -> Any:
        return values.groupby(frame["ticker"], sort=False).rolling(window)

    def of(values: Any, what: str, *words: Any, **named: Any) -> Any:
        return getattr(rolling(values), what)(*words, **named).reset_index(level=0, drop=True)

    def when(values: Any, what: str) -> Any:
        found = of(values, "apply", lambda part: getattr(part, what)() + 1.0, raw=True)
        return found / window

    def together(left: str, right: str) -> Any:
        groups = frame.groupby("ticker", sort=False)
        parts = [part[left].rolling(window).corr(part[right]) for _, part in groups]
        return pandas.concat(parts)

    line = _pandas_line(frame, window)
    high, low = of(frame["high"], "max"), of(frame["low"], "min")
    found = {
        "ROC": frame.groupby("ticker", sort=False)["close"].shift(window) / close,
        "MA": of(close, "mean") / close,
        "STD": of(close, "std") / close,
        "BETA": line["slope"] / close,
        "RSQR": line["fit"],
        "RESI": line["rest"] / close,
        "MAX": high / close,
        "MIN": low / close,
        "QTLU": of(close, "quantile", 0.8) / close,
        "QTLD": of(close, "quantile", 0.2) / close,
        "RANK": of(close, "rank", pct=True),
        "RSV": (close - low) / (high - low + 1e-12),
        "IMAX": when(frame["high"], "argmax"),
        "IMIN": when(frame["low"], "argmin"),
        "CORR": together("close", "log_volume"),
        "CORD": together("price_ratio", "volume_ratio"),
        "VMA": of(volume, "mean") / (volume + 1e-12),
        "VSTD": of(volume, "std") / (volume + 1e-12),
        "WVMA": of(frame["weighted"], "std") / (of(frame["weighted"], "mean") + 1e-12),
    }
    found["IMXD"] = found["IMAX"] - found["IMIN"]
    up, down = ((sign * frame["move"] > 0).where(frame["move"].notna()) for sign in (1, -1))
    found["CNTP"], found["CNTN"] = (of(side.astype(float), "mean") for side in (up, down))
    found["CNTD"] = found["CNTP"] - found["CNTN"]
    for name, move in (("SUM", frame["move"]), ("VSUM", frame["volume_move"])):
        whole = of(move.abs(), "sum") + 1e-12
        rises, falls = of(move.clip(lower=0), "sum"), of((-move).clip(lower=0), "sum")
        found |= {f"{name}P": rises / whole, f"{name}N": falls / whole}
        found[f"{name}D"] = (rises - falls) / whole
    return found


def _pandas_line(frame: Any, window: int) -> Any:
    """Return slope, R2 and last residual of the line through each window of closes."""
    pandas: Any = import_module("pandas")
    time_axis = np.arange(window) - (window - 1) / 2

    def of_ticker(close: Any) -> Any:
        table = pandas.DataFrame(np.nan, close.index, ["slope", "fit", "rest"])
        if len(close) >= window:
            views = np.lib.stride_tricks.sliding_window_view(close.to_numpy(), window)
            slope = views @ time_axis / (time_axis @ time_axis)
            mean = views.mean(axis=1)
            fit = slope**2 * (time_axis @ time_axis) / (window * views.var(axis=1))
            rest = views[:, -1] - mean - slope * time_axis[-1]
            table.iloc[window - 1 :] = np.column_stack([slope, fit, rest])
        return table

    parts = [of_ticker(part) for _, part in frame.groupby("ticker", sort=False)["close"]]
    return pandas.concat(parts)


def _differences(folder: Path, side: str) -> str:
    """Count the cells of full windows that differ, and those that only one side has."""
    keys = ["date", "ticker"]
    ours = pl.read_parquet(folder / "ours.parquet").sort("ticker", "date")
    full = pl.int_range(pl.len()).over("ticker") >= max(WINDOWS)
    ours = ours.filter(full)
    theirs = ours.select(keys).join(
        pl.read_parquet(folder / f"{side}.parquet"), on=keys, how="left"
    )
    apart: dict[str, int] = {}
    lonely: dict[str, int] = {}
    names = ours.columns[2:]
    for name in names:
        left, right = (np.asarray(table[name], dtype=np.float64) for table in (ours, theirs))
        both = np.isfinite(left) & np.isfinite(right)
        close = np.isclose(left[both], right[both], rtol=1e-4, atol=1e-5)
        apart |= {name: int((~close).sum())} if not close.all() else {}
        alone = int((np.isfinite(left) != np.isfinite(right)).sum())
        lonely |= {name: alone} if alone else {}
    cells = f"{len(ours) * len(names):,} cells of full windows"
    return f"{side}: {cells}; apart {apart}; on one side only {lonely}"


if __name__ == "__main__":
    main()
