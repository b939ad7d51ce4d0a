"""The results page: the same command on three universes, both modes and four horizons.

    python -m benchmarks.evaluation_page FOLDER [PRICES.parquet [SECTORS.csv]]

Trains with the defaults of the train command on the two bundled samples and, where given, on
a large panel, each run counted in a trial log under FOLDER. A run that FOLDER already holds is
not repeated. Then writes the tables of ``docs/evaluation.md`` between their marks.

EARLIER_TRIALS configurations were tried on the large panel while this pipeline was built;
they stand in its trial log from the start.
"""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAGE = Path("docs/evaluation.md")
MODES = ("regression", "classification")
HORIZONS = (5, 21, 30, 60)
EARLIER_TRIALS = 16
LARGE_STRIDES = {5: 4}
"""Sessions between two that are fitted on, where the default of every session takes hours."""
START, END = "<!-- tables: made by benchmarks/evaluation_page.py -->", "<!-- end of tables -->"


def main(argv: Sequence[str]) -> None:
    """Run what is missing, and write the tables."""
    if not argv:
        raise SystemExit(__doc__)
    folder = Path(argv[0])
    sets: dict[str, list[str]] = {
        "us20": ["--force-sample"],
        "ohlcv": ["--force-sample", "--data.sample", "ohlcv"],
    }
    if len(argv) > 1:
        sets["us_large"] = ["--data.source", "files", "--data.path", argv[1]]
        if len(argv) > 2:
            sets["us_large"] += ["--data.sectors", argv[2]]
        _remember_earlier_trials(folder / "us_large", Path(argv[1]))
    for name, words in sets.items():
        for mode in MODES:
            for days in HORIZONS:
                stride = LARGE_STRIDES.get(days) if name == "us_large" else None
                more = [] if stride is None else ["--validation.train-stride", str(stride)]
                _train(folder / name, mode, days, [*words, *more])
    _write_page(folder, list(sets))


def _train(folder: Path, mode: str, days: int, words: list[str]) -> None:
    """Train once, as a user does."""
    target = folder / f"{mode}_{days}.json"
    if target.exists():
        return
    started = time.perf_counter()
    command = [sys.executable, "-m", "src.v2.train", *words, "--mode", mode]
    command += ["--forward-days", str(days), "--mlflow.enabled", "false"]
    for name in ("models", "logs", "reports", "ledger"):
        command += [f"--paths.{name}-dir", str(folder / name)]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{mode}_{days}.txt").open("w") as shown:
        subprocess.run(command, stdout=shown, check=True)
    newest = max((folder / "logs" / "training").glob("*.json"), key=lambda p: p.stat().st_mtime_ns)
    target.write_text(newest.read_text())
    print(f"{folder.name} {mode} {days}: {time.perf_counter() - started:.0f} s", flush=True)


def _remember_earlier_trials(folder: Path, prices: Path) -> None:
    """Put the tries of the time before this page into the trial log."""
    import polars as pl

    from src.v2.evaluation.trial_log import TRIALS_NAME, Tried, record_trial

    if (folder / "ledger" / TRIALS_NAME).exists():
        return
    bars = pl.read_parquet(prices, columns=["date", "ticker"])
    first, last = bars["date"].min(), bars["date"].max()
    assert isinstance(first, dt.date) and isinstance(last, dt.date)
    for number in range(EARLIER_TRIALS):
        tried = Tried(
            tickers=bars["ticker"].unique().to_list(),
            first=first,
            last=last,
            bars_end=last,
            data_fingerprint="",
            config_fingerprint=f"before {number}",
            code_hash="",
        )
        record_trial(folder / "ledger", tried, rank_ic=None, sharpe=None)


def _write_page(folder: Path, sets: list[str]) -> None:
    parts = []
    for name in sets:
        runs = [_read(folder / name, mode, days) for mode in MODES for days in HORIZONS]
        parts += [f"### {name}\n", _skill_table(runs)]
        if runs[0]["evaluation"].get("portfolio"):
            parts += [_rules_table(runs), _money_table(runs)]
        parts += [_class_table([run for run in runs if run["mode"] == "classification"])]
    before, _, rest = PAGE.read_text().partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + START + "\n\n" + "\n".join(parts) + "\n" + END + after)


def _read(folder: Path, mode: str, days: int) -> dict[str, Any]:
    run: dict[str, Any] = json.loads((folder / f"{mode}_{days}.json").read_text())
    return run | {"days": days}


def _skill_table(runs: list[dict[str, Any]]) -> str:
    rows = [
        "| run | verdict | dates (independent) | mean rank IC, 95% | permutation p | not static | "
        "found 4 of 5 times | R2 over known mean | hit rate over base | holdout rank IC | K |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        metrics, ranking = run["metrics"], run["evaluation"]["ranking"]
        returns = run["evaluation"]["returns"]
        beside = "; ".join(run["verdict"]["beside"])
        cells = [
            f"{run['mode']} {run['days']}",
            f"**{run['verdict']['word']}**" + (f", {beside}" if beside else ""),
            f"{metrics['cv_dates']:,.0f} ({metrics['cv_windows']:.0f})"
            if ranking
            else f"({run['evaluation']['sides']['difference']['windows']})",
            _between(ranking and ranking["rank_ic"], "+.4f"),
            _number(ranking and ranking["permutation_p"], ".4f"),
            _number(ranking and ranking["demeaned_rank_ic"]["mean"], "+.4f"),
            _number(ranking and ranking["detectable"], ".3f"),
            _between(returns and returns["r2"], "+.2%"),
            _between(run["evaluation"]["sides"]["difference"], "+.2%"),
            _number(metrics.get("final_rank_ic"), "+.4f") if ranking else "–",
            str(run["verdict"]["trials"]),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _rules_table(runs: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(rule["name"] for run in runs for rule in _ranked(run)))
    rows = ["| mean rank IC | model | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for run in runs:
        found = {rule["name"]: rule["rank_ic"]["mean"] for rule in _ranked(run)}
        cells = [_number(found.get(name), "+.4f") for name in names]
        model = _number(run["evaluation"]["ranking"]["rank_ic"]["mean"], "+.4f")
        rows.append(f"| {run['mode']} {run['days']} | {model} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _ranked(run: dict[str, Any]) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = run["evaluation"]["baselines"]
    return [rule for rule in rules if rule["rank_ic"]["mean"] is not None]


def _money_table(runs: list[dict[str, Any]]) -> str:
    rows = [
        "| net of 5 bps a side | long-short Sharpe, 95% | DSR | a year | drawdown | turnover | "
        "top Sharpe | equal weight Sharpe | top less equal weight, Sharpe 95% |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        books = {book["name"]: book for book in run["evaluation"]["portfolio"]["books"]}
        both, top = books["long-short"], books["top"]
        cells = [
            f"{run['mode']} {run['days']}",
            _between(both["sharpe"], "+.2f"),
            _number(both["dsr"], ".2f"),
            _number(both["annual_return"], "+.1%"),
            _number(both["max_drawdown"], ".0%"),
            _number(both["turnover"], ".1%"),
            _number(top["sharpe"]["mean"], "+.2f"),
            _number(books["equal weight"]["sharpe"]["mean"], "+.2f"),
            _between(books["top less equal weight"]["sharpe"], "+.2f"),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _class_table(runs: list[dict[str, Any]]) -> str:
    rows = [
        "| classes | AUC within dates, 95% | log-loss skill, 95% | Brier skill, 95% | "
        "calibration error (if right) | accuracy (always one class) |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        classes, metrics = run["evaluation"]["classes"], run["metrics"]
        cells = [
            f"{run['days']} sessions",
            _between(classes["auc"], ".4f"),
            _between(classes["log_loss_skill"], "+.2%"),
            _between(classes["brier_skill"], "+.2%"),
            f"{_number(classes['ece'], '.2%')} ({_number(classes['ece_null'], '.2%')})",
            f"{metrics['cv_accuracy_pooled']:.2%} ({metrics['cv_accuracy_base_pooled']:.2%})",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _between(interval: dict[str, Any] | None, form: str) -> str:
    if not interval or interval["mean"] is None:
        return "–"
    if interval["low"] is None:
        return _number(interval["mean"], form)
    low, high = _number(interval["low"], form), _number(interval["high"], form)
    return f"{_number(interval['mean'], form)} ({low} to {high})"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


if __name__ == "__main__":
    main(sys.argv[1:])
