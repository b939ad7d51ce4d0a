"""What a panel of thousands of tickers costs when it lies on disk.

    python -m benchmarks.external_memory --tickers 250 500 1000 2000 --years 10
    python -m benchmarks.external_memory --tickers 10000 --years 20 --folder /a/large/disk

For each number of tickers, in a process of its own: simulated daily bars go to Parquet a few
tickers at a time, all default features are computed in the two passes of scale.mode external,
and the last fold of the default schedule is fitted on every fifth session, 100 rounds of depth
6, and forecast. The last line is the record that `benchmarks.run` asks for.

"Largest" is the resident memory at its peak (VmHWM), which counts pages of mapped files that the
system may drop at any time; the memory of the build and of the fold is what is not of files. The
keys of the panel are in memory too, and grow with the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

SESSIONS_A_YEAR = 252
TICKERS_AT_ONCE = 100
EVERY_SECONDS = 0.1
SETTINGS: dict[str, Any] = {
    "model": {"n_estimators": 100, "max_depth": 6, "early_stopping_rounds": 0},
    "validation": {"train_stride": 5},
}


COLUMNS = (
    *("tickers", "rows", "rows fitted", "bars s", "build s", "fold s", "CPU s"),
    *("disk, most", "keys", "memory of the build", "of the fold", "largest"),
)
RATIOS = (
    *("tickers", "rows", "fitted_rows", "bars_sec", "build_sec", "fold_sec", "cpu_seconds"),
    *("disk_peak_gb", "index_gib", "build_anonymous_gib", "fold_anonymous_gib", "peak_gib"),
)


def main(argv: list[str]) -> None:
    """Measure each size, or one inside its own process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tickers", type=int, nargs="+", default=[250, 500, 1000, 2000])
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--rows-at-once", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=None, help="where the files go")
    parser.add_argument("--here", action="store_true", help="one size, in this process")
    asked = parser.parse_args(argv)
    if asked.here:
        found = measure(asked.tickers[0], asked.years, asked.rows_at_once, asked.folder)
        print(json.dumps(found))
        return
    found: list[dict[str, Any]] = []
    for tickers in asked.tickers:
        words = ["--here", "--tickers", str(tickers), "--years", str(asked.years)]
        words += ["--rows-at-once", str(asked.rows_at_once)]
        words += ["--folder", str(asked.folder)] if asked.folder else []
        command = [sys.executable, "-m", "benchmarks.external_memory", *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(json.dumps(found[-1]), flush=True)
    rows = [_row(each) for each in found]
    if len(found) > 1:
        first, last = found[0], found[-1]
        rows.append([f"{last[name] / first[name]:.1f} times" for name in RATIOS])
    title = f"{asked.years} years, chunks of {asked.rows_at_once:,} rows"
    sentence = (
        f"{found[-1]['features']} features; the fold fits every fifth session in 100 rounds of "
        "depth 6 and forecasts its test block. The bars are simulated and read from Parquet."
    )
    tables = [{"title": title, "columns": list(COLUMNS), "rows": rows}]
    print(json.dumps({"tables": tables, "sentences": [sentence]}))


def _row(found: dict[str, Any]) -> list[str]:
    """Write what one size took."""
    return [
        *(f"{found[name]:,}" for name in ("tickers", "rows", "fitted_rows")),
        *(f"{found[name]:.1f}" for name in ("bars_sec", "build_sec", "fold_sec", "cpu_seconds")),
        f"{found['disk_peak_gb']:.2f} GB",
        f"{found['index_gib']:.3f} GiB",
        *(
            f"{found[name]:.2f} GiB"
            for name in ("build_anonymous_gib", "fold_anonymous_gib", "peak_gib")
        ),
    ]


def measure(tickers: int, years: int, rows_at_once: int, parent: Path | None) -> dict[str, Any]:
    """Build and fit one size.

    Parameters
    ----------
    parent
        Where a folder for all files is made, and removed at the end.
    """
    from src.v2.config_sources import load_config
    from src.v2.console import Stages
    from src.v2.run_folders import folder_bytes

    config = load_config((), environ={}, overlay=SETTINGS, files=False)
    stages = Stages()
    with tempfile.TemporaryDirectory(dir=parent, prefix="external-memory-") as place:
        folder = Path(place)
        sessions = years * SESSIONS_A_YEAR
        with stages.stage("bars"):
            simulate(folder / "bars", tickers, sessions)
        bars_bytes = folder_bytes(folder / "bars")
        cpu, start = time.process_time(), time.perf_counter()
        found = _build_and_fit(folder, config, tickers, rows_at_once, stages)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        "tickers": tickers,
        "years": years,
        "rows_at_once": rows_at_once,
        **found,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "bars_sec": stages.seconds["bars"],
        "build_sec": stages.seconds["features"] + stages.seconds["panel"],
        "fold_sec": stages.seconds["fold"],
        "bars_gb": round(bars_bytes / 1e9, 3),
        "peak_gib": round(_status("VmHWM") / 2**20, 3),
        "anonymous_gib": max(found["build_anonymous_gib"], found["fold_anonymous_gib"]),
    }


def _build_and_fit(
    folder: Path, config: Any, tickers: int, rows_at_once: int, stages: Any
) -> dict[str, Any]:
    """Go through both passes, and fit and forecast the last fold."""
    import polars as pl

    from src.v2.console import progress_bar
    from src.v2.data.context import Context
    from src.v2.features.families import active_features
    from src.v2.modeling.folds import schedule_folds
    from src.v2.modeling.labels import plan_label
    from src.v2.modeling.walk_forward import make_trainer
    from src.v2.scale.engine import PanelInputs
    from src.v2.scale.external import build_external

    scratch = folder / "scratch"
    scratch.mkdir()
    disk = DiskPeak(scratch)
    building, fitting = Memory(), Memory()
    plan = plan_label(config.label, tickers)
    with disk.watched(), building.watched():
        inputs = PanelInputs(
            pl.scan_parquet(folder / "bars" / "*.parquet"),
            None,
            Context(),
            active_features(config.features),
            plan,
            config.features.min_history,
        )
        built = build_external(inputs, scratch, rows_at_once, stages, progress_bar)
    panel = built.panel
    schedule = schedule_folds(list(panel.sessions), config.validation, config.label.span)
    with disk.watched(), fitting.watched(), stages.stage("fold"):
        trainer = make_trainer(panel, plan, config.model, config.validation, config.seed)
        fit = trainer.fold(schedule.folds[-1], schedule.holdout_start)
    arrays = (panel.session, panel.label_end, panel.ticker, panel.bar, panel.feature_rows.places)  # type: ignore[union-attr]
    index = panel.keys.estimated_size() + sum(each.nbytes for each in arrays)
    return {
        "rows": len(panel.session),
        "features": len(panel.names),
        "blocks": built.blocks,
        "fitted_rows": fit.train_rows,
        "test_rows": len(fit.test.session),
        "panel_gb": round(built.disk_bytes / 1e9, 3),
        "disk_peak_gb": round(disk.most / 1e9, 3),
        "index_gib": round(index / 2**30, 3),
        "build_anonymous_gib": building.most_gib,
        "fold_anonymous_gib": fitting.most_gib,
    }


def simulate(folder: Path, tickers: int, sessions: int) -> None:
    """Write random walks with one common factor, a file for each hundred tickers."""
    import numpy as np
    import polars as pl

    folder.mkdir()
    days = np.busday_offset("2000-01-03", np.arange(sessions))
    common = np.random.default_rng(0).normal(0, 0.008, sessions)
    for start in range(0, tickers, TICKERS_AT_ONCE):
        count = min(TICKERS_AT_ONCE, tickers - start)
        rng = np.random.default_rng([1, start])
        moves = common + rng.normal(0, 0.015, (count, sessions))
        close = 50 * np.exp(np.cumsum(moves, axis=1)).ravel()
        opening = close * np.exp(rng.normal(0, 0.005, close.size))
        spread = np.abs(rng.normal(0, 0.006, (2, close.size)))
        names = [f"T{number:05d}" for number in range(start, start + count)]
        table = pl.DataFrame(
            {
                "date": np.tile(days, count),
                "ticker": np.repeat(names, sessions),
                "open": opening,
                "high": np.maximum(opening, close) * (1 + spread[0]),
                "low": np.minimum(opening, close) * (1 - spread[1]),
                "close": close,
                "volume": np.round(np.exp(rng.normal(13, 0.5, close.size))),
            }
        ).with_columns(pl.col("date").cast(pl.Date))
        table.write_parquet(folder / f"{start:05d}.parquet", compression="lz4")


class Memory:
    """Looks at this process's memory many times a second."""

    def __init__(self) -> None:
        self._anonymous = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look while the block runs."""
        with _repeated(self._look):
            yield

    def _look(self) -> None:
        self._anonymous = max(self._anonymous, _status("RssAnon"))

    @property
    def most_gib(self) -> float:
        """Largest size seen, GiB, files aside."""
        return round(self._anonymous / 2**20, 3)


class DiskPeak:
    """Looks at the size of a folder every second or so."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._due = 0.0
        self.most = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look while the block runs."""
        with _repeated(self._look):
            yield

    def _look(self) -> None:
        from src.v2.run_folders import folder_bytes

        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + 1.0
        try:
            self.most = max(self.most, folder_bytes(self._folder))
        except FileNotFoundError:
            # A file went while the folder was read; the next look comes soon.
            self._due = 0.0


@contextmanager
def _repeated(look: Any) -> Iterator[None]:
    """Call a function again and again beside a block."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(EVERY_SECONDS):
            look()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _status(name: str) -> int:
    """Read a size of this process, KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


if __name__ == "__main__":
    main(sys.argv[1:])
