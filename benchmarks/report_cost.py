"""What the explanation and the page cost, by stage: CPU seconds and memory.

    python -m benchmarks.report_cost --prices PRICES.parquet [settings of the train command]

Trains once (100 rounds of depth 6, without early stopping, six families of 100 features), with
10,000 explained rows, then writes the page. Linux only: the peak of a stage is the kernel's
high-water mark, set back when the stage begins.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from benchmarks.measure import table
from src.v2.config import Config
from src.v2.config_sources import load_config
from src.v2.console import Stages, no_progress
from src.v2.records import TrainingResult

SETTINGS = (
    *("--model.early-stopping-rounds", "0", "--model.n-estimators", "100"),
    *("--explain.shap-rows", "10000", "--mlflow.enabled", "false"),
    *("--features.families", "momentum,trend,volatility,drawdown,oscillators,volume"),
)
EXPLANATION = (
    *("SHAP values", "skill in detail", "importance"),
    *("effects and stability", "cases and checks", "report page"),
)
ALONE = ("interactions",)


class Meter(Stages):
    """Stages that know their CPU seconds and how far memory rose above their start, in GiB."""

    def __init__(self) -> None:
        super().__init__()
        self.cpu: dict[str, float] = {}
        self.rise: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage."""
        Path("/proc/self/clear_refs").write_text("5")
        before, start = _memory("VmRSS"), time.process_time()
        with super().stage(name):
            yield
        self.cpu[name] = self.cpu.get(name, 0.0) + time.process_time() - start
        self.rise[name] = max(self.rise.get(name, 0.0), _memory("VmHWM") - before)


def main(argv: Sequence[str]) -> dict[str, Any]:
    """Train, explain, write, and give the table."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("--prices", required=True)
    options, settings = parser.parse_known_args(argv)
    words = ["--data.source", "files", "--data.path", options.prices, *SETTINGS, *settings]
    config = load_config(words)
    meter = Meter()
    result = _train(config, meter)
    size = _write_page(result, meter)
    title = (
        f"{result.panel_rows:,} rows, {len(result.features.names)} features, "
        f"{len(result.folds)} folds, {result.rounds} rounds, {len(result.shap.rows):,} rows "
        f"explained, {result.explanation.interactions.rows:,} by pairs; page {size / 2**10:,.0f} kB"
    )
    lines = [
        [name, f"{meter.cpu[name]:.1f}", f"{seconds:.1f}", f"{meter.rise[name]:.2f}"]
        for name, seconds in meter.seconds.items()
    ]
    cpu = sum(meter.cpu[name] for name in EXPLANATION)
    wall = sum(meter.seconds[name] for name in EXPLANATION)
    rise = max(meter.rise[name] for name in (*EXPLANATION, *ALONE))
    whole = (f"{cpu:.1f}", f"{wall:.1f}", f"{rise:.2f}")
    lines.append(
        ["**explanation and page, without interactions**", *(f"**{text}**" for text in whole)]
    )
    columns = ("stage", "CPU s", "wall s", "GiB above its start")
    return {"tables": [table(columns, lines, title)], "sentences": []}


def _train(config: Config, meter: Meter) -> TrainingResult:
    from src.v2.data.sources import load_bars
    from src.v2.ledgers import uncounted
    from src.v2.pipeline import train_model
    from src.v2.preparation import prepare_panel

    with meter.stage("bars"):
        bars, market, coverage = load_bars(config.data)
    prepared = prepare_panel(bars, market, coverage, config, meter)
    return train_model(prepared, config, meter, uncounted(), no_progress).result


def _write_page(result: TrainingResult, meter: Meter) -> int:
    from src.v2.page.content import build_page
    from src.v2.page.identity import RunIdentity
    from src.v2.page.render import write_report
    from src.v2.run_store import save_run

    identity = RunIdentity("benchmark", None, dt.datetime(2000, 1, 1, tzinfo=dt.UTC), None, {})
    with tempfile.TemporaryDirectory() as scratch, meter.stage("report page"):
        page, _ = write_report(build_page(result, identity), Path(scratch))
        save_run(result, identity, Path(scratch))
        return page.stat().st_size


def _memory(key: str) -> float:
    """Read a line of the process's status, in GiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{key}:"))
    return int(line.split()[1]) / 2**20


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
