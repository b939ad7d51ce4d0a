"""The bars store behind the real yfinance, talking to a local server."""

from __future__ import annotations

import datetime as dt
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.v2.config import DataConfig, YahooConfig
from src.v2.data import sources, yahoo
from src.v2.data.sources import load_bars
from src.v2.data.store import Outcome, read_stored, update_store
from src.v2.data.store_bars import stored_bars
from src.v2.data.store_file import TEMPORARY, StoredBars, file_name, read_bars, write_bars
from src.v2.data.store_lock import LOCK_NAME, writing
from src.v2.data.windows import Window
from src.v2.data.yahoo import download_bars
from src.v2.errors import OmninmoError, SourceUnavailable
from src.v2.tests.data.yahoo_server import NOT_FOUND, YahooServer, chart, no_data, opening
from src.v2.tests.full_disk import small_files

FAST = YahooConfig(batch_size=5, timeout_sec=5.0, attempts=2, backoff_sec=0.01)
START = dt.date(2019, 9, 3)
HOLIDAYS = (dt.date(2019, 11, 28), dt.date(2019, 12, 25), dt.date(2020, 1, 1), dt.date(2020, 1, 20))
EVERY_DAY = [START + dt.timedelta(days=n) for n in range(180)]
DAYS = [day for day in EVERY_DAY if day.weekday() < 5 and day not in HOLIDAYS]
THEN, LATER = 60, 75
"""Sessions that have ended at the first and at the second fetch."""


def closes_of(days: list[dt.date] = DAYS, seed: int = 1) -> list[float | None]:
    steps = np.random.default_rng(seed).normal(0, 0.02, len(days))
    return [float(close) for close in 100 * np.exp(np.cumsum(steps))]


CLOSES = closes_of()


def evening(sessions: int) -> dt.datetime:
    """The evening after a number of sessions."""
    return dt.datetime.combine(DAYS[sessions - 1], dt.time(20), ZoneInfo("America/New_York"))


def update(
    folder: Path, *tickers: str, sessions: int = LATER, **changes: Any
) -> dict[str, Outcome]:
    config = changes.pop("config", FAST)
    window = changes.pop("window", Window(START))
    newest = changes.pop("newest", DAYS[sessions - 1])
    return update_store(folder, tickers, config, window, newest, **changes)


def direct(*tickers: str, sessions: int = LATER, start: dt.date = START) -> pl.DataFrame:
    return download_bars(tickers, FAST, "10y", start, now=evening(sessions))[0]


def stored(folder: Path, ticker: str) -> pl.DataFrame:
    return read_stored(folder, [ticker])[ticker].bars


def day_of(query: dict[str, list[str]]) -> dt.date:
    moment = dt.datetime.fromtimestamp(int(query["period1"][0]), ZoneInfo("America/New_York"))
    return moment.date()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a store" / "of bars"


def test_only_the_missing_tail_is_asked_for(server: YahooServer, folder: Path) -> None:
    server.history("TAIL", DAYS, CLOSES)
    assert update(folder, "TAIL", sessions=THEN) == {"TAIL": Outcome("new")}
    assert stored(folder, "TAIL")["date"].to_list() == DAYS[:THEN]
    assert update(folder, "TAIL") == {"TAIL": Outcome("tail")}
    assert day_of(server.queries["TAIL"][-1]) == DAYS[THEN - FAST.overlap]
    assert stored(folder, "TAIL").equals(direct("TAIL"))
    assert update(folder, "TAIL") == {"TAIL": Outcome("kept")}
    assert update(folder, "TAIL", sessions=LATER + 1) == {"TAIL": Outcome("tail")}


def test_nothing_is_asked_while_no_session_has_ended(server: YahooServer, folder: Path) -> None:
    friday = DAYS.index(dt.date(2019, 11, 22)) + 1
    server.history("REST", DAYS, CLOSES)
    server.history("COIN", EVERY_DAY, closes_of(EVERY_DAY))
    update(folder, "REST", "COIN", sessions=friday)
    asked = server.asked["REST"]
    for newest in (dt.date(2019, 11, 22), dt.date(2019, 11, 23), dt.date(2019, 11, 24)):
        assert update(folder, "REST", newest=newest) == {"REST": Outcome("kept")}
    assert server.asked["REST"] == asked
    sunday = update(folder, "REST", "COIN", newest=dt.date(2019, 11, 24))
    assert (sunday["REST"].action, sunday["COIN"].action) == ("kept", "tail")
    assert stored(folder, "COIN")["date"].max() == dt.date(2019, 11, 24)
    assert update(folder, "REST", newest=dt.date(2019, 11, 25))["REST"].action == "tail"


def test_a_past_window_that_is_stored_is_asked_for_once(server: YahooServer, folder: Path) -> None:
    server.history("PAST", DAYS[:40], CLOSES[:40])
    window = Window(START, DAYS[45])
    for action in ("new", "kept"):
        assert update(folder, "PAST", window=window, sessions=LATER)["PAST"].action == action
    shorter = Window(DAYS[5], DAYS[30])
    assert update(folder, "PAST", window=shorter)["PAST"].action == "kept"


@pytest.mark.parametrize("kind", ["split", "dividend"])
def test_a_changed_adjustment_fetches_the_whole_history(
    server: YahooServer, folder: Path, kind: str
) -> None:
    server.history("ADJU", DAYS, CLOSES)
    update(folder, "ADJU", sessions=THEN)
    before = THEN + 4
    factor = 0.25 if kind == "split" else 0.995
    ratios = [factor] * before + [1.0] * (len(DAYS) - before)
    if kind == "split":
        halved = [close and close * ratio for close, ratio in zip(CLOSES, ratios, strict=True)]
        server.history("ADJU", DAYS, halved)
    else:
        server.history("ADJU", DAYS, CLOSES, ratios)
    outcome = update(folder, "ADJU")["ADJU"]
    assert outcome.action == "again"
    assert outcome.reason.endswith(f"changed its closes by a factor of {factor}")
    assert stored(folder, "ADJU").equals(direct("ADJU"))


def test_a_rounding_is_no_new_adjustment(server: YahooServer, folder: Path) -> None:
    server.history("NEAR", DAYS, CLOSES)
    update(folder, "NEAR", sessions=THEN)
    server.history("NEAR", DAYS, [close and close * (1 + 5e-5) for close in CLOSES])
    assert update(folder, "NEAR")["NEAR"].action == "tail"


def test_a_provisional_last_bar_is_replaced(server: YahooServer, folder: Path) -> None:
    early = [*CLOSES[: THEN - 1], 55.5, *CLOSES[THEN:]]
    server.history("PROV", DAYS, early)
    update(folder, "PROV", sessions=THEN)
    server.history("PROV", DAYS, CLOSES)
    assert update(folder, "PROV") == {"PROV": Outcome("tail")}
    assert stored(folder, "PROV").equals(direct("PROV"))


def test_a_newest_bar_that_yahoo_takes_back_stays(server: YahooServer, folder: Path) -> None:
    server.history("BACK", DAYS[:THEN], CLOSES[:THEN])
    update(folder, "BACK", sessions=THEN)
    server.history("BACK", DAYS[: THEN - 1], CLOSES[: THEN - 1])
    assert update(folder, "BACK")["BACK"].action == "tail"
    assert stored(folder, "BACK")["date"].to_list() == DAYS[:THEN]


def test_the_bars_of_one_session_are_too_few_to_compare(server: YahooServer, folder: Path) -> None:
    server.history("ONE1", DAYS, CLOSES)
    update(folder, "ONE1", window=Window(DAYS[THEN - 1]), sessions=THEN)
    outcome = update(folder, "ONE1", window=Window(DAYS[THEN - 1]))["ONE1"]
    assert outcome == Outcome("again", "no earlier close to compare with")
    assert stored(folder, "ONE1")["date"].to_list() == DAYS[THEN - 1 : LATER]


def test_an_earlier_start_fetches_the_whole_history(server: YahooServer, folder: Path) -> None:
    server.history("LONG", DAYS, CLOSES)
    update(folder, "LONG", window=Window(DAYS[30], DAYS[70]))
    outcome = update(folder, "LONG", window=Window(START, DAYS[50]))["LONG"]
    assert outcome == Outcome("again", f"wanted from {START}, stored from {DAYS[30]}")
    assert stored(folder, "LONG")["date"].to_list() == DAYS[:71], "the later bars stay"
    assert update(folder, "LONG", window=Window(None, DAYS[50]))["LONG"].action == "again"
    assert update(folder, "LONG", window=Window(None, DAYS[50]))["LONG"].action == "kept"


def test_full_asks_for_everything_again(server: YahooServer, folder: Path) -> None:
    server.history("FULL", DAYS, CLOSES)
    update(folder, "FULL")
    # Noise below what the overlap can notice.
    server.history("FULL", DAYS, [close and close * (1 + 5e-5) for close in CLOSES])
    assert update(folder, "FULL", window=Window(DAYS[40]), full=True)["FULL"].action == "again"
    assert stored(folder, "FULL").equals(direct("FULL"))


def test_a_shorter_history_that_disagrees_never_replaces_a_longer_one(
    server: YahooServer, folder: Path
) -> None:
    server.history("LESS", DAYS, CLOSES)
    update(folder, "LESS", sessions=THEN)
    old = stored(folder, "LESS")
    other = closes_of(seed=2)
    server.history("LESS", DAYS[THEN - 20 :], other[THEN - 20 :])
    outcome = update(folder, "LESS")["LESS"]
    assert outcome.action == "kept"
    assert outcome.reason.startswith("Yahoo's answer lacks 40 of its 60 stored bars and disagrees")
    assert stored(folder, "LESS").equals(old)
    _, failed, remarks = stored_bars(folder, ["LESS"], FAST, "10y", START, now=evening(LATER))
    assert failed == () and remarks == (f"LESS: {outcome.reason}",)


def test_a_shorter_history_that_agrees_is_added(server: YahooServer, folder: Path) -> None:
    server.history("ADDS", DAYS, CLOSES)
    update(folder, "ADDS", window=Window(DAYS[5]), sessions=THEN)
    server.history("ADDS", DAYS[40:], CLOSES[40:])
    outcome = update(folder, "ADDS")["ADDS"]
    assert outcome.action == "again"
    assert outcome.reason.endswith("35 bars that Yahoo no longer gives are kept")
    assert stored(folder, "ADDS")["date"].to_list() == DAYS[5:LATER]


def test_an_answer_with_holes_in_the_overlap_is_not_trusted(
    server: YahooServer, folder: Path
) -> None:
    server.history("GAPY", DAYS, CLOSES)
    update(folder, "GAPY", sessions=THEN)
    whole = server.behaviours["GAPY"]
    gone = [place for place in range(len(DAYS)) if place not in range(THEN - 8, THEN - 4)]
    server.history("GAPY", [DAYS[place] for place in gone], [CLOSES[place] for place in gone])
    outcome = update(folder, "GAPY")["GAPY"]
    assert outcome.reason.startswith("4 of 9 bars were missing in the overlap; 4 bars that Yahoo")
    server.behaviours["GAPY"] = whole
    assert stored(folder, "GAPY").equals(direct("GAPY"))


def test_dates_shifted_by_a_time_zone_are_refused(server: YahooServer, folder: Path) -> None:
    server.history("ZONE", DAYS, CLOSES)
    update(folder, "ZONE", sessions=THEN)
    old = stored(folder, "ZONE")
    server.history("ZONE", [day + dt.timedelta(days=1) for day in DAYS], CLOSES)
    assert update(folder, "ZONE")["ZONE"].action == "kept"
    assert stored(folder, "ZONE").equals(old)


@pytest.mark.parametrize(
    "failure",
    [(404, no_data()), (429, "Too Many"), (200, "<html>"), (200, chart("KEEP", [], []))],
)
def test_what_is_stored_outlives_every_failure(
    server: YahooServer, folder: Path, failure: tuple[int, str]
) -> None:
    server.history("KEEP", DAYS, CLOSES)
    update(folder, "KEEP", sessions=THEN)
    server.always("KEEP", failure[1], status=failure[0])
    outcome = update(folder, "KEEP")["KEEP"]
    assert outcome.action == "failed" and outcome.reason
    assert outcome.unreached == (failure[1] in ("Too Many", "<html>"))
    assert stored(folder, "KEEP")["date"].to_list() == DAYS[:THEN]


def test_a_run_goes_on_without_a_network(server: YahooServer, folder: Path) -> None:
    for name in ("AAA", "BBB"):
        server.history(name, DAYS, CLOSES)
        update(folder, name, sessions=THEN if name == "AAA" else THEN - 3)
    server.close()
    bars, failed, remarks = stored_bars(
        folder, ["AAA", "BBB", "CCC"], FAST, "10y", DAYS[3], now=evening(LATER)
    )
    assert bars.group_by("ticker", maintain_order=True).len().rows() == [("AAA", 57), ("BBB", 54)]
    assert [(drop.ticker, drop.reason) for drop in failed] == [("CCC", "no connection to Yahoo")]
    assert remarks == (
        "Yahoo could not be reached (2 x no connection to Yahoo): the stored bars are used, which "
        f"end on {DAYS[THEN - 1]} or before (BBB to {DAYS[THEN - 4]})",
    )
    remark = stored_bars(folder, ["AAA"], FAST, "max", now=evening(LATER))[2][0]
    assert remark.endswith(f"; 1 of them hold nothing before {START}, although asked for")
    with pytest.raises(SourceUnavailable, match=r"Yahoo gave no bars for CCC, DDD \(2 x no conn"):
        stored_bars(folder, ["CCC", "DDD"], FAST, "10y", now=evening(LATER))


def test_no_connection_is_found_out_by_two_tickers_of_the_first_batch(
    server: YahooServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.close()
    failures: list[Exception] = []
    explain = yahoo._explain

    def counted(error: Exception) -> yahoo.Answer:
        failures.append(error)
        return explain(error)

    monkeypatch.setattr(yahoo, "_explain", counted)
    outcomes = update(folder, *(f"N{n}" for n in range(40)))
    assert len(outcomes) == 40 and all(found.unreached for found in outcomes.values())
    assert len(failures) == 2 * FAST.attempts


def test_a_run_sees_only_its_window(server: YahooServer, folder: Path) -> None:
    server.history("WIDE", DAYS, CLOSES)
    update(folder, "WIDE")
    bars = stored_bars(folder, ["WIDE"], FAST, "10y", DAYS[3], DAYS[30], now=evening(LATER))[0]
    assert bars["date"].to_list() == DAYS[3:31]
    bars = stored_bars(folder, ["WIDE"], FAST, "10y", DAYS[3], now=evening(40))[0]
    assert bars["date"].to_list() == DAYS[3:40]
    bars = stored_bars(folder, ["WIDE"], FAST, "10y", DAYS[3], DAYS[50], now=evening(40))[0]
    assert bars["date"].to_list() == DAYS[3:40]


def test_a_delisted_ticker_keeps_its_past(server: YahooServer, folder: Path) -> None:
    for name in ("GONY", "HERE"):
        server.history(name, DAYS, CLOSES)
    update(folder, "GONY", "HERE", sessions=THEN)
    server.always("GONY", no_data(), status=404)
    server.always("GONE zone", no_data(), status=404)
    bars, failed, remarks = stored_bars(
        folder, ["GONY", "HERE"], FAST, "10y", START, now=evening(LATER)
    )
    assert failed == () and set(bars["ticker"]) == {"GONY", "HERE"}
    (remark,) = remarks
    assert remark.startswith(f"Yahoo gave nothing new for GONY to {DAYS[THEN - 1]} (1 x ")


def test_a_run_from_the_store_equals_a_direct_download(
    server: YahooServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("BBB", "AAA", "MKT")):
        closes = closes_of(seed=seed)
        closes[7] = None
        server.history(name, DAYS, closes, [0.5] * 20 + [1.0] * (len(DAYS) - 20))
    end = DAYS[LATER]
    config = DataConfig(
        tickers=("bbb", "AAA", "NONE"), market_ticker="mkt", start=DAYS[3], end=end, yahoo=FAST
    )
    expected = load_bars(config)
    for last in (DAYS[20], DAYS[40], end):
        part = config.model_copy(update={"end": last})
        bars, market, coverage = load_bars(part, (), folder)
    assert bars.equals(expected[0]) and expected[1] is not None
    assert market is not None and market.equals(expected[1])
    # What yfinance says of an unknown ticker depends on which of its questions it gives up at.
    assert [drop.ticker for drop in coverage.drops] == ["NONE"]
    assert replace(coverage, drops=()) == replace(expected[2], drops=())
    monkeypatch.setattr(sources, "stored_bars", None)
    off = config.model_copy(update={"yahoo": FAST.model_copy(update={"store": False})})
    assert load_bars(off, (), folder)[2].fingerprint == expected[2].fingerprint


events = st.lists(
    st.tuples(st.integers(1, len(DAYS) - 1), st.sampled_from([0.5, 2.0, 0.99, 0.97])), max_size=3
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cuts=st.lists(st.integers(1, len(DAYS)), min_size=1, max_size=4).map(sorted),
    changes=events,
    overlap=st.integers(3, 15),
    listed=st.integers(0, 30),
    provisional=st.booleans(),
)
def test_a_download_and_its_tails_equal_one_download(
    server: YahooServer,
    tmp_path_factory: pytest.TempPathFactory,
    cuts: list[int],
    changes: list[tuple[int, float]],
    overlap: int,
    listed: int,
    provisional: bool,
) -> None:
    folder = tmp_path_factory.mktemp("store")
    config = FAST.model_copy(update={"overlap": overlap})
    for cut in cuts:
        ratios = np.ones(len(DAYS))
        for day, factor in changes:
            if day < cut:
                ratios[:day] *= factor
        closes = list(CLOSES)
        if provisional and cut < cuts[-1]:
            closes[cut - 1] = 1.01 * (CLOSES[cut - 1] or 0)
        server.history("PROP", DAYS[listed:], closes[listed:], [float(r) for r in ratios[listed:]])
        update(folder, "PROP", sessions=cut, config=config)
    if cuts[-1] <= listed:
        assert read_stored(folder, ["PROP"]) == {}
        return
    whole = direct("PROP", sessions=cuts[-1])
    assert stored(folder, "PROP").equals(whole)


def test_a_second_try_asks_only_for_what_is_missing(server: YahooServer, folder: Path) -> None:
    names = [f"R{n}" for n in range(12)]
    for name in names[:7]:
        server.history(name, DAYS, CLOSES)
    for name in names[7:]:
        server.always(name, "Too Many Requests", status=429)
    first = update(folder, *names)
    assert [first[name].action for name in names] == ["new"] * 7 + ["failed"] * 5
    asked = {name: server.asked[name] for name in names[:7]}
    for name in names[7:]:
        server.history(name, DAYS, CLOSES)
    second = update(folder, *names)
    assert [second[name].action for name in names] == ["kept"] * 7 + ["new"] * 5
    assert {name: server.asked[name] for name in names[:7]} == asked


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _flip(path: Path) -> None:
    """Change one value and keep the file readable, with its old digest."""
    facts = pl.read_parquet_metadata(path)["omninmo"]
    bars = pl.read_parquet(path).with_columns(close=pl.col("close") + (pl.col("close") > 100))
    bars.write_parquet(path, metadata={"omninmo": facts})


def _rename(path: Path) -> None:
    other = StoredBars(_bars("OTHER"), START, DAYS[-1], DAYS[-1])
    write_bars(path.parent, "OTHER", other)
    (path.parent / file_name("OTHER")).replace(path)


def _age(path: Path) -> None:
    facts = pl.read_parquet_metadata(path)["omninmo"].replace('version": 1', 'version": 99')
    pl.read_parquet(path).write_parquet(path, metadata={"omninmo": facts})


def _strip(path: Path) -> None:
    pl.read_parquet(path).write_parquet(path)


def _bars(ticker: str) -> pl.DataFrame:
    numbers = {name: CLOSES for name in ("open", "high", "low", "close", "volume")}
    bars = pl.DataFrame({"date": DAYS, **numbers})
    return bars.select("date", pl.lit(ticker).alias("ticker"), pl.exclude("date"))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_cut, "its file cannot be read"),
        (lambda path: path.write_bytes(b""), "its file cannot be read"),
        (lambda path: path.write_bytes(b"PAR1" + bytes(900) + b"PAR1"), "its file cannot be read"),
        (_flip, "its file was changed"),
        (_rename, "its file is that of another ticker"),
        (_age, "its file is of another version of this program"),
        (_strip, "its file is not one of this store"),
    ],
    ids=["cut", "empty", "zeros", "flip", "rename", "age", "strip"],
)
def test_a_damaged_file_is_fetched_again_and_named(
    server: YahooServer,
    folder: Path,
    damage: Any,
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.history("HARM", DAYS, CLOSES)
    update(folder, "HARM")
    damage(folder / file_name("HARM"))
    assert read_stored(folder, ["HARM"]) == {}
    server_is_there = dict(server.behaviours)
    server.always("HARM", "Too Many Requests", status=429)
    assert update(folder, "HARM")["HARM"].reason == f"rate limited by Yahoo; {why}"
    server.behaviours = server_is_there
    assert update(folder, "HARM") == {"HARM": Outcome("again", why)}
    assert capsys.readouterr().err.count(f"note: HARM: {why}; it is asked for again.") == 2
    assert stored(folder, "HARM").equals(direct("HARM"))


def test_a_disk_that_takes_no_more_leaves_the_older_bars_and_says_why(folder: Path) -> None:
    folder.mkdir(parents=True)
    write_bars(folder, "FULL", StoredBars(_bars("FULL").head(5), START, DAYS[4], DAYS[4]))
    whole = StoredBars(_bars("FULL"), START, DAYS[-1], DAYS[-1])
    with small_files(1000), pytest.raises(OSError, match="File too large"):
        write_bars(folder, "FULL", whole)
    kept = read_bars(folder, "FULL")
    assert kept is not None and kept.bars.height == 5
    assert len(list(folder.iterdir())) == 1


def test_any_flipped_byte_is_found_or_harmless(folder: Path) -> None:
    folder.mkdir(parents=True)
    whole = StoredBars(_bars("BITS"), START, DAYS[-1], DAYS[-1])
    write_bars(folder, "BITS", whole)
    path = folder / file_name("BITS")
    content = path.read_bytes()
    found = 0
    for place in np.random.default_rng(0).integers(0, len(content), 300):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        read = read_stored(folder, ["BITS"])
        found += not read
        assert not read or read["BITS"].bars.equals(whole.bars)
    assert found > 150


def test_hostile_tickers_stay_inside_the_folder(server: YahooServer, folder: Path) -> None:
    good = ["^GSPC", "BRK-B", "7203.T", "EURUSD=X", "A&B", "CON"]
    bad = [
        "../../EVIL",
        "/ETC/PASSWD",
        ".HIDDEN",
        "A\x00B",
        "A\nB",
        "\x1b[2J",
        "X" * 300,
        "Ä",
    ]
    for name in good:
        server.history(name, DAYS, CLOSES)
    outcomes = update(folder, *good, *bad)
    assert [outcomes[name].action for name in good] == ["new"] * len(good)
    assert {outcomes[name].action for name in bad} == {"failed"}
    assert list(read_stored(folder, [*good, *bad])) == good
    files = {path.relative_to(folder.parent.parent).parts for path in folder.rglob("*")}
    files |= {path.relative_to(folder.parent.parent).parts for path in folder.parent.rglob("*.p*")}
    assert {parts[-1] for parts in files} == {LOCK_NAME, *map(file_name, good)}
    assert {len(parts) for parts in files} == {3}


@given(st.lists(st.text(st.characters(), min_size=1, max_size=80), unique=True, max_size=8))
def test_file_names_are_safe_and_differ_even_without_case(tickers: list[str]) -> None:
    variants = {*tickers, *(t.lower() for t in tickers), *(t.upper() for t in tickers)}
    names = [file_name(ticker) for ticker in variants]
    assert len({name.casefold() for name in names}) == len(variants)
    for name in names:
        assert name.isascii() and len(name) < 128 and "/" not in name and "\\" not in name
        assert name[0] not in ".-" or name[0] == "-"
        assert name.isprintable() and not name.startswith(TEMPORARY)
        assert name.partition(".")[0] not in ("CON", "NUL", "COM1")


def test_a_second_writer_waits_and_says_for_whom(
    server: YahooServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.history("WAIT", DAYS, CLOSES)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with writing(folder):
            held.set()
            time.sleep(0.4)
            done.set()

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(5)
    outcomes = update(folder, "WAIT")
    assert done.is_set() and outcomes["WAIT"].action == "new"
    other.join()
    note = capsys.readouterr().err
    assert "is being filled by process " in note and "waiting until it is done" in note


def test_what_another_writer_fetched_meanwhile_is_not_asked_for(
    server: YahooServer, folder: Path
) -> None:
    server.history("BOTH", DAYS, CLOSES)
    answers: list[dict[str, Outcome]] = []
    writers = [
        threading.Thread(target=lambda: answers.append(update(folder, "BOTH"))) for _ in range(2)
    ]
    with writing(folder):
        for writer in writers:
            writer.start()
        time.sleep(0.3)
    for writer in writers:
        writer.join()
    assert sorted(answer["BOTH"].action for answer in answers) == ["kept", "new"]
    assert server.bars_asked("BOTH") == 1


def test_readers_need_no_lock_and_no_right_to_write(server: YahooServer, folder: Path) -> None:
    server.history("READ", DAYS, CLOSES)
    update(folder, "READ")
    with writing(folder):
        assert update(folder, "READ")["READ"].action == "kept"
        assert read_stored(folder, ["READ"])["READ"].bars.height == LATER


def test_a_store_that_cannot_be_written_is_named(server: YahooServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OmninmoError, match=r"--paths.bars-dir, or do without: --data.yahoo.store"):
        update(tmp_path / "file", "ANY")


def test_what_a_killed_writer_left_is_removed(server: YahooServer, folder: Path) -> None:
    server.history("LEFT", DAYS, CLOSES)
    folder.mkdir(parents=True)
    (folder / f"{TEMPORARY}123-X.parquet").write_bytes(b"half")
    (folder / "MINE.txt").write_text("stays")
    update(folder, "LEFT")
    assert {path.name for path in folder.iterdir()} == {LOCK_NAME, "MINE.txt", "LEFT.parquet"}


def test_the_reason_of_yahoo_is_passed_on(server: YahooServer, folder: Path) -> None:
    server.history("GOOD", DAYS, CLOSES)
    server.always("GONX", no_data(), status=404)
    outcome = update(folder, "GOOD", "GONX")["GONX"]
    assert outcome.reason in (NOT_FOUND, "unknown to Yahoo", "no timezone found")
    assert not outcome.unreached


def test_the_window_of_a_tail_ends_where_it_was_asked_to(server: YahooServer, folder: Path) -> None:
    server.history("ENDS", DAYS, CLOSES)
    for last in (30, 50):
        update(folder, "ENDS", window=Window(START, DAYS[last]))
    end = opening(DAYS[50] + dt.timedelta(days=1), "America/New_York", dt.time(0))
    assert int(server.queries["ENDS"][-1]["period2"][0]) == end
    assert stored(folder, "ENDS")["date"].to_list() == DAYS[:51]
