"""The portfolio against an account book kept in money, ticker by ticker and day by day."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.evaluation.portfolio import NO_SECTOR, simulate
from src.v2.evaluation.sharpe import deflated_sharpe, probabilistic_sharpe
from src.v2.evaluation_records import Book, Portfolio
from src.v2.tests.synthetic import ragged, random_walk_bars, weekdays

BOOKS = ("long-short", "top", "equal weight", "top less equal weight")


def _panel(seed: int, sessions: int = 70, tickers: int = 23) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bars with halts and ends, and tied scores with a flat, a missing and a null one."""
    rng = np.random.default_rng(seed)
    bars = ragged(random_walk_bars(tickers, sessions, seed), seed)
    dates = weekdays(sessions)
    rows = bars.filter(pl.col("date").is_between(dates[10], dates[-8])).select("date", "ticker")
    scores = rows.with_columns(score=pl.Series(rng.integers(0, 12, rows.height) / 10))
    scores = scores.filter(pl.col("date") != dates[30]).with_columns(
        pl.when(pl.col("date") == dates[25]).then(0.5).otherwise("score").alias("score")
    )
    odd = (pl.int_range(pl.len()) % 17 == 3) & (pl.col("date") > dates[12])
    return scores.with_columns(pl.when(~odd).then("score").alias("score")), bars


@dataclass
class Account:
    """Money, shares by ticker, and what each close brought."""

    cash: float
    shares: dict[str, float]
    gross: dict[dt.date, float]
    net: dict[dt.date, float]
    turnover: dict[dt.date, float]


class SlowPortfolio:
    """Keeps the books with dictionaries alone."""

    def __init__(
        self, scores: pl.DataFrame, bars: pl.DataFrame, hold: int, lag: int, quantile: float
    ) -> None:
        self.hold, self.lag, self.quantile = hold, lag, quantile
        self.sessions = sorted(set(bars["date"]))
        self.bar: dict[tuple[dt.date, str], float] = {
            (day, name): close for day, name, close in bars.iter_rows()
        }
        self.scored: dict[dt.date, list[tuple[float, str]]] = {}
        for day, name, score in scores.iter_rows():
            if score is not None:
                self.scored.setdefault(day, []).append((score, name))
        entries = [self.sessions.index(day) + lag for day in self.scored]
        self.first, self.last = min(entries), max(entries)

    def price(self, ticker: str, session: int) -> float:
        while (self.sessions[session], ticker) not in self.bar:
            session -= 1
        return self.bar[self.sessions[session], ticker]

    def ends(self, session: int) -> dict[str, list[str]]:
        ranked = sorted(self.scored.get(self.sessions[session], []))
        everyone = [name for _, name in ranked]
        if not ranked or ranked[0][0] == ranked[-1][0]:
            return dict.fromkeys(("top", "bottom", "equal weight"), everyone)
        count = max(1, math.floor(round(self.quantile * len(ranked), 6)))
        return {
            "top": everyone[-count:], "bottom": everyone[:count], "equal weight": everyone,
        }  # fmt: skip

    def side(self, end: str, session: int) -> dict[str, float]:
        """Weights wanted after a close: each tranche drifted, then the mean over tranches."""
        weights: dict[str, float] = {}
        for entry in range(session - self.hold + 1, session + 1):
            if entry - self.lag < 0:
                continue
            names = self.ends(entry - self.lag)[end]
            worth = {name: self.price(name, session) / self.price(name, entry) for name in names}
            for name, value in worth.items():
                share = value / sum(worth.values()) / self.hold
                weights[name] = weights.get(name, 0.0) + share
        return weights

    def wanted(self, book: str, session: int) -> dict[str, float]:
        if book != "long-short":
            return self.side(book, session)
        weights = self.side("top", session)
        for name, share in self.side("bottom", session).items():
            weights[name] = weights.get(name, 0.0) - share
        return weights

    def run(self, book: str, cost_bps: float) -> Account:
        account = Account(1_000_000.0, {}, {}, {}, {})
        before = account.cash
        for session in range(self.first, self.last + 1):
            value = {
                name: count * self.price(name, session) for name, count in account.shares.items()
            }
            equity = account.cash + sum(value.values())
            wanted = self.wanted(book, session)
            names = value.keys() | wanted.keys()
            traded = sum(
                abs(wanted.get(name, 0.0) * equity - value.get(name, 0.0)) for name in names
            )
            left = equity - traded * cost_bps / 10_000
            account.shares = {
                name: share * left / self.price(name, session) for name, share in wanted.items()
            }
            account.cash = left - sum(share * left for share in wanted.values())
            if session >= self.first + self.hold:
                day = self.sessions[session]
                account.gross[day] = equity / before - 1
                account.net[day] = left / before - 1
                account.turnover[day] = traded / equity / 2
            before = left
        return account


def _assert_agrees(
    scores: pl.DataFrame, bars: pl.DataFrame, hold: int, lag: int, quantile: float
) -> None:
    fast = simulate(
        scores, bars, forward_days=hold, entry_lag=lag, quantile=quantile, cost_bps=12.5
    )
    assert fast is not None
    slow = SlowPortfolio(scores, bars, hold, lag, quantile)
    for book, column in zip(BOOKS, ("long_short", "top", "equal_weight"), strict=False):
        account = slow.run(book, 12.5)
        assert fast.daily["date"].to_list() == list(account.net)
        np.testing.assert_allclose(fast.daily[column], [*account.net.values()], atol=1e-11)
        if book != "equal weight":
            gross = [*account.gross.values()]
            np.testing.assert_allclose(fast.daily[f"{column}_gross"], gross, atol=1e-11)
        turnover = np.mean([*account.turnover.values()])
        assert _book(fast, book).turnover == pytest.approx(turnover, abs=1e-11)


def _book(portfolio: Portfolio, name: str) -> Book:
    return next(book for book in portfolio.books if book.name == name)


def _simulated(scores: pl.DataFrame, bars: pl.DataFrame, **changes: Any) -> Portfolio:
    settings_ = {"forward_days": 5, "entry_lag": 1, "quantile": 0.2, "cost_bps": 5.0} | changes
    portfolio = simulate(scores, bars, **settings_)
    assert portfolio is not None
    return portfolio


@pytest.mark.parametrize(("hold", "lag"), [(1, 0), (1, 2), (2, 1), (7, 0), (7, 2), (20, 1)])
def test_the_books_agree_with_money_counted_day_by_day(hold: int, lag: int) -> None:
    scores, bars = _panel(hold + lag)
    _assert_agrees(scores, bars, hold, lag, 0.2)


@settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(1, 12), st.integers(0, 2), st.sampled_from([0.05, 0.3, 0.5])
)
def test_the_books_agree_on_any_ragged_panel(
    seed: int, hold: int, lag: int, quantile: float
) -> None:
    scores, bars = _panel(seed, sessions=45)
    _assert_agrees(scores, bars, hold, lag, quantile)


def _plain(sessions: int = 12, tickers: int = 20) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bars that never move, and scores in the order of the names on all but the last days."""
    table = pl.DataFrame(
        {
            "date": [day for day in weekdays(sessions) for _ in range(tickers)],
            "ticker": [f"T{number:02d}" for number in range(tickers)] * sessions,
            "close": [10.0] * sessions * tickers,
            "score": [float(number) for number in range(tickers)] * sessions,
        }
    )
    return table.select("date", "ticker", "score"), table.select("date", "ticker", "close")


def _with_close(bars: pl.DataFrame, ticker: str, first: dt.date, close: float) -> pl.DataFrame:
    there = (pl.col("ticker") == ticker) & (pl.col("date") >= first)
    return bars.with_columns(pl.when(there).then(close).otherwise("close").alias("close"))


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_a_decision_earns_from_the_session_after_its_entry_to_its_end(lag: int) -> None:
    scores, bars = _plain()
    dates = weekdays(12)
    best = pl.col("ticker") == "T19"
    once = scores.with_columns(
        pl.when(best & (pl.col("date") != dates[4])).then(-1.0).otherwise("score").alias("score")
    )
    for jump in range(5, 10):
        higher = _with_close(bars, "T19", dates[jump], 11.0)
        daily = _simulated(once, higher, forward_days=3, entry_lag=lag, cost_bps=0).daily
        held = 4 + lag < jump <= 4 + lag + 3
        # One of three tranches holds it among its 4 tickers of the top, or of the bottom.
        drifted = (2 if held else 3) * -1 / 12 + held * 1 / 12
        found = daily.filter(pl.col("date") == dates[jump])["long_short"].to_list()
        assert found == pytest.approx([0.1 * drifted])


def test_costs_are_paid_on_both_sides_of_every_trade() -> None:
    scores, bars = _plain()
    swapped = scores.with_columns(
        pl.when(pl.col("date").dt.day() % 2 == 0)
        .then(-pl.col("score"))
        .otherwise("score")
        .alias("score")
    )
    still = _simulated(scores, bars, forward_days=1, cost_bps=10)
    assert _book(still, "long-short").turnover == 0
    assert still.daily["long_short"].to_list() == [0.0] * still.sessions
    wild = _simulated(
        swapped.filter(pl.col("date") < weekdays(5)[-1]), bars, forward_days=1, cost_bps=10
    )
    # Each close sells and buys all of both sides: 4 times the capital at 10 bps.
    np.testing.assert_allclose(wild.daily["long_short"], -0.004)
    np.testing.assert_allclose(wild.daily["top"], -0.002)
    np.testing.assert_allclose(wild.daily["equal_weight"], 0, atol=1e-15)
    assert [book.turnover for book in wild.books] == pytest.approx([2, 1, 0, 1])


def test_net_is_gross_less_costs_and_free_trades_cost_nothing() -> None:
    scores, bars = _panel(3)
    free, dear = (_simulated(scores, bars, cost_bps=bps) for bps in (0.0, 30.0))
    np.testing.assert_allclose(free.daily["long_short"], free.daily["long_short_gross"], atol=1e-15)
    assert free.daily["top_gross"].equals(dear.daily["top_gross"])
    traded = 1 - (1 + dear.daily["top"]) / (1 + dear.daily["top_gross"])
    assert traded.mean() == pytest.approx(2 * 0.003 * _book(dear, "top").turnover)


def test_the_order_of_rows_and_labels_changes_nothing() -> None:
    scores, bars = _panel(5)
    labelled = scores.with_columns(label=pl.lit(None, pl.Float32), part=pl.lit("walk_forward"))
    one = _simulated(scores, bars)
    two = _simulated(
        labelled.sample(fraction=1.0, shuffle=True, seed=1),
        bars.sample(fraction=1.0, shuffle=True, seed=2),
    )
    assert one.daily.equals(two.daily)
    assert one.books == two.books


def test_no_bar_after_a_session_changes_its_return() -> None:
    scores, bars = _panel(6)
    cut = weekdays(70)[45]
    later = bars.with_columns(
        pl.when(pl.col("date") > cut).then(pl.col("close") * 3).otherwise("close").alias("close")
    )
    one, two = (_simulated(scores, table).daily for table in (bars, later))
    past = pl.col("date") <= cut
    assert one.filter(past).equals(two.filter(past))
    assert not one.equals(two)


def test_only_the_order_of_scores_counts_and_their_signs_swap_the_ends() -> None:
    bars = random_walk_bars(20, 60, 1)
    noise = np.random.default_rng(0).normal(size=bars.height)
    scores = bars.select("date", "ticker", score=pl.Series(noise))
    one = _simulated(scores, bars)
    two = _simulated(scores.with_columns(pl.col("score").exp()), bars)
    other = _simulated(scores.with_columns(-pl.col("score")), bars)
    assert one.daily.equals(two.daily)
    np.testing.assert_allclose(
        one.daily["long_short_gross"], -other.daily["long_short_gross"], atol=1e-14
    )


def test_scores_that_are_all_the_same_hold_equal_weight_or_cash() -> None:
    bars = random_walk_bars(20, 40, 2)
    flat = _simulated(bars.select("date", "ticker", score=pl.lit(0.3)), bars)
    long_short = _book(flat, "long-short")
    assert flat.daily["long_short"].to_list() == [0.0] * flat.sessions
    assert flat.daily["top"].equals(flat.daily["equal_weight"], check_names=False)
    assert math.isnan(long_short.sharpe.mean) and math.isnan(long_short.psr)
    assert (long_short.max_drawdown, long_short.turnover) == (0, 0)


def test_a_ticker_that_ends_stays_at_its_last_close() -> None:
    scores, bars = _plain()
    dates = weekdays(12)
    fallen = _with_close(bars, "T19", dates[5], 5.0)
    ended = fallen.filter((pl.col("ticker") != "T19") | (pl.col("date") <= dates[5]))
    seen = scores.filter((pl.col("ticker") != "T19") | (pl.col("date") <= dates[5]))
    daily = _simulated(seen, ended, forward_days=3, entry_lag=1, cost_bps=0).daily
    worth = daily["top"].to_list()
    place = daily["date"].to_list().index(dates[5])
    assert worth[place] == pytest.approx(-0.5 / 4)
    assert [value for day, value in enumerate(worth) if day != place] == [0.0] * (len(worth) - 1)


def test_skill_is_found_and_its_interval_holds_it() -> None:
    bars = random_walk_bars(40, 400, 3)
    ahead = (pl.col("close").shift(-6) / pl.col("close").shift(-1)).over("ticker")
    scores = bars.with_columns(score=ahead).select("date", "ticker", "score")
    found = _simulated(scores, bars)
    for name in ("long-short", "top less equal weight"):
        assert _book(found, name).sharpe.low > 4
        assert _book(found, name).psr > 0.999
    assert found.yearly[0][0] == 2010
    total = np.prod([1 + year[2] for year in found.yearly])
    assert total == pytest.approx(np.prod(1 + found.daily["top"].to_numpy()))


def test_the_last_book_is_the_daily_difference_of_the_two() -> None:
    found = _simulated(*_panel(8))
    difference = (found.daily["top"] - found.daily["equal_weight"]).to_numpy()
    book = _book(found, "top less equal weight")
    assert [book.name for book in found.books] == list(BOOKS)
    grown = np.exp(np.log1p(difference).sum() * 252 / len(difference)) - 1
    assert book.annual_return == pytest.approx(grown)
    assert book.annual_volatility == pytest.approx(252**0.5 * difference.std(ddof=1))
    assert book.sharpe.windows == found.sessions == found.daily.height
    assert book.psr == pytest.approx(probabilistic_sharpe(difference))
    turnover = _book(found, "top").turnover - _book(found, "equal weight").turnover
    assert book.turnover == pytest.approx(turnover)
    assert _book(found, "equal weight").turnover > 0


def test_trials_deflate_the_long_short_book_alone() -> None:
    scores, bars = _panel(9)
    alone, tried = (_simulated(scores, bars, trial_sharpes=t) for t in ((), (0.1, -0.1)))
    assert all(book.dsr == book.psr for book in alone.books)
    returns = tried.daily["long_short"].to_numpy()
    assert tried.books[0].dsr == deflated_sharpe(returns, (0.1, -0.1)) < tried.books[0].psr
    assert all(math.isnan(book.dsr) for book in tried.books[1:])


def test_sectors_hold_the_mean_net_weights() -> None:
    scores, bars = _plain()
    sectors = {f"T{number:02d}": "high" if number > 9 else "low" for number in range(18)}
    found = _simulated(scores, bars, sectors=sectors)
    assert found.sectors == pytest.approx({NO_SECTOR: 0.5, "high": 0.5, "low": -1.0})
    assert _simulated(scores, bars).sectors == {}


@pytest.mark.parametrize(("tickers", "share"), [(20, 0.2), (99, 0.2), (100, 0.1)])
def test_the_quantile_follows_the_size_of_the_universe(tickers: int, share: float) -> None:
    scores, bars = _plain(10, tickers)
    found = _simulated(scores, bars, quantile=None, forward_days=1)
    explicit = _simulated(scores, bars, quantile=share, forward_days=1)
    assert found.quantile == share
    assert found.daily.equals(explicit.daily)


def test_small_universes_and_short_histories_have_no_portfolio() -> None:
    rules: dict[str, Any] = {"entry_lag": 1, "quantile": None, "cost_bps": 5.0}
    scores, bars = _plain(12, 20)
    few = scores.filter(pl.col("ticker") != "T00")
    assert simulate(few, bars, forward_days=2, **rules) is None
    assert simulate(scores.clear(), bars, forward_days=2, **rules) is None
    assert simulate(scores, bars, forward_days=9, **rules).sessions == 2  # type: ignore[union-attr]
    assert simulate(scores, bars, forward_days=10, **rules) is None


def test_a_book_that_loses_everything_ends_at_minus_one() -> None:
    scores, bars = _plain()
    dates = weekdays(12)
    soared = _with_close(bars, "T00", dates[5], 1000.0)
    found = _simulated(scores, soared, forward_days=1)
    assert found.daily["long_short"].min() == -1
    assert _book(found, "long-short").max_drawdown == 1
    assert np.isfinite(found.daily["long_short"].to_numpy()).all()


def test_an_end_has_the_share_that_was_asked_for_despite_rounding() -> None:
    scores, bars = _plain(8, 100)
    jump = weekdays(8)[5]
    for number, held in ((70, 0), (71, 1)):
        moved = _with_close(bars, f"T{number}", jump, 20.0)
        found = _simulated(scores, moved, forward_days=1, quantile=0.29, cost_bps=0)
        assert found.daily["top"].sum() == pytest.approx(held / 29)


def test_rows_that_nobody_could_trade_are_left_out() -> None:
    scores, bars = _panel(7)
    listed = bars.filter((pl.col("ticker") != "T000") | (pl.col("date") >= weekdays(70)[40]))
    known = scores.filter((pl.col("ticker") != "T000") | (pl.col("date") >= weekdays(70)[40]))
    odd = pl.col("ticker") == "T003"
    stranger = scores.filter(pl.col("ticker") == "T004").with_columns(ticker=pl.lit("ZZZ"))
    sunday = scores.filter(pl.col("date") == weekdays(70)[34]).with_columns(
        pl.col("date").dt.offset_by("2d")
    )
    dirty = pl.concat([scores, stranger, sunday]).with_columns(
        pl.when(odd).then(float("nan")).otherwise("score").alias("score")
    )
    one = _simulated(known.filter(~odd), listed)
    assert one.daily.equals(_simulated(dirty, listed).daily)
