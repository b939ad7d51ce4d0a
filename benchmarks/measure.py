"""What every benchmark measures by: bars, clocks, peak memory, and sides in their own processes.

Nothing here needs the project's libraries but Polars, or a Python above 3.11, so that a side may
run in an environment of another project. Linux only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

CORES = 2
"""Cores that a side may use: those of the machine of the published numbers."""

TICKERS, SESSIONS, SEED = 424, 4032, 0
"""Shape of the simulated bars: 16 years of 252 sessions."""

FIELDS = ("open", "high", "low", "close", "volume")


def simulated_bars(tickers: int = TICKERS, sessions: int = SESSIONS, seed: int = SEED) -> Any:
    """Make full bars by seeded random walks.

    Returns
    -------
    polars.DataFrame
        | date | ticker | open | high | low | close | volume |, sorted by ticker and date, with
        every ticker on every weekday from 2010-01-04 on.
    """
    import datetime as dt

    import numpy as np
    import polars as pl

    rng = np.random.default_rng(seed)
    common = rng.normal(0.0003, 0.009, sessions)
    moves = common + rng.normal(0, 0.016, (tickers, sessions))
    close = 50 * np.exp(np.cumsum(moves - moves.var() / 2, axis=1))
    start = close * np.exp(rng.normal(0, 0.006, close.shape))
    above, below = (np.abs(rng.normal(0, 0.006, close.shape)) for _ in range(2))
    first = dt.date(2010, 1, 4)
    days = [first + dt.timedelta(days=7 * (n // 5) + n % 5) for n in range(sessions)]
    values = {
        "open": start,
        "high": np.maximum(start, close) * (1 + above),
        "low": np.minimum(start, close) * (1 - below),
        "close": close,
        "volume": np.round(np.exp(rng.normal(13, 0.5, close.shape))),
    }
    names = pl.Series("ticker", [f"T{n:04d}" for n in range(tickers)])
    keys = pl.DataFrame({"date": days}).join(names.to_frame(), how="cross")
    keys = keys.sort("ticker", "date")
    return keys.hstack([pl.Series(name, table.ravel()) for name, table in values.items()])


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Run something, and give its result with | wall | cpu | seconds, children included."""
    wall, cpu = time.perf_counter(), _cpu_seconds()
    found = work()
    return found, {"wall": time.perf_counter() - wall, "cpu": _cpu_seconds() - cpu}


def _cpu_seconds() -> float:
    """Give the CPU seconds of this process and of its children that have ended."""
    return time.process_time() + sum(os.times()[2:4])


def peak_gib() -> float:
    """Give this process's own high-water mark.

    Not that of getrusage, which a child inherits from the process that started it.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def run_module(
    module: str, words: Sequence[str], python: Path | None = None, timeout: float | None = None
) -> dict[str, Any]:
    """Run a module in a process of its own on two cores, and read the JSON of its last line.

    Parameters
    ----------
    module
        As after ``python -m``.
    python
        Interpreter of another environment; absent: this one.

    Raises
    ------
    RuntimeError
        When it fails or takes too long, with the end of what it said.
    """
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    threads = str(len(cores))
    names = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, threads) | {"OMP_WAIT_POLICY": "PASSIVE"}
    try:
        done = subprocess.run(
            [str(python or sys.executable), "-m", module, *words],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=timeout,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{module} took more than {timeout:.0f} s") from error
    except OSError as error:
        raise RuntimeError(f"{python} cannot be run: {error.strerror}") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise RuntimeError(f"{module} ended with {done.returncode}: {last}")
    try:
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, json.JSONDecodeError) as error:
        raise RuntimeError(f"{module} must print JSON on its last line") from error
    return found


def versions(names: Sequence[str]) -> dict[str, str]:
    """Give the versions of the packages that are there."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> dict[str, Any]:
    """Make a table as the runner reads it."""
    return {"title": title, "columns": list(columns), "rows": [list(row) for row in rows]}


def size_of(bars: Any) -> Mapping[str, int]:
    """Count rows, tickers and sessions of bars."""
    return {
        "rows": bars.height,
        "tickers": bars["ticker"].n_unique(),
        "sessions": bars["date"].n_unique(),
    }
