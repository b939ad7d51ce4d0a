"""Who belongs to the universe when: the file, the marks on bars, and what is unknown."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.v2.config import DataConfig
from src.v2.data.bars import bars_fingerprint
from src.v2.data.sources import load_bars, yahoo_tickers
from src.v2.data.universe import (
    LEAST_MEMBERS,
    MEMBER,
    Universe,
    decision_sessions,
    load_universe,
    mark_members,
    member_rows,
    universe_coverage,
)
from src.v2.errors import DataError
from src.v2.tests.data.test_fetch_command import run
from src.v2.tests.data.test_store import CLOSES, DAYS, LATER
from src.v2.tests.data.yahoo_server import YahooServer
from src.v2.tests.synthetic import FIRST, random_walk_bars, weekdays

NAMES = [f"T{number:03d}" for number in range(12)]
DAY = dt.timedelta(days=1)
SESSIONS = weekdays(60)


def written(folder: Path, *lines: str, header: str = "ticker,from,to", name: str = "u.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def everyone(first: dt.date = FIRST, *but: str) -> list[str]:
    return [f"{name},{first}," for name in NAMES if name not in but]


def files(folder: Path, bars: pl.DataFrame, universe: Path, **changes: Any) -> DataConfig:
    path = folder / "bars.parquet"
    bars.write_parquet(path)
    return DataConfig(source="files", path=path, universe=universe, **changes)


def test_a_span_holds_both_its_dates_and_an_empty_end_is_open(tmp_path: Path) -> None:
    path = written(tmp_path, "A,2020-01-02,2020-01-31", "A,2020-03-02,", "B,2020-02-03,2020-02-03")
    spans = load_universe(path).spans
    assert spans.rows() == [
        ("A", dt.date(2020, 1, 2), dt.date(2020, 1, 31)),
        ("A", dt.date(2020, 3, 2), dt.date.max),
        ("B", dt.date(2020, 2, 3), dt.date(2020, 2, 3)),
    ]


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("Symbol;Start_Date;End_Date", "A;02.01.2020;31.01.2020"),
        ("name,TO,From,Ticker", "Alpha,20200131,20200102,A"),
        ("ticker\tfrom\tto", " A \t2020-01-02 00:00:00\t2020-01-31"),
    ],
)
def test_headers_and_dates_are_read_as_in_other_files(
    tmp_path: Path, header: str, line: str
) -> None:
    spans = load_universe(written(tmp_path, line, header=header)).spans
    assert spans.rows() == [("A", dt.date(2020, 1, 2), dt.date(2020, 1, 31))]


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    text = written(tmp_path, *everyone(), "T000,2009-01-05,2009-06-30")
    table = pl.read_csv(text, try_parse_dates=True)
    table.write_parquet(tmp_path / "u.parquet")
    assert load_universe(tmp_path / "u.parquet").spans.equals(load_universe(text).spans)


def test_spans_of_a_ticker_that_overlap_count_as_one(tmp_path: Path) -> None:
    path = written(
        *(tmp_path, "A,2020-01-02,2020-03-31", "A,2020-02-03,2020-02-28"),
        *("A,2020-03-31,2020-04-30", "A,2020-05-01,", "B,2020-02-03,"),
    )
    universe = load_universe(path)
    assert universe.merged == 2
    assert universe.spans.filter(pl.col("ticker") == "A").rows() == [
        ("A", dt.date(2020, 1, 2), dt.date(2020, 4, 30)),
        ("A", dt.date(2020, 5, 1), dt.date.max),
    ]


@pytest.mark.parametrize(
    ("header", "line", "said"),
    [
        ("ticker,from,until", "A,2020-01-02,", r"has no to, but ticker, from, until"),
        ("company,from,to", "A,2020-01-02,", r"has no ticker, but company"),
        ("ticker,from,to", "A,2020-02-03,2020-01-02", r"from up to to; row 1 .*'2020-01-02' in to"),
        ("ticker,from,to", "A,,2020-01-02", r"a first date; row 1 .*\(A, from None\)"),
        ("ticker,from,to", "A,2020-01-02,soon", r"a date or nothing in to; row 1 .*'soon'"),
        ("ticker,from,to", " ,2020-01-02,", r"a ticker; row 1"),
    ],
)
def test_a_file_that_says_nothing_clear_is_refused(
    tmp_path: Path, header: str, line: str, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        load_universe(written(tmp_path, line, header=header))


def test_dates_that_can_all_be_read_in_two_ways_are_refused(tmp_path: Path) -> None:
    unclear = written(tmp_path, "A,03/04/2019,", "B,05/06/2019,07/08/2019")
    with pytest.raises(DataError, match=r"tell day from month; '03/04/2019' .* two ways"):
        load_universe(unclear)
    clear = written(tmp_path, "A,03/04/2019,", "B,25/06/2019,07/08/2019", name="clear.csv")
    assert load_universe(clear).spans["from"].to_list() == [
        dt.date(2019, 4, 3),
        dt.date(2019, 6, 25),
    ]


def test_a_file_that_cannot_be_read_is_refused_by_the_setting(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.universe must be a CSV or Parquet file"):
        load_universe(tmp_path / "absent.csv")
    with pytest.raises(DataError, match=r"data\.universe must end in \.parquet"):
        load_universe(written(tmp_path, "A,2020-01-02,", name="u.xlsx"))


SPANS = st.lists(
    st.tuples(st.sampled_from(NAMES[:4]), st.integers(0, 59), st.none() | st.integers(0, 59)),
    min_size=1,
    max_size=12,
)


@given(SPANS, st.integers(1, 7))
def test_marks_and_counts_are_those_of_a_slow_reference(
    drawn: list[tuple[str, int, int | None]], gone: int
) -> None:
    spans = [
        (name, SESSIONS[start], None if stop is None else max(SESSIONS[stop], SESSIONS[start]))
        for name, start, stop in drawn
    ]
    spans.append((NAMES[0], SESSIONS[0], None))
    universe = _universe(spans)
    bars = random_walk_bars(4, 60, 1).filter(pl.col("ticker") != f"T00{gone}")
    marked = mark_members(bars, universe)

    def member(name: str, day: dt.date) -> bool:
        return any(
            ticker == name and start <= day <= (stop or dt.date.max)
            for ticker, start, stop in spans
        )

    rows = marked.select("ticker", "date", MEMBER).rows()
    assert all(found == member(name, day) for name, day, found in rows)
    assert marked.drop(MEMBER).equals(bars)
    coverage = universe_coverage(marked, universe, ["X"])
    named = {name for name, _, _ in spans}
    days = sum(member(name, day) for name in named for day in SESSIONS)
    there = sum(found for _, _, found in rows)
    assert coverage.member_days == days and coverage.missing_days == days - there
    assert coverage.without_bars == tuple(sorted(named - set(bars["ticker"])))
    assert coverage.history_rows == bars.height - there
    assert (coverage.members, coverage.outside_tickers) == (len(named), 1)


def _universe(spans: list[tuple[str, dt.date, dt.date | None]]) -> Universe:
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"{name},{start},{stop or ''}" for name, start, stop in spans]
        return load_universe(written(Path(folder), *lines))


def test_a_universe_of_fewer_than_ten_members_is_refused(tmp_path: Path) -> None:
    bars = random_walk_bars(12, 60, 1)
    gone = [f"{name},2001-01-01,2002-01-01" for name in NAMES[9:]]
    path = written(tmp_path, *everyone(FIRST, *NAMES[9:]), *gone)
    with pytest.raises(DataError, match=f"at least {LEAST_MEMBERS} members between .*it has 9"):
        load_bars(files(tmp_path, bars, path))


def test_a_universe_that_ends_long_before_the_bars_is_refused(tmp_path: Path) -> None:
    bars = random_walk_bars(12, 60, 1)
    path = written(tmp_path, *(f"{name},{FIRST},{SESSIONS[50]}" for name in NAMES))
    with pytest.raises(DataError, match=r"at least 95% of the sessions .* got 51 of 60"):
        load_bars(files(tmp_path, bars, path))
    bars, _, coverage = load_bars(files(tmp_path, bars, path, end=SESSIONS[51]))
    assert coverage.sessions == 52 and bars[MEMBER].sum() == 51 * 12


def test_sessions_before_the_first_member_decide_nothing(tmp_path: Path) -> None:
    bars = random_walk_bars(12, 60, 1)
    marked = mark_members(bars, load_universe(written(tmp_path, *everyone(SESSIONS[40]))))
    assert decision_sessions(marked).to_list() == SESSIONS[40:]
    assert member_rows(marked).height == 20 * 12
    assert decision_sessions(bars).to_list() == SESSIONS
    assert member_rows(bars) is bars


def test_members_without_bars_are_counted_and_named(tmp_path: Path) -> None:
    bars = random_walk_bars(14, 60, 1).filter(~pl.col("ticker").is_in(["T003", "T007"]))
    path = written(tmp_path, *everyone())
    marked, _, coverage = load_bars(files(tmp_path, bars, path))
    assert coverage.universe is not None
    assert coverage.universe.without_bars == ("T003", "T007")
    assert coverage.universe.missing_days == 120 and coverage.universe.member_days == 720
    assert coverage.universe.outside_tickers == 2
    assert [drop.ticker for drop in coverage.errors] == ["T003", "T007"]
    notes = " | ".join(coverage.notes)
    assert "2 of 12 members have no bars at all (T003, T007)" in notes
    assert "120 of 720 member-days (16.67%)" in notes
    assert set(marked["ticker"]) == set(NAMES) - {"T003", "T007"}


def test_too_many_members_without_bars_stop_a_run(tmp_path: Path) -> None:
    path = written(tmp_path, *everyone())
    few = random_walk_bars(5, 60, 1)
    with pytest.raises(DataError, match=r"max_dropped_share .*58\.3% were"):
        load_bars(files(tmp_path, few, path))


def test_tickers_choose_among_members_and_nobody_else(tmp_path: Path) -> None:
    bars = random_walk_bars(14, 60, 1)
    path = written(tmp_path, *everyone())
    found, _, coverage = load_bars(files(tmp_path, bars, path, tickers=("T001", "T002")))
    assert coverage.tickers == ("T001", "T002") and found[MEMBER].all()
    with pytest.raises(DataError, match=r"data\.tickers must be members .*T013 never is"):
        load_bars(files(tmp_path, bars, path, tickers=("T001", "T013")))


def test_the_market_ticker_needs_no_membership(tmp_path: Path) -> None:
    bars = random_walk_bars(13, 60, 1)
    path = written(tmp_path, *everyone())
    found, market, coverage = load_bars(files(tmp_path, bars, path, market_ticker="T012"))
    assert market is not None and market.height == 60
    assert set(found["ticker"]) == set(NAMES)
    assert coverage.universe is not None and coverage.universe.outside_tickers == 0


def test_the_fingerprint_is_that_of_who_was_a_member_not_of_the_path(tmp_path: Path) -> None:
    bars = random_walk_bars(12, 60, 1)
    same = [
        written(tmp_path, *everyone(), name="one.csv"),
        written(tmp_path, *reversed(everyone()), name="two.csv"),
    ]
    other = written(tmp_path, *everyone(FIRST, "T004"), f"T004,{SESSIONS[9]},", name="three.csv")
    one, two, three = (
        load_bars(files(tmp_path, bars, path))[2].fingerprint for path in (*same, other)
    )
    assert one == two != three
    assert one != bars_fingerprint(bars)


def test_yahoo_is_asked_for_the_members_of_the_time(tmp_path: Path) -> None:
    gone = "gone,2001-01-02,2005-01-03"
    path = written(tmp_path, *everyone(dt.date(2008, 1, 2)), gone, "brk-b,2010-01-04,")
    config = DataConfig(universe=path, start=dt.date(2009, 1, 2), market_ticker="spy")
    assert yahoo_tickers(config) == ("BRK-B", *NAMES, "SPY")
    early = DataConfig(universe=path, start=dt.date(2003, 1, 2), end=dt.date(2009, 12, 31))
    assert yahoo_tickers(early) == ("GONE", *NAMES)
    assert yahoo_tickers(DataConfig(universe=path, tickers=("aapl",))) == ("AAPL",)


def test_fetch_stores_the_members(
    server: YahooServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES:
        server.history(name, DAYS, CLOSES)
    path = written(tmp_path, *everyone(), "OLDER,2001-01-02,2005-01-03")
    assert run(tmp_path, "--data.universe", str(path), "--format", "csv") == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == NAMES
    assert server.bars_asked("OLDER") == 0
    window = {"start": DAYS[0], "end": DAYS[LATER - 1]}
    config = DataConfig.model_validate({"universe": path, **window, "yahoo": {"attempts": 1}})
    bars, _, coverage = load_bars(config, bars_dir=tmp_path / "bars")
    assert coverage.tickers == tuple(NAMES) and bars[MEMBER].all()
