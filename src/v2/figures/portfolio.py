"""What trading the scores would have brought."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.v2.evaluation.sharpe import drawdowns
from src.v2.evaluation_records import Book, Interval, Portfolio
from src.v2.figures.marks import thinned
from src.v2.figures.style import (
    BLUE,
    GREEN,
    GREY,
    QUIET,
    Array,
    bare_figure,
    framed_figure,
    look,
    number,
    percent,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = (
    ("long_short", "long-short", BLUE),
    ("top", "top", GREEN),
    ("equal_weight", "equal weight", GREY),
)
"""Column, book and colour of each line."""
LOG_FROM = 3.0
"""Growth that spans this factor is drawn on a log scale."""


@look()
def equity_curve(
    portfolio: Portfolio, title: str = "What would trading the scores have brought?"
) -> Figure:
    """Draw how each book would have grown, and the falls of the long-short one.

    Parameters
    ----------
    portfolio
        What the simulation found.
    """
    figure = framed_figure(8.0, 4.8, title, _answer(portfolio), _note(portfolio))
    _draw_books(figure, portfolio, legend_columns=4, most=portfolio.daily.height)
    return figure


@look()
def book_growth(portfolio: Portfolio) -> Figure:
    """Draw the same for a page, which writes the texts itself.

    Parameters
    ----------
    portfolio
        What the simulation found, on at least one session.
    """
    figure = bare_figure(7.2, 4.2)
    _draw_books(figure, portfolio, legend_columns=2, most=900)
    return figure


def _draw_books(figure: Figure, portfolio: Portfolio, legend_columns: int, most: int) -> None:
    """Draw growth above falls; of longer lines about ``most`` points are drawn."""
    growth, falls = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
    _draw_growth(growth, portfolio, legend_columns, most)
    _draw_falls(falls, portfolio, most)


def _answer(portfolio: Portfolio) -> str:
    """Say what the long-short book and the top alone made, and how sure that is."""
    books = {book.name: book for book in portfolio.books}
    long_short, difference = books["long-short"], books["top less equal weight"]
    if not np.isfinite(long_short.sharpe.mean):
        return "Nothing: the scores rank no tickers, so that long-short stays in cash."
    return (
        f"After costs, long-short made {_yearly(long_short)} a year at "
        f"{percent(long_short.annual_volatility)} volatility: a Sharpe ratio of "
        f"{_with_interval(long_short.sharpe)}. The top less equal weight made "
        f"{_yearly(difference)} a year: {_with_interval(difference.sharpe)}."
    )


def _with_interval(sharpe: Interval) -> str:
    low, high = number(sharpe.low, ".2f"), number(sharpe.high, ".2f")
    return f"{number(sharpe.mean, '.2f')} (95% interval {low} to {high})"


def _yearly(book: Book) -> str:
    return f"{number(100 * book.annual_return, '+.1f')}%"


def _note(portfolio: Portfolio) -> str:
    """Tell how the books were run."""
    turnover = portfolio.books[0].turnover
    return (
        f"{portfolio.sessions:,} out-of-sample sessions of the walk-forward. Top and bottom: "
        f"{percent(portfolio.quantile)} of the tickers each, in overlapping tranches; equal "
        f"weight: all of them. Costs: {portfolio.cost_bps:g} bps a side; long-short trades "
        f"{percent(turnover)} of its capital a session. No borrowing fees and no interest."
    )


def _draw_growth(axes: Axes, portfolio: Portfolio, legend_columns: int, most: int) -> None:
    """Draw the compounded wealth of each book over its start."""
    dates = portfolio.daily["date"].to_numpy()
    lines = [(*line, 1.7, "-") for line in LINES]
    if portfolio.cost_bps:
        lines.append(("long_short_gross", "long-short before costs", BLUE, 1.0, ":"))
    drawn = []
    for column, name, color, width, style in lines:
        wealth = np.cumprod(np.maximum(1 + portfolio.daily[column].to_numpy(), 0.0))
        label = f"{name}, ×{number(float(wealth[-1]), '.2f')}"
        kept = thinned(wealth, most)
        axes.plot(dates[kept], wealth[kept], color=color, lw=width, ls=style, label=label)
        drawn.append(wealth[wealth > 0])
    axes.axhline(1, color=QUIET, lw=0.8)
    _scale_growth(axes, np.concatenate(drawn))
    axes.set_ylabel("Growth of the capital")
    axes.grid(axis="y")
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=legend_columns, borderaxespad=0.2,
        columnspacing=1.2, handlelength=1.6,
    )  # fmt: skip


def _scale_growth(axes: Axes, values: Array) -> None:
    """Scale the axis by the range of the growth, and write it as multiples."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    reach = float(values.max() / values.min()) if values.size else 1.0
    if reach >= LOG_FROM:
        axes.set_yscale("log", nonpositive="mask")
        parts = (1, 1.5, 2, 3, 5, 7) if reach < 20 else (1, 2, 5) if reach < 1e3 else (1,)
        axes.yaxis.set_major_locator(LogLocator(subs=parts))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"×{value:g}"))


def _draw_falls(axes: Axes, portfolio: Portfolio, most: int) -> None:
    """Draw the long-short book's falls from its peak and name the deepest."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    dates = portfolio.daily["date"].to_numpy()
    falls = 100 * drawdowns(portfolio.daily["long_short"].to_numpy())
    kept = thinned(falls, most)
    axes.fill_between(dates[kept], -falls[kept], 0, color=BLUE, alpha=0.2, lw=0)
    axes.plot(dates[kept], -falls[kept], color=BLUE, lw=0.9)
    deepest = int(falls.argmax())
    if falls[deepest] > 0:
        place = (dates[deepest], -falls[deepest])
        late = deepest > len(falls) / 2
        axes.plot(*place, "o", color=BLUE, ms=4)
        axes.annotate(
            f"deepest fall of long-short, {number(-falls[deepest], '.1f')}%", place,
            xytext=(0 if late else -4, -5), textcoords="offset points",
            ha="right" if late else "left", va="top", color=BLUE, size=8.5,
        )  # fmt: skip
    axes.set_ylim(-1.4 * float(falls.max()) or -1.0, 0)
    axes.set_xlim(dates[0], dates[-1])
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{number(value, 'g')}%"))
    locator = AutoDateLocator(maxticks=12)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_ylabel("Fall from peak")
    axes.grid(axis="y")
