"""How the cost of a run grows with tickers, features and workers.

    python -m benchmarks.scaling [--tickers 50] [--years 10] [--sizes 1 2 4 8] [--workers 1 2]
                                 [--rounds 50] [--folds 2]

Bars are simulated. For each size (a multiple of --tickers), each number of families of
features and each engine (this process, and Dask with so many workers on this machine) the
panel is built and the last folds are fitted and forecast. Prints a table of seconds, of
processor time and of peak memory, each as measured in a process of its own and the workers that
it starts; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

FEW, ALL = ("momentum", "volatility", "market"), ()


def main(argv: Sequence[str]) -> None:
    """Measure every case, each in a process of its own, and print the table."""
    options = _options(argv)
    if options.case is not None:
        print(json.dumps(_measure(json.loads(options.case))))
        return
    cases = _cases(options)
    found = []
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print("| tickers | rows | features | engine | start | features (CPU) | fits (CPU) | peak GiB |")
    print("|--:|--:|--:|---|--:|--:|--:|--:|")
    for case in cases:
        command = [sys.executable, "-m", "benchmarks.scaling", "--case", json.dumps(case)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        result = json.loads(done.stdout.splitlines()[-1])
        found.append(result)
        print(
            f"| {result['tickers']} | {result['rows']:,} | {result['features']} "
            f"| {result['engine']} | {result['start_sec']:.1f} s "
            f"| {result['features_sec']:.1f} ({result['features_cpu_sec']:.1f}) s "
            f"| {result['fits_sec']:.1f} ({result['fits_cpu_sec']:.1f}) s "
            f"| {result['peak_gib']:.2f} |",
            flush=True,
        )
    print(json.dumps(_record(found)))


def _record(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Make the record that `benchmarks.run` asks for."""
    columns = ["tickers", "rows", "features", "engine", "start s", "features s (CPU)"]
    rows = [
        [
            *(f"{each[name]:,}" for name in ("tickers", "rows", "features")),
            each["engine"],
            f"{each['start_sec']:.1f}",
            f"{each['features_sec']:.1f} ({each['features_cpu_sec']:.1f})",
            f"{each['fits_sec']:.1f} ({each['fits_cpu_sec']:.1f})",
            f"{each['peak_gib']:.2f}",
        ]
        for each in found
    ]
    table = {"title": "", "columns": [*columns, "fits s (CPU)", "peak GiB"], "rows": rows}
    sentence = (
        "The panel, and the last folds of the default schedule. CPU seconds and memory are those "
        "of all processes together; the workers share the cores of one machine."
    )
    return {"tables": [table], "sentences": [sentence]}


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tickers", type=int, default=50)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--case", help="one case as JSON; used by the command itself")
    return parser.parse_args(argv)


def _cases(options: argparse.Namespace) -> list[dict[str, Any]]:
    """List what is measured: all sizes with all features, and one size with few."""
    base = {"years": options.years, "rounds": options.rounds, "folds": options.folds}
    engines = [0, *options.workers]
    cases = [
        base | {"tickers": size * options.tickers, "families": ALL, "workers": workers}
        for size in options.sizes
        for workers in engines
    ]
    middle = options.sizes[len(options.sizes) // 2] * options.tickers
    return cases + [base | {"tickers": middle, "families": FEW, "workers": w} for w in engines]


def _measure(case: dict[str, Any]) -> dict[str, Any]:
    """Build the panel and fit the last folds of one case."""
    from src.v2.config_sources import load_config
    from src.v2.console import Stages, no_progress
    from src.v2.data.context import Context
    from src.v2.features.families import active_features
    from src.v2.modeling.folds import schedule_folds
    from src.v2.modeling.labels import plan_label
    from src.v2.modeling.walk_forward import make_trainer
    from src.v2.scale.engine import PanelInputs
    from src.v2.scale.opening import open_engine
    from src.v2.tests.synthetic import random_walk_bars

    workers = case["workers"]
    scale = {"engine": "dask" if workers else "local", "workers": workers or None}
    model = {"n_estimators": case["rounds"], "early_stopping_rounds": 0}
    features = {"families": case["families"]} if case["families"] else {}
    overlay = {"scale": scale, "model": model, "features": features}
    config = load_config((), environ={}, overlay=overlay, files=False)
    bars = random_walk_bars(case["tickers"], 252 * case["years"], ohlcv=True)
    plan = plan_label(config.label, case["tickers"])
    stages = Stages()
    clock, work = [time.perf_counter()], [_cpu_seconds()]
    with open_engine(config, stages) as engine:
        clock.append(time.perf_counter())
        work.append(_cpu_seconds())
        inputs = PanelInputs(
            *(bars, None, Context(), active_features(config.features), plan),
            config.features.min_history,
        )
        built = engine.build_panel(inputs, stages, no_progress)
        clock.append(time.perf_counter())
        work.append(_cpu_seconds())
        panel = built.panel
        schedule = schedule_folds(list(panel.sessions), config.validation, config.label.span)
        trainer = make_trainer(panel, plan, config.model, config.validation, config.seed)
        trainer = engine.lend(trainer)
        fits = [
            trainer.fold(fold, schedule.holdout_start) for fold in schedule.folds[-case["folds"] :]
        ]
        clock.append(time.perf_counter())
        work.append(_cpu_seconds())
        peak = _peak_bytes()
    return {
        "tickers": case["tickers"],
        "rows": bars.height,
        "features": len(panel.names),
        "engine": f"dask, {workers} workers" if workers else "local",
        "workers": workers,
        "fitted_rows": sum(fit.train_rows for fit in fits),
        "start_sec": clock[1] - clock[0],
        "features_sec": clock[2] - clock[1],
        "fits_sec": clock[3] - clock[2],
        "features_cpu_sec": work[2] - work[1],
        "fits_cpu_sec": work[3] - work[2],
        "peak_gib": peak / 2**30,
    }


def _cpu_seconds() -> float:
    """Add up the processor time of this process and of those that it started."""
    import psutil

    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return float(sum(sum(process.cpu_times()[:2]) for process in family))


def _peak_bytes() -> int:
    """Add up the peak memory of this process and of those that it started, where Linux tells."""
    import psutil

    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with open(f"/proc/{process.pid}/status") as status:
            lines = dict(line.split(":", 1) for line in status if ":" in line)
        total += int(lines["VmHWM"].split()[0]) * 1024
    return total


if __name__ == "__main__":
    main(sys.argv[1:])
