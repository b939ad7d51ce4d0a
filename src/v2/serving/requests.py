"""Bars that someone sends: checked against hostile rules, and joined to the reference."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from src.v2.data.bars import find_bad_rows
from src.v2.data.columns import PRICES
from src.v2.errors import DataError
from src.v2.modeling.model_card import ModelCard
from src.v2.serving.reference import Reference, needed_sessions, number_columns

MOST_ROWS = 50_000
"""Rows of one request."""

REFRESH = "python -m src.v2.serve (or --build-only FOLDER) builds it again from the newest bars"
MOST_TIMES = 1000.0
"""A price lies within this factor of the ticker's nearest carried close; what is further off is
taken for a slip, since what is computed of it has no meaning and other tickers' ranks read it."""

_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WHOLE_ISO = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z"
_NAMED = 10
_CLIPPED = 40


class RequestError(DataError):
    """A request that cannot be answered; the message is for whoever sent it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Parameters
    ----------
    changed
        Given rows up to the decision that the reference lacks, or has otherwise; with its
        columns, sorted by ticker and date.
    tickers
        Those asked for, sorted.
    day
        The decision date.
    """

    changed: pl.DataFrame
    tickers: tuple[str, ...]
    day: dt.date


@dataclass(frozen=True, slots=True)
class Rules:
    """What a model asks of a request: sessions up to its date, and the tickers it knows."""

    sessions: int
    tickers: tuple[str, ...]


def rules_of(card: ModelCard) -> Rules:
    """Read from a card what a request must hold."""
    return Rules(needed_sessions(card), card.tickers)


def read_request(rows: pl.DataFrame, as_of: str, reference: Reference, rules: Rules) -> Request:
    """Check given bars, and find those that differ from the reference's.

    Rows after the decision, and rows before the reference begins, are left out.

    Parameters
    ----------
    rows
        | date (text, as 2024-01-31) | ticker | and the numbers of `number_columns` |, in any
        order; further columns are left alone. No cell may be missing.
    as_of
        The decision date; empty for the last date given.
    rules
        Of the model.

    Raises
    ------
    RequestError
        Saying what is wrong with the first row or date that is.
    """
    typed = _typed(rows, number_columns(reference))
    _check_rows(typed)
    day = _decision_date(typed, as_of)
    known = reference.universe.members_on(day) if reference.universe else rules.tickers
    _check_tickers(typed["ticker"], known)
    sessions = reference.sessions
    _check_day(day, sessions, rules.sessions)
    inside = typed.filter(pl.col("date").is_between(sessions[0], day))
    strange = inside.filter(~pl.col("date").is_in(sessions.implode()))
    if strange.height:
        raise RequestError(
            f"Each date must be a session of the universe's bars; {strange['date'][0]} (ticker "
            f"{_shown(strange['ticker'][0])}) is none. Leave the row out."
        )
    changed = _changed(inside, reference)
    _check_prices(changed, reference.bars)
    return Request(changed, tuple(typed["ticker"].unique().sort()), day)


def _changed(given: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Leave out the given rows that the reference has, number by number."""
    held = reference.bars
    given = given.select(held.columns).cast(held.schema)
    first, last = given["date"].min(), given["date"].max()
    near = held.filter(pl.col("date").is_between(first, last))
    return given.join(near, on=held.columns, how="anti").sort("ticker", "date")


def joined_bars(
    reference: Reference, request: Request, tickers: pl.Series | None = None
) -> pl.DataFrame:
    """Put the changed rows of a request into the reference, up to its date.

    A row takes the place of the reference's row of its ticker and date, or is added.

    Parameters
    ----------
    tickers
        Whose bars are wanted; None for all.

    Returns
    -------
    polars.DataFrame
        With the columns of the reference, sorted by ticker and date.
    """
    held = reference.bars.filter(pl.col("date") <= request.day)
    if tickers is not None:
        held = held.filter(pl.col("ticker").is_in(tickers.implode()))
    others = held.join(request.changed, on=["ticker", "date"], how="anti")
    return pl.concat([others, request.changed]).sort("ticker", "date")


def _typed(rows: pl.DataFrame, numbers: Sequence[str]) -> pl.DataFrame:
    """Give the columns their types, and refuse what is absent or missing."""
    wanted = ("date", "ticker", *numbers)
    lacking = [name for name in wanted if name not in rows.columns]
    if lacking:
        raise RequestError(
            f"The rows must have the columns {', '.join(wanted)}; {', '.join(lacking)} "
            f"{'is' if len(lacking) == 1 else 'are'} missing."
        )
    if not 0 < rows.height <= MOST_ROWS:
        raise RequestError(f"A request must have 1 to {MOST_ROWS:,} rows; got {rows.height:,}.")
    try:
        typed = rows.select(
            pl.col("date", "ticker").cast(pl.String), pl.col(list(numbers)).cast(pl.Float64)
        )
    except pl.exceptions.PolarsError as error:
        raise RequestError(
            f"Dates and tickers must be text, {', '.join(numbers)} numbers; a cell is neither."
        ) from error
    for name in wanted:
        column = typed[name]
        there = column.is_not_null() if column.dtype == pl.String else column.is_finite()
        missing = (~there.fill_null(False)).arg_true()
        if len(missing):
            what = "missing" if column.dtype == pl.String else "missing or no finite number"
            raise RequestError(f"No cell may be missing; {name} of row {missing[0] + 1} is {what}.")
    return typed.with_columns(_dates(typed["date"]))


def _dates(cells: pl.Series) -> pl.Series:
    """Read ISO dates, and nothing else."""
    formed = cells.str.contains(_WHOLE_ISO) & ~cells.str.starts_with("0000")
    read = cells.str.to_date("%Y-%m-%d", strict=False)
    wrong = (read.is_null() | ~formed).arg_true()
    if len(wrong):
        raise RequestError(
            f"A date must be text as 2024-01-31; row {wrong[0] + 1} has {_shown(cells[wrong[0]])}."
        )
    return read


def _check_rows(typed: pl.DataFrame) -> None:
    """Refuse prices that break a rule of bars, and two rows of one ticker and date."""
    bad = find_bad_rows(typed)
    if bad.height:
        ticker, day, rule = (bad[name][0] for name in ("ticker", "date", "rule"))
        raise RequestError(f"The row of {_shown(ticker)} on {day} breaks a rule: {rule}.")
    twice = typed.filter(pl.struct("ticker", "date").is_duplicated())
    if twice.height:
        raise RequestError(
            "A ticker must have one row a date; "
            f"{_shown(twice['ticker'][0])} has several on {twice['date'][0]}."
        )


def _check_prices(changed: pl.DataFrame, held: pl.DataFrame) -> None:
    """Refuse prices far from what is carried; a ticker's first given close, where nothing is."""
    closes = held.select("ticker", "date", known="close").drop_nulls()
    beside = changed.join_asof(
        closes, on="date", by="ticker", strategy="nearest", check_sortedness=False
    ).with_columns(pl.col("known").fill_null(pl.col("close").first().over("ticker")))
    for name in (name for name in PRICES if name in changed.columns):
        times = pl.col(name) / pl.col("known")
        far = beside.filter(~times.is_between(1 / MOST_TIMES, MOST_TIMES))
        if far.height:
            ticker, day, price, known = far.select("ticker", "date", name, "known").row(0)
            raise RequestError(
                f"A price must lie within a factor of {MOST_TIMES:,.0f} of the ticker's nearest "
                f"carried close; {name} of {_shown(ticker)} on {day} is {price:g}, that close is "
                f"{known:g}. Mend it, or adjust it for splits as the carried bars are."
            )


def _decision_date(typed: pl.DataFrame, as_of: str) -> dt.date:
    """Take the date asked for, or the last one given."""
    last = typed["date"].max()
    assert isinstance(last, dt.date)
    if not as_of:
        return last
    try:
        if not _ISO.fullmatch(as_of):
            raise ValueError
        return dt.date.fromisoformat(as_of)
    except ValueError as error:
        raise RequestError(
            f"as_of must be a date as 2024-01-31, or empty; got {_shown(as_of)}."
        ) from error


def _check_tickers(given: pl.Series, known: Sequence[str]) -> None:
    strange = sorted(set(given) - set(known))
    if strange:
        shown = ", ".join(_shown(name) for name in strange[:_NAMED])
        raise RequestError(
            f"The model does not know {shown}{', …' if len(strange) > _NAMED else ''}: its "
            f"universe is {', '.join(known[:_NAMED])}{', …' if len(known) > _NAMED else ''} "
            f"({len(known)} tickers). Leave the rows out, or train with them."
        )


def _check_day(day: dt.date, sessions: pl.Series, needed: int) -> None:
    """Refuse a decision that the reference has no bars for, or too few before it."""
    first, last = sessions[0], sessions[-1]
    if day not in sessions:
        raise RequestError(
            f"The decision date must be a session of the bars served from, {first} to {last}; "
            f"they lack {day}, so the other tickers are unknown on it. Refresh them: {REFRESH}."
        )
    needed = min(needed, len(sessions))
    before = int((sessions <= day).sum())
    if before < needed:
        raise RequestError(
            f"A decision needs {needed} sessions up to its date; the bars served from begin on "
            f"{first} and have {before} up to {day}. Ask for {sessions[needed - 1]} or later."
        )


def _shown(text: str) -> str:
    """Quote a given text, cut short."""
    return repr(text if len(text) <= _CLIPPED else f"{text[:_CLIPPED]}…")
