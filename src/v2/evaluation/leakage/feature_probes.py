"""Whether features read later bars or series of context, or another ticker's bars.

Bars and series are changed where a decision cannot see them, and the features are computed anew:
what stood before the change must stay. Each probe catches what the others miss (a backfill
shows only inside the warm-up, a rank among future constituents only when one of them goes).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.v2.data.context import Context
from src.v2.evaluation.leakage.finding import Finding, skipped, some_names
from src.v2.features.causality import CUTS, changed_features, warm_up_cuts
from src.v2.features.compute import compute_features
from src.v2.features.inputs import market_sessions
from src.v2.features.registry import Feature

TICKERS = 60
"""Most tickers that features are computed for again and again."""

LEAST_GAP = 3
"""Sessions without a bar that make a gap."""

INJECTED_GAP = 15
PERTURBED_AT = 0.6
DELISTED_AT = 0.7
ALONE = 3
"""Tickers that are computed alone."""

NAMES = ("date", "ticker")


@dataclass(frozen=True, slots=True)
class FeatureBench:
    """Bars to probe features on.

    Parameters
    ----------
    bars
        | date | ticker | close | and, where known, more | of some tickers.
    features
        All that are in force.
    own
        Names of the user's own ones, which get more cuts.
    market
        | date | close | of the market, or None.
    full
        The features of these bars.
    context
        Series that all tickers share, and sectors.
    """

    bars: pl.DataFrame
    features: tuple[Feature, ...]
    own: frozenset[str]
    market: pl.DataFrame | None
    full: pl.DataFrame
    context: Context

    @property
    def sessions(self) -> list[dt.date]:
        """Sorted distinct dates of the bars."""
        days: list[dt.date] = self.bars["date"].unique().sort().to_list()
        return days

    def compute(self, bars: pl.DataFrame, last: dt.date | None = None) -> pl.DataFrame:
        """Compute all features on other bars, with market and context up to a date."""
        market = self.market if last is None else _until(self.market, last)
        context = self.context if last is None else self.context.until(last)
        return compute_features(bars, self.features, market, context).frame


def feature_bench(
    bars: pl.DataFrame,
    features: Sequence[Feature],
    own: Iterable[str],
    market: pl.DataFrame | None,
    seed: int,
    context: Context | None = None,
) -> FeatureBench:
    """Choose tickers and compute their features once."""
    sample = sample_tickers(bars, TICKERS, seed)
    chosen = bars.filter(pl.col("ticker").is_in(sample))
    context = context or Context()
    full = compute_features(chosen, features, market, context).frame
    return FeatureBench(chosen, tuple(features), frozenset(own), market, full, context)


def sample_tickers(bars: pl.DataFrame, most: int, seed: int) -> list[str]:
    """Draw tickers without repeats; the one with the longest gap is always among them."""
    names: list[str] = bars["ticker"].unique().sort().to_list()
    if len(names) <= most:
        return names
    drawn = np.random.default_rng(seed).choice(names, most, replace=False).tolist()
    gap = longest_gap(bars)
    if gap is not None and gap[0] not in drawn:
        drawn[0] = gap[0]
    return sorted(drawn)


def longest_gap(bars: pl.DataFrame) -> tuple[str, dt.date, int] | None:
    """Find the ticker with the longest gap, the last bar before it, and its missing sessions."""
    sessions = bars.select(pl.col("date").unique().sort()).with_row_index("session")
    gaps = (
        bars.select("date", "ticker")
        .join(sessions, on="date", how="left")
        .sort("ticker", "date")
        .with_columns(
            missing=pl.col("session").shift(-1).over("ticker").cast(pl.Int64)
            - pl.col("session")
            - 1
        )
        .filter(pl.col("missing") >= LEAST_GAP)
        .sort("missing", "ticker", "date", descending=[True, False, False])
    )
    if gaps.is_empty():
        return None
    ticker, date, missing = gaps.select("ticker", "date", "missing").row(0)
    return ticker, date, int(missing)


def probe_truncation(bench: FeatureBench) -> Finding:
    """Cut the bars after a date: features up to it must stay.

    Cuts lie in the warm-up, just inside a gap of a ticker (made where the bars have none), and
    late.
    """
    sessions = bench.sessions
    own = [item for item in bench.features if item.name in bench.own]
    warm = {*warm_up_cuts(bench.features, len(sessions)), *warm_up_cuts(own, len(sessions), 24)}
    late = {int(len(sessions) * share) for share in CUTS}
    changed: set[str] = set()
    for place in sorted(warm | late):
        changed |= _cut_changes(bench, bench.bars, bench.full, sessions[place])
    bars, full, inside = _with_gap(bench)
    changed |= _cut_changes(bench, bars, full, inside)
    cuts = len(warm | late) + 1
    return _verdict(
        bench,
        changed,
        f"when the bars end earlier ({cuts} cuts: {len(warm)} in the warm-up, 1 inside a gap, "
        f"{len(late)} late)",
        {"cuts": cuts},
    )


def _cut_changes(
    bench: FeatureBench, bars: pl.DataFrame, full: pl.DataFrame, day: dt.date
) -> set[str]:
    early = pl.col("date") <= day
    return set(changed_features(full.filter(early), bench.compute(bars.filter(early), day)))


def _with_gap(bench: FeatureBench) -> tuple[pl.DataFrame, pl.DataFrame, dt.date]:
    """Give bars with a gap, their features, and the gap's first missing session."""
    sessions = bench.sessions
    gap = longest_gap(bench.bars)
    if gap is not None:
        _, last, _ = gap
        return bench.bars, bench.full, sessions[sessions.index(last) + 1]
    start = len(sessions) // 2
    stop = min(start + INJECTED_GAP, len(sessions) - 1)
    ticker = _longest_history(bench.bars)[0]
    inside = pl.col("date").is_between(sessions[start], sessions[stop - 1])
    bars = bench.bars.filter(~((pl.col("ticker") == ticker) & inside))
    return bars, bench.compute(bars), sessions[start]


def probe_future(bench: FeatureBench, seed: int) -> Finding:
    """Multiply all that is after a date by random factors: features up to it must stay."""
    sessions = bench.sessions
    day = sessions[int(len(sessions) * PERTURBED_AT)]
    bars = perturb(bench.bars, pl.col("date") > day, seed)
    market = None if bench.market is None else perturb(bench.market, pl.col("date") > day, seed + 1)
    context = _perturb_context(bench.context, day, seed + 2)
    found = compute_features(bars, bench.features, market, context).frame
    early = pl.col("date") <= day
    changed = set(changed_features(bench.full.filter(early), found.filter(early)))
    rows = bench.full.filter(early).height
    beside = " and value of context" if bench.context.series else ""
    what = f"when every bar{beside} after {day} is multiplied by a random factor"
    return _verdict(bench, changed, what, {"rows_compared": rows})


def perturb(bars: pl.DataFrame, where: pl.Expr, seed: int) -> pl.DataFrame:
    """Multiply the numbers of some bars by random factors, prices of one bar by the same one."""
    rng = np.random.default_rng(seed)
    price = pl.Series(np.exp(rng.normal(0, 0.3, bars.height)))
    other = pl.Series(np.exp(rng.normal(0, 0.3, bars.height)))
    prices = {"open", "high", "low", "close"}
    return bars.with_columns(
        pl.when(where)
        .then(pl.col(name) * (price if name in prices else other))
        .otherwise(pl.col(name))
        .alias(name)
        for name in bars.columns
        if name not in NAMES and bars[name].dtype.is_numeric()
    )


def _perturb_context(context: Context, day: dt.date, seed: int) -> Context:
    """Multiply the later values of every series by random factors."""
    later = pl.col("date") > day
    changed = {
        name: perturb(rows, later, seed + place)
        for place, (name, rows) in enumerate(context.series.items())
    }
    return dataclasses.replace(context, series=changed)


def probe_delisting(bench: FeatureBench) -> Finding:
    """Let the ticker with most bars end: features of all tickers up to then must stay."""
    sessions = bench.sessions
    names = _longest_history(bench.bars)
    if len(names) < 2:
        return skipped("one ticker alone: nobody is left when it ends")
    day = sessions[int(len(sessions) * DELISTED_AT)]
    gone = (pl.col("ticker") == names[0]) & (pl.col("date") > day)
    early = pl.col("date") <= day
    found = bench.compute(bench.bars.filter(~gone)).filter(early)
    changed = set(changed_features(bench.full.filter(early), found))
    return _verdict(bench, changed, f"when {names[0]} ends on {day}", {})


def probe_isolation(bench: FeatureBench) -> Finding:
    """Compute a ticker alone: its ticker-wise features must be those it has among the others."""
    features = [item for item in bench.features if item.scope == "ticker"]
    names = _longest_history(bench.bars)
    if len(names) < 2 or not features:
        return skipped("one ticker, or no ticker-wise feature: nothing to isolate")
    market = bench.market
    if market is None:
        # The mean of the universe is an input of its own; alone, a ticker would be the market.
        level = market_sessions(bench.bars.sort("ticker", "date"))
        market = level.select("date", close="market_level")
    context = bench.context
    together = compute_features(bench.bars, features, market, context).frame
    chosen = [names[0], names[len(names) // 2], names[-1]][: min(ALONE, len(names))]
    changed: set[str] = set()
    for name in dict.fromkeys(chosen):
        own = pl.col("ticker") == name
        alone = compute_features(bench.bars.filter(own), features, market, context).frame
        changed |= set(changed_features(together.filter(own), alone))
    what = f"when {some_names(chosen)} are computed alone"
    numbers = {"tickers_alone": len(chosen), "ticker_wise_features": len(features)}
    return _verdict(bench, changed, what, numbers, tried=len(features))


def _longest_history(bars: pl.DataFrame) -> list[str]:
    """Tickers by the number of their bars, most first."""
    counts = bars.group_by("ticker").len().sort("len", "ticker", descending=[True, False])
    names: list[str] = counts["ticker"].to_list()
    return names


def _verdict(
    bench: FeatureBench,
    changed: set[str],
    what: str,
    numbers: Mapping[str, float],
    tried: int | None = None,
) -> Finding:
    """Fail by name, the user's own features first."""
    guilty = [item.name for item in bench.features if item.name in changed]
    guilty.sort(key=lambda name: name not in bench.own)
    tickers = bench.bars["ticker"].n_unique()
    count = len(bench.full.columns) - 2 if tried is None else tried
    numbers = {"features": count, "guilty": len(guilty), "tickers": tickers, **numbers}
    if guilty:
        return Finding("fail", f"past values change {what}: {some_names(guilty)}.", numbers)
    return Finding("pass", f"{count} features of {tickers} tickers stay {what}.", numbers)


def _until(market: pl.DataFrame | None, last: dt.date) -> pl.DataFrame | None:
    return None if market is None else market.filter(pl.col("date") <= last)
