"""Whether labels hold what they say, and are known when they say."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping

import numpy as np
import polars as pl

from src.v2.data.universe import member_rows
from src.v2.evaluation.leakage.feature_probes import perturb
from src.v2.evaluation.leakage.finding import Finding
from src.v2.modeling.labels import MAX_STRETCH, LabelPlan, add_labels
from src.v2.modeling.panel import Panel

ROWS_PROTECTED = 400
"""Rows whose two bars are kept while all others change."""

DATES_RECOMPUTED = 40
DELISTED_AT = 0.7


def probe_labels(bars: pl.DataFrame, panel: Panel, plan: LabelPlan, seed: int) -> Finding:
    """Hold the labels of the panel against bars that were changed, and against a slow reference.

    Parameters
    ----------
    bars
        The bars that the panel was made of: | date | ticker | close | and, where a universe is
        given, | is a member |.
    """
    wrong = [
        *_labels_without_future(bars, panel, plan),
        *_labels_that_read_other_bars(bars, plan, seed),
        *_labels_that_know_of_a_delisting(bars, plan),
        *_labels_unlike_the_reference(bars, panel, plan, seed),
    ]
    span = plan.config.span
    known = int((panel.label_end >= 0).sum())
    numbers = {"rows_labelled": known, "dates_recomputed": DATES_RECOMPUTED, "faults": len(wrong)}
    if wrong:
        return Finding("fail", "; ".join(wrong) + ".", numbers)
    return Finding(
        "pass",
        f"the last {span} rows of every ticker have no label; {ROWS_PROTECTED} rows read their "
        f"entry and exit bars alone; known labels stay when a ticker ends; labels of "
        f"{DATES_RECOMPUTED} dates recomputed bar by bar are the same.",
        numbers,
    )


def _labels_without_future(bars: pl.DataFrame, panel: Panel, plan: LabelPlan) -> list[str]:
    """Find labels on rows whose exit bar has not come."""
    left = pl.col("date").rank("ordinal", descending=True).over("ticker") - 1
    late = bars.select("date", "ticker", left=left).filter(pl.col("left") < plan.config.span)
    known = panel.keys.filter(
        pl.col("label").is_not_null() | pl.col("forward_return").is_not_null()
    )
    found = known.join(late, on=["date", "ticker"])
    if found.is_empty():
        return []
    date, ticker = found.select("date", "ticker").row(0)
    return [
        f"{found.height} rows have a label though fewer than {plan.config.span} bars of their "
        f"ticker follow, as {ticker} on {date}"
    ]


def _labels_that_read_other_bars(bars: pl.DataFrame, plan: LabelPlan, seed: int) -> list[str]:
    """Change every bar but the entry and exit of some rows: their forward return must stay."""
    lag, span = plan.config.entry_lag, plan.config.span
    bars = bars.select("date", "ticker", "close").sort("ticker", "date")
    labels = add_labels(bars, plan)
    there = labels.filter(pl.col("forward_return").is_not_null())
    if there.is_empty():
        return []
    rows = there.sample(min(ROWS_PROTECTED, there.height), seed=seed).select(
        "date", "ticker", "forward_return"
    )
    placed = bars.with_columns(bar=pl.int_range(pl.len()).over("ticker"))
    chosen = placed.join(rows, on=["date", "ticker"]).select("ticker", "bar")
    kept = pl.concat([chosen.with_columns(pl.col("bar") + step) for step in (lag, span)]).unique()
    kept = kept.with_columns(kept=pl.lit(True))
    marked = placed.join(kept, on=["ticker", "bar"], how="left").drop("bar")
    changed = perturb(marked, pl.col("kept").is_null(), seed).drop("kept")
    after = add_labels(changed, plan).select("date", "ticker", after="forward_return")
    both = rows.join(after, on=["date", "ticker"], how="left")
    moved = both.filter(
        ~(pl.col("after") - pl.col("forward_return")).abs().le(1e-9).fill_null(False)
    )
    if moved.is_empty():
        return []
    date, ticker = moved.select("date", "ticker").row(0)
    return [
        f"{moved.height} of {rows.height} forward returns change with bars that are neither their "
        f"entry nor their exit, as {ticker} on {date}"
    ]


def _labels_that_know_of_a_delisting(bars: pl.DataFrame, plan: LabelPlan) -> list[str]:
    """Let a ticker end: labels that were known by then must stay."""
    bars = bars.select("date", "ticker", "close")
    sessions = bars["date"].unique().sort()
    day = sessions[int(len(sessions) * DELISTED_AT)]
    ticker = bars.group_by("ticker").len().sort("len", "ticker", descending=True)["ticker"][0]
    gone = (pl.col("ticker") == ticker) & (pl.col("date") > day)
    before, after = (
        add_labels(table, plan)
        .filter(pl.col("label_end") <= day)
        .select("date", "ticker", "label", "forward_return", "label_end")
        for table in (bars, bars.filter(~gone))
    )
    if before.equals(after):
        return []
    return [f"labels known by {day} change when {ticker} ends after it"]


def _labels_unlike_the_reference(
    bars: pl.DataFrame, panel: Panel, plan: LabelPlan, seed: int
) -> list[str]:
    """Recompute the labels of some dates one bar at a time."""
    keys = panel.keys.filter(pl.col("label").is_not_null())
    dates = keys["date"].unique().sort()
    if dates.is_empty():
        return []
    chosen = dates.sample(min(DATES_RECOMPUTED, len(dates)), seed=seed).sort().to_list()
    sessions = {day: place for place, day in enumerate(bars["date"].unique().sort().to_list())}
    by_ticker = {
        str(name[0]): (part["date"], part["close"])
        for name, part in bars.sort("date").group_by("ticker")
    }
    listed = member_rows(bars).filter(pl.col("date").is_in(chosen)).group_by("date")
    members = {str(day[0]): set(part["ticker"]) for day, part in listed}
    wrong: list[str] = []
    for day in chosen:
        futures = {}
        for name in sorted(members[str(day)]):
            days, closes = by_ticker[name]
            future = _future(days, closes, day, plan)
            # A label that a halt stretched too far is none.
            if future and sessions[future[1]] - sessions[day] <= MAX_STRETCH * plan.config.span:
                futures[name] = future
        wrong += _differences(keys.filter(pl.col("date") == day), futures, plan)
    return [f"{len(wrong)} labels are not what their bars say: {wrong[0]}"] if wrong else []


def _future(
    days: pl.Series, closes: pl.Series, day: dt.date, plan: LabelPlan
) -> tuple[float, dt.date] | None:
    """Give the forward return of one ticker on one date, and when it is known."""
    place = int(days.search_sorted(day))
    if place >= len(days) or days[place] != day or place + plan.config.span >= len(days):
        return None
    entry, leave = place + plan.config.entry_lag, place + plan.config.span
    return closes[leave] / closes[entry] - 1, days[leave]


def _differences(
    rows: pl.DataFrame, futures: Mapping[str, tuple[float, dt.date]], plan: LabelPlan
) -> list[str]:
    """Compare one date's rows with the reference."""
    wrong: list[str] = []
    returns = np.array([rate for rate, _ in futures.values()])
    last = max((known for _, known in futures.values()), default=dt.date.min)
    columns = ("ticker", "date", "forward_return", "label", "label_end")
    for ticker, date, rate, label, known in rows.select(columns).iter_rows():
        if ticker not in futures:
            wrong.append(f"{ticker} on {date} has no exit bar")
            continue
        expected, own_end = futures[ticker]
        slow = slow_label(expected, returns, plan)
        if abs(rate - expected) > 1e-9:
            wrong.append(f"{ticker} on {date} returns {expected:+.4f}, not {rate:+.4f}")
        elif abs(label - slow) > 1e-5 + 1e-5 * abs(slow):
            wrong.append(f"{ticker} on {date} should be labelled {slow:.4f}, not {label:.4f}")
        elif known < (last if plan.cross_sectional else own_end):
            wrong.append(f"{ticker} on {date} is not known on {known} already")
    return wrong


def slow_label(
    future: float, others: np.ndarray[tuple[int, ...], np.dtype[np.float64]], plan: LabelPlan
) -> float:
    """Label one forward return among those of its date, itself included.

    Parameters
    ----------
    future
        Forward return (fraction).
    others
        Forward returns of all tickers of the date.
    """
    below, equal = int((others < future).sum()), int((others == future).sum())
    share = (below + (equal + 1) / 2 - 0.5) / len(others)
    if plan.rule == "median":
        return float(future > np.median(others))
    if plan.rule == "sign":
        return float(future > 0)
    if plan.rule == "quintile":
        return float(math.floor(share * len(plan.classes)))
    if plan.rule == "fixed":
        return float(sum(future > limit for limit in plan.config.rating_thresholds))
    if plan.target == "excess":
        return float(future - others.mean())
    return share - 0.5 if plan.target == "rank" else future
