"""What the verdict says of panels whose truth is known.

    python -m src.v2.tests.calibration FOLDER

judges every case, keeps what is done in FOLDER, and writes the table of docs/evaluation.md.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2 import api
from src.v2.evaluation.metrics import daily_ic
from src.v2.modeling.folds import Fold, known_mask
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import FoldFit, Trainer
from src.v2.tests.synthetic import random_walk_bars

START, END = "<!-- calibration -->", "<!-- end of calibration -->"
SESSIONS = 3000
NAN = float("nan")
SHUFFLED_FOLDS = 6
SIGNAL_DAYS = 60
SETTINGS: dict[str, Any] = {
    "features": {"families": ["momentum", "volatility", "market"]},
    "validation": {"train_stride": 7},
    "model": {"n_estimators": 50, "early_stopping_rounds": 0, "threads": 1},
    "explain": {"shap_rows": 50},
}
"""Fewer features, rounds and training dates than the defaults, so that a panel takes seconds."""


@dataclass(frozen=True, slots=True)
class Case:
    """Panels of one kind, by seeds that were fixed before the first run."""

    name: str
    forward_days: int
    seeds: range
    signal: float = 0.0
    shuffled: bool = False
    tickers: int = 100


CASES = (
    Case("random walks", 20, range(40)),
    Case("planted", 20, range(40), signal=0.0005),
    Case("planted stronger", 20, range(40), signal=0.0007),
    Case("shuffled", 20, range(40), shuffled=True),
    Case("random walks", 60, range(10)),
    Case("planted", 60, range(10), signal=0.0005),
    Case("random walks of 8 tickers", 20, range(40), tickers=8),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One panel and what was said of it."""

    seed: int
    word: str
    dates: int
    windows: int
    rank_ic: float = NAN
    permutation_p: float = NAN
    changing_p: float = NAN
    """Of what is left without each ticker's own mean score."""
    detectable: float = NAN
    oracle: float = NAN
    """Mean rank IC of the planted score itself on the same dates."""


def judge_case(case: Case, folder: Path | None = None) -> list[Judged]:
    """Judge every panel of a case, two at once; those that a folder holds are read from it."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return list(pool.map(judge_panel, [case] * len(case.seeds), case.seeds, repeat(folder)))


def judge_panel(case: Case, seed: int, folder: Path | None = None) -> Judged:
    """Run the whole pipeline on one panel."""
    name = f"{case.name} {case.forward_days} {seed}.json"
    kept = None if folder is None else folder / name
    if kept is not None and kept.exists():
        return Judged(**json.loads(kept.read_text()))
    split = shuffled_splitter() if case.shuffled else nullcontext()
    with split:
        judged = _judge(case, seed)
    if kept is not None:
        kept.write_text(json.dumps(asdict(judged)))
    return judged


def _judge(case: Case, seed: int) -> Judged:
    bars = random_walk_bars(
        case.tickers, SESSIONS, seed, signal=case.signal, signal_days=SIGNAL_DAYS
    )
    settings = SETTINGS | {"label": {"forward_days": case.forward_days}, "seed": seed}
    result = api.train(bars, settings).result
    evaluation = result.evaluation
    ranking = evaluation.ranking
    word, dates = evaluation.verdict.word, result.predictions.filter(part="walk_forward")["date"]
    if ranking is None:
        windows = evaluation.sides.difference.windows
        return Judged(seed, word, dates.n_unique(), windows)
    return Judged(
        seed,
        word,
        ranking.dates,
        ranking.rank_ic.windows,
        ranking.rank_ic.mean,
        ranking.permutation_p,
        ranking.demeaned_ewc.p,
        ranking.detectable,
        _oracle(bars, result.predictions),
    )


def calibration_table(rows: Mapping[Case, Sequence[Judged]]) -> str:
    """Write the table of the page."""
    lines = [
        "| panels | horizon | evidence | no evidence | implausible | mean rank IC (range) | "
        "planted rank IC (range) | dates (independent) | found 4 of 5 times |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case, judged in rows.items():
        words = [one.word.split(":")[0] for one in judged]
        counts = [words.count(word) for word in ("evidence", "no evidence", "implausible")]
        cells = [
            f"{len(judged)} {case.name}",
            str(case.forward_days),
            *(str(count) for count in counts),
            "–" if math.isnan(judged[0].rank_ic) else _spread([one.rank_ic for one in judged]),
            _spread([one.oracle for one in judged]) if case.signal else "–",
            f"{judged[0].dates:,} ({judged[0].windows})",
            "–"
            if math.isnan(judged[0].detectable)
            else f"{np.mean([one.detectable for one in judged]):.3f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):+.3f} ({min(values):+.3f} to {max(values):+.3f})"


@contextmanager
def shuffled_splitter() -> Iterator[None]:
    """Plant the split of many public pipelines: rows shuffled into folds, overlaps and all."""
    honest = Trainer.fold

    def shuffled(self: Trainer, fold: Fold, development_end: int) -> FoldFit:
        def number(panel: Panel) -> npt.NDArray[np.int64]:
            mixed = (panel.session.astype(np.int64) * 7919 + panel.ticker * 104_729) % 1_000_003
            return np.asarray(mixed % SHUFFLED_FOLDS)

        panel, strided = self.panel, self.strided
        of_fold = (fold.number - 1) % SHUFFLED_FOLDS
        known = known_mask(strided.label_end, development_end)
        window = strided.take(known & (number(strided) != of_fold))
        test = panel.take(known_mask(panel.label_end, development_end) & (number(panel) == of_fold))
        model = self.fit(window, self.config.n_estimators)
        ends = int(window.session[0]), int(window.session[-1])
        rows = len(window.session)
        return FoldFit(fold, model, None, ends, rows, 0, (), test, model.predict(test.features))

    Trainer.fold = shuffled  # type: ignore[method-assign]
    try:
        yield
    finally:
        Trainer.fold = honest  # type: ignore[method-assign]


def _oracle(bars: pl.DataFrame, predictions: pl.DataFrame) -> float:
    """Mean rank IC of the planted momentum on the dates of the walk-forward."""
    past = bars.sort("ticker", "date").with_columns(
        (pl.col("close") / pl.col("close").shift(SIGNAL_DAYS) - 1).over("ticker").alias("score")
    )
    walked = predictions.filter(pl.col("part") == "walk_forward").drop("score")
    joined = walked.join(past.select("date", "ticker", "score"), on=["date", "ticker"])
    return float(daily_ic(joined)["rank_ic"].to_numpy().mean())


def _write_page(table: str) -> None:
    """Put the table between its marks."""
    page = Path("docs/evaluation.md")
    before, _, rest = page.read_text().partition(START)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{START}\n\n{table}\n{END}{after}")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    _write_page(calibration_table({case: judge_case(case, target) for case in CASES}))
