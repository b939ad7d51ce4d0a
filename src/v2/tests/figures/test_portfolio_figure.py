"""The equity curve shows the numbers of its record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from src.v2.evaluation.portfolio import simulate, sum_up
from src.v2.evaluation_records import Portfolio
from src.v2.figures.portfolio import equity_curve
from src.v2.figures.style import save_png
from src.v2.tests.golden.finance_data import finance_data
from src.v2.tests.synthetic import random_walk_bars

GOLDEN = Path(__file__).parents[1] / "golden" / "finance_oracles.json"

pytestmark = pytest.mark.filterwarnings("error")


def texts(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    bars = random_walk_bars(20, 160, 2)
    noise = np.random.default_rng(0).normal(size=bars.height)
    scores = bars.select("date", "ticker", score=pl.Series(noise))
    found = simulate(scores, bars, forward_days=5, entry_lag=1, quantile=0.2, cost_bps=5)
    assert found is not None
    return found


def _of_golden_returns() -> Portfolio:
    data = finance_data()
    columns = ("long_short", "top", "equal_weight", "long_short_gross", "top_gross")
    daily = pl.DataFrame({"date": data.return_dates, **dict.fromkeys(columns, data.returns)})
    names = ("long-short", "top", "equal weight", "top less equal weight")
    books = tuple(sum_up(name, data.returns, np.full(len(data.returns), 0.1)) for name in names)
    return Portfolio(0.2, 5.0, daily.height, books, daily, (), {})


def test_growth_and_falls_agree_with_empyrical() -> None:
    oracle = json.loads(GOLDEN.read_text())["book"]
    growth, falls = equity_curve(_of_golden_returns()).axes
    for line in growth.lines[:3]:
        drawn: Any = line.get_ydata()
        np.testing.assert_allclose(drawn[99::100] - 1, oracle["cumulative_every_100"], rtol=1e-9)
    drawn = falls.lines[0].get_ydata()
    assert drawn.min() == pytest.approx(100 * oracle["max_drawdown"])
    assert falls.texts[0].get_text() == "deepest fall of long-short, −57.4%"


def test_each_line_is_its_book_net_of_costs(portfolio: Portfolio) -> None:
    figure = equity_curve(portfolio)
    growth = figure.axes[0]
    columns = ("long_short", "top", "equal_weight", "long_short_gross")
    dates = portfolio.daily["date"].to_numpy()
    for line, column in zip(growth.lines, columns, strict=False):
        wealth = (1 + portfolio.daily[column]).cum_prod().to_numpy()
        np.testing.assert_allclose(line.get_ydata(), wealth)  # type: ignore[arg-type]
        np.testing.assert_array_equal(line.get_xdata(), dates)
        name = column.replace("_gross", " before costs").replace("long_short", "long-short")
        assert line.get_label() == f"{name.replace('_', ' ')}, ×{wealth[-1]:.2f}"
    assert len({line.get_color() for line in growth.lines[:3]}) == 3


def test_the_answer_has_the_sharpe_ratios_with_their_intervals(portfolio: Portfolio) -> None:
    said = texts(equity_curve(portfolio, "A title"))
    assert said.startswith("A title After costs")
    for name in (0, 3):
        sharpe = portfolio.books[name].sharpe
        bounds = f"{sharpe.mean:.2f} (95% interval {sharpe.low:.2f} to {sharpe.high:.2f})"
        assert bounds.replace("-", "−") in said.replace("95−", "95-")
    assert f"{portfolio.sessions:,} out-of-sample sessions" in said
    assert "20% of the tickers each" in said
    assert "5 bps a side" in said


def test_without_costs_there_is_one_long_short_line(portfolio: Portfolio) -> None:
    labels = [
        line.get_label() for line in equity_curve(replace(portfolio, cost_bps=0.0)).axes[0].lines
    ]
    assert not any("before costs" in str(label) for label in labels)


@pytest.mark.parametrize(("factor", "scale"), [(1.0, "linear"), (40.0, "log")])
def test_the_scale_follows_the_range(factor: float, scale: str, portfolio: Portfolio) -> None:
    steeper = portfolio.daily.with_columns(pl.lit(0.001 * factor).alias("top"))
    figure = equity_curve(replace(portfolio, daily=steeper))
    assert figure.axes[0].get_yscale() == scale


def test_scores_that_rank_nothing_and_total_losses_are_drawn(
    portfolio: Portfolio, tmp_path: Path
) -> None:
    bars = random_walk_bars(20, 40, 2)
    flat = simulate(
        bars.select("date", "ticker", score=pl.lit(0.3)),
        bars,
        forward_days=5,
        entry_lag=1,
        quantile=None,
        cost_bps=5,
    )
    assert flat is not None
    figure = equity_curve(flat)
    assert "the scores rank no tickers" in texts(figure)
    assert not figure.axes[1].texts
    save_png(figure, tmp_path / "flat.png")
    lost = portfolio.daily.with_columns(
        pl.when(pl.int_range(pl.len()) == 50).then(-1.0).otherwise("long_short").alias("long_short")
    )
    ruined = equity_curve(replace(portfolio, daily=lost))
    drawn: Any = ruined.axes[1].lines[0].get_ydata()
    assert (drawn[50:] == -100).all()
    save_png(ruined, tmp_path / "ruined.png")


def test_the_picture_repeats_to_the_byte(portfolio: Portfolio, tmp_path: Path) -> None:
    one, two = (
        save_png(equity_curve(portfolio), tmp_path / name).read_bytes() for name in ("a", "b")
    )
    assert one == two
