"""What is odd about the bars themselves: twins, survivors, calendars that do not fit."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.evaluation.leakage.finding import Finding, skipped, some_names
from src.v2.evaluation.portfolio import SESSIONS_A_YEAR
from src.v2.records import UniverseCoverage

Returns = npt.NDArray[np.float64]

TWINS = 0.98
"""Correlation of daily returns from which two tickers are one."""

COMMON_DAYS = 250
ENDED_SESSIONS = 10
"""A last bar this many sessions before the end is an end."""

MISSING_DAYS = 0.01
"""Largest share of member-days without a bar that says little about who failed."""

STRANGE_DATES = 0.8
"""Share of a ticker's dates that at least half of the others should have too."""

LEAD_MARGIN = 0.1
"""By how much the correlation a session off may exceed that of the same session."""

LEAD_DAYS = 100

FEWEST_ENDS = 0.01
"""Share of the tickers that should end in a year; of listed companies several percent do."""

MIN_TICKER_YEARS = 200

JUMP = 0.92
"""Log return from which a move is like that of a split of 5 to 2 that was not adjusted."""


@dataclass(frozen=True, slots=True)
class ReturnGrid:
    """Daily returns side by side.

    Parameters
    ----------
    dates
        Sorted sessions.
    tickers
        Sorted names.
    returns
        Array (dates, tickers): log return since the ticker's last bar, NaN without one.
    """

    dates: tuple[dt.date, ...]
    tickers: tuple[str, ...]
    returns: Returns


def return_grid(bars: pl.DataFrame) -> ReturnGrid:
    """Lay the returns of | date | ticker | close | out by date and ticker."""
    table = bars.sort("ticker", "date").select(
        "date",
        "ticker",
        (pl.col("close") / pl.col("close").shift(1).over("ticker")).log().alias("return"),
    )
    dates, tickers = (table[name].unique().sort() for name in ("date", "ticker"))
    returns = np.full((len(dates), len(tickers)), np.nan)
    rows = dates.search_sorted(table["date"]).to_numpy()
    columns = tickers.search_sorted(table["ticker"]).to_numpy()
    returns[rows, columns] = table["return"].to_numpy()
    return ReturnGrid(tuple(dates.to_list()), tuple(tickers.to_list()), returns)


def probe_duplicates(grid: ReturnGrid) -> Finding:
    """Find pairs of tickers that are one: daily returns correlated above 0.98."""
    names = grid.tickers
    if len(names) < 2:
        return skipped("one ticker has no twin")
    found, days = pairwise_correlation(grid.returns)
    twins = np.argwhere(np.triu((found > TWINS) & (days >= COMMON_DAYS), 1))
    strongest = sorted(((int(i), int(j)) for i, j in twins), key=lambda pair: -found[pair])
    pairs = [f"{names[i]} and {names[j]} ({found[i, j]:.3f})" for i, j in strongest]
    clusters = _clusters(len(names), strongest)
    numbers = {"pairs": len(pairs), "tickers": len(names), "independent": clusters}
    if pairs:
        text = (
            f"{len(pairs)} pairs of tickers move as one: {some_names(pairs)}. The {len(names)} "
            f"tickers are {clusters} independent ones; keep one of each."
        )
        return Finding("warn", text, numbers)
    text = f"no two of {len(names)} tickers correlate above {TWINS} over {COMMON_DAYS} days."
    return Finding("pass", text, numbers)


def pairwise_correlation(returns: Returns) -> tuple[Returns, npt.NDArray[np.int64]]:
    """Correlate columns over the rows that both have.

    Returns
    -------
    tuple
        Arrays (columns, columns): Pearson's correlation, 0 where one does not change, and the
        number of common rows.
    """
    there = (~np.isnan(returns)).astype(np.float64)
    values = np.nan_to_num(returns)
    days = there.T @ there
    count = np.maximum(days, 1)
    sums = values.T @ there
    squares = (values**2).T @ there
    covariance = values.T @ values - sums * sums.T / count
    variance = np.maximum(squares - sums**2 / count, 0.0)
    scale = np.sqrt(variance * variance.T)
    found = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 1e-18)
    return found, days.astype(np.int64)


def _clusters(count: int, pairs: Sequence[tuple[int, int]]) -> int:
    """Count the groups that are left when pairs are joined."""
    root = list(range(count))

    def find(item: int) -> int:
        while root[item] != item:
            item = root[item]
        return item

    for one, other in pairs:
        root[find(one)] = find(other)
    return len({find(item) for item in range(count)})


def probe_survivorship(bars: pl.DataFrame, universe: UniverseCoverage | None = None) -> Finding:
    """Look for the mark of today's survivors: nobody ever leaves, or who left has no bars.

    Parameters
    ----------
    bars
        | date | ticker | of the universe; of its members where a file names them.
    universe
        What is unknown of those members.
    """
    if universe is not None and universe.missing_days > MISSING_DAYS * universe.member_days:
        share = universe.missing_days / universe.member_days
        text = (
            f"the universe names {universe.members} members, of which "
            f"{len(universe.without_bars)} have no bars at all, and bars lack on {share:.1%} of "
            "the member-days: whoever failed is likely to be among them, which raises every "
            "return."
        )
        missing = {"members": universe.members, "without_bars": len(universe.without_bars)}
        return Finding("warn", text, {**missing, "missing_share": share})
    tickers = bars["ticker"].n_unique()
    sessions = bars["date"].unique().sort()
    if len(sessions) <= 252 + ENDED_SESSIONS or tickers < 2:
        return skipped("a year of sessions and two tickers are needed to see anyone leave")
    alive = (
        bars.group_by(pl.col("date").dt.year().alias("year"))
        .agg(pl.col("ticker").n_unique())
        .sort("year")
    )
    counts: list[int] = alive["ticker"].to_list()
    last = bars.group_by("ticker").agg(pl.col("date").max())
    ended = last.filter(pl.col("date") < sessions[-1 - ENDED_SESSIONS]).height
    falls = any(later < earlier for earlier, later in itertools.pairwise(counts))
    numbers: dict[str, float] = {
        "tickers": tickers,
        "first_year": counts[0],
        "last_year": counts[-1],
        "ended": ended,
    }
    years = f"{alive['year'][0]} to {alive['year'][-1]}"
    ticker_years = bars.height / SESSIONS_A_YEAR
    rate = ended / ticker_years
    numbers["ended_a_year"] = rate
    if ended == 0 and not falls:
        text = (
            f"none of {tickers} tickers ends before the last date, and their number never falls "
            f"({counts[0]} to {counts[-1]}, {years}): the universe looks chosen among today's "
            "survivors, which raises every return and favours what fell and came back."
        )
        return Finding("warn", text, numbers)
    said = f"{ended} of {tickers} tickers end before the last date, {rate:.2%} a year"
    if rate < FEWEST_ENDS and ticker_years >= MIN_TICKER_YEARS:
        text = (
            f"{said}: markets lose several percent of their companies a year, so most of those "
            "that left are not in the universe, which raises every return."
        )
        return Finding("warn", text, numbers)
    return Finding("pass", f"{said}.", numbers)


def probe_jumps(grid: ReturnGrid) -> Finding:
    """Find closes that more than double, or lose more than 60%, from one bar to the next."""
    size = np.where(np.isfinite(grid.returns), np.abs(grid.returns), 0.0)
    worst = size.max(axis=0, initial=0.0)
    jumpy = [place for place in np.argsort(-worst) if worst[place] > JUMP]
    numbers = {
        "tickers": len(jumpy),
        "jumps": int((size > JUMP).sum()),
        "largest_factor": float(np.exp(min(worst.max(initial=0.0), 50.0))),
    }
    if not jumpy:
        text = f"no close moves by a factor above {math.exp(JUMP):.1f} from one bar to the next."
        return Finding("pass", text, numbers)
    names = [
        f"{grid.tickers[place]} (x{np.exp(grid.returns[day, place]):.3g} on {grid.dates[day]})"
        for place in jumpy
        for day in [int(size[:, place].argmax())]
    ]
    text = f"moves like splits that were not adjusted: {some_names(names)}."
    return Finding("warn", text, numbers)


def probe_calendar(grid: ReturnGrid) -> Finding:
    """Find tickers on other days than the rest, and tickers a session ahead or behind."""
    if len(grid.tickers) < 3:
        return skipped("fewer than 3 tickers: no common calendar to compare with")
    weekend = [day for day in grid.dates if day.weekday() >= 5]
    strange = _strange_dates(grid)
    shifted = _shifted(grid)
    numbers = {
        "tickers": len(grid.tickers),
        "weekend_dates": len(weekend),
        "other_dates": len(strange),
        "shifted": len(shifted),
    }
    said = []
    if weekend:
        said.append(f"{len(weekend)} dates are on a weekend, as {weekend[0]}")
    if strange:
        said.append(f"on dates that most others lack: {some_names(strange)}")
    if shifted:
        said.append(f"closer to the market a session off than on the day: {some_names(shifted)}")
    if said:
        return Finding("warn", "; ".join(said) + ".", numbers)
    text = f"{len(grid.tickers)} tickers share their dates, and each moves with the market's day."
    return Finding("pass", text, numbers)


def _strange_dates(grid: ReturnGrid) -> list[str]:
    """Name tickers of whose dates fewer than 80% are those of half of the tickers then alive."""
    there = ~np.isnan(grid.returns)
    first = there.argmax(axis=0)
    last = len(there) - 1 - there[::-1].argmax(axis=0)
    place = np.arange(len(there))[:, None]
    alive = (place >= first) & (place <= last) & there.any(axis=0)
    # A ticker may not vouch for its own dates.
    others_there = there.sum(axis=1)[:, None] - there
    others_alive = np.maximum(alive.sum(axis=1)[:, None] - alive, 1)
    usual = others_there / others_alive >= 0.5
    alone = (alive.sum(axis=1)[:, None] - alive) == 0
    share = (there & (usual | alone)).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return [
        f"{name} ({1 - part:.0%} of its dates)"
        for name, part in zip(grid.tickers, share, strict=True)
        if part < STRANGE_DATES
    ]


def _shifted(grid: ReturnGrid) -> list[str]:
    """Name tickers that follow the market of the session before or after more than the day's."""
    there = ~np.isnan(grid.returns)
    values = np.nan_to_num(grid.returns)
    count = there.sum(axis=1)[:, None] - there
    market = np.divide(
        values.sum(axis=1)[:, None] - values,
        count,
        out=np.full(values.shape, np.nan),
        where=count > 0,
    )
    named = []
    for position, name in enumerate(grid.tickers):
        own, rest = grid.returns[:, position], market[:, position]
        same = _correlation(own, rest)
        before, after = _correlation(own[1:], rest[:-1]), _correlation(own[:-1], rest[1:])
        best, which = max((before, "behind"), (after, "ahead"))
        if best > max(same, 0.0) + LEAD_MARGIN + 3 / max(len(own), 1) ** 0.5:
            named.append(f"{name} ({best:.2f} a session {which}, {same:.2f} on the day)")
    return named


def _correlation(some: Returns, others: Returns) -> float:
    both = ~(np.isnan(some) | np.isnan(others))
    if both.sum() < LEAD_DAYS:
        return 0.0
    x, y = some[both] - some[both].mean(), others[both] - others[both].mean()
    length = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / length if length > 0 else 0.0
