"""Which value of a series a session shows, against a search through all of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.data.context import Context
from src.v2.features.as_of import add_series, as_of, known_context, needed_context
from src.v2.features.families import FAMILIES
from src.v2.features.registry import collect_features

START = dt.date(2024, 1, 1)
DAYS = st.integers(0, 60).map(lambda number: START + dt.timedelta(days=number))


def slow(
    sessions: Sequence[dt.date], values: Mapping[dt.date, float], lag: int, max_age: int
) -> list[float | None]:
    """Search, for each session, every value that was known."""
    shown: list[float | None] = []
    for place in range(len(sessions)):
        if place < lag:
            shown.append(None)
            continue
        day = sessions[place - lag]
        known = [date for date in values if date <= day and (day - date).days <= max_age]
        shown.append(values[max(known)] if known else None)
    return shown


def series_of(values: Mapping[dt.date, float]) -> pl.DataFrame:
    rows = sorted(values.items())
    schema = {"date": pl.Date, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


@settings(max_examples=200, deadline=None)
@given(
    sessions=st.sets(DAYS, max_size=40),
    values=st.dictionaries(DAYS, st.floats(-5, 5), max_size=30),
    lag=st.integers(0, 4),
    max_age=st.integers(0, 12),
)
def test_a_session_shows_the_last_value_known(
    sessions: set[dt.date], values: dict[dt.date, float], lag: int, max_age: int
) -> None:
    days = sorted(sessions)
    found = as_of(pl.Series(days, dtype=pl.Date), series_of(values), lag, max_age)
    assert found.to_list() == slow(days, values, lag, max_age)


@settings(max_examples=100, deadline=None)
@given(
    sessions=st.sets(DAYS, min_size=1, max_size=40),
    values=st.dictionaries(DAYS, st.floats(-5, 5), min_size=1, max_size=30),
    day=DAYS,
    lag=st.integers(0, 4),
)
def test_values_dated_later_change_no_earlier_session(
    sessions: set[dt.date], values: dict[dt.date, float], day: dt.date, lag: int
) -> None:
    days = pl.Series(sorted(sessions), dtype=pl.Date)
    rows = series_of(values)
    early = (days <= day).to_list().count(True)
    whole = as_of(days, rows, lag, 7)[:early]
    for other in (rows.filter(pl.col("date") <= day), rows.with_columns(later(day))):
        assert as_of(days, other, lag, 7)[:early].equals(whole, null_equal=True)


def later(day: dt.date) -> pl.Expr:
    """Change what is dated after a day."""
    return pl.when(pl.col("date") > day).then(99.0).otherwise("value").alias("value")


def test_a_weekend_is_looked_back_over_and_a_long_silence_is_not() -> None:
    friday = dt.date(2024, 1, 5)
    sessions = pl.Series([friday + dt.timedelta(days=gap) for gap in (3, 10, 14, 17)])
    shown = as_of(sessions, series_of({friday: 13.5}), 0, 14)
    assert shown.to_list() == [13.5, 13.5, 13.5, None]


def test_each_series_becomes_a_column_by_its_own_lag_of_sessions() -> None:
    days = [START + dt.timedelta(days=number) for number in (0, 1, 4)]
    context = Context({"vix": series_of({days[0]: 1.0, days[1]: 2.0})}, lag=1)
    table = add_series(pl.DataFrame({"date": days}), context)
    assert table["vix"].to_list() == [None, 1.0, 2.0]
    assert add_series(table, None) is table


def test_a_series_counts_as_given_only_where_it_has_values_for_the_bars() -> None:
    dates = pl.Series([dt.date(2024, 3, 1), dt.date(2024, 3, 29)])
    for day, given_ in (
        (dt.date(2024, 2, 1), False),
        (dt.date(2024, 2, 20), True),
        (dt.date(2024, 3, 5), True),
        (dt.date(2024, 4, 1), False),
    ):
        context = Context({"vix": series_of({day: 1.0})})
        assert known_context(context, dates) == ({"vix"} if given_ else set()), day
    assert known_context(Context(sectors={"A": "x"}), dates) == {"sector"}
    assert known_context(None, dates) == set()


def test_needed_is_what_the_features_in_force_read() -> None:
    features = collect_features(FAMILIES, ["context"])
    assert needed_context(features, ["regime_bull"]) == set()
    assert needed_context(features, ["vix_level", "sector_return_20"]) == {"vix", "sector"}
