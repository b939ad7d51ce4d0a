"""A ranking as an aligned table for a reader, with what moved the model below each ticker."""

from __future__ import annotations

import io
import sys
import textwrap

import polars as pl

from src.v2.console import printable
from src.v2.modeling.model_card import ModelCard
from src.v2.summary_text import sessions

WIDTH = 100
TICKER_COLUMN = 1
NUMBER_WIDTH = 13
SHOWN_WHOLE = 30
"""Tickers of a ranking that shows all its reasons."""

SHOWN_ENDS = 10
"""Tickers of a longer ranking's ends that show theirs."""


def ranking_text(rows: pl.DataFrame, card: ModelCard) -> str:
    """Write the ranking for a reader: each ticker, and below it what moved the model.

    Parameters
    ----------
    rows
        As `src.v2.forecasting.Forecast.rows`, with | in_sample |.
    """
    from rich.console import Console
    from rich.text import Text

    out = io.StringIO()
    styled = sys.stdout.isatty() or None
    console = Console(file=out, width=WIDTH, force_terminal=styled, highlight=False, emoji=False)
    head, *lines = _lines(rows, card)
    for line in _titles(rows, card):
        console.print(line, markup=False)
    if lines:
        console.print(Text(f"\n{head}", style="bold"), soft_wrap=True)
    for place, (line, reasons) in enumerate(zip(lines, rows["reasons"], strict=True)):
        console.print(line, markup=False, soft_wrap=True)
        if _told(place, rows.height):
            for reason in reasons:
                console.print(Text(_beside_its_number(reason), style="dim"))
    if rows.height > SHOWN_WHOLE:
        between = rows.height - 2 * SHOWN_ENDS
        console.print(
            f"\nReasons are shown for the first and last {SHOWN_ENDS}; for the other {between} "
            "name --tickers, or take --format csv or json.",
            markup=False,
        )
    return out.getvalue()


def _titles(rows: pl.DataFrame, card: ModelCard) -> list[str]:
    """Say what the table holds, and how its reasons are to be read."""
    from src.v2.explain.direction import quantity_axis
    from src.v2.forecasting import explained_quantity

    if not rows.height:
        return ["No ticker can be forecast."]
    sample = "IN-SAMPLE, no forecast: " if rows["in_sample"].any() else ""
    _, unit = quantity_axis(explained_quantity(card))
    titles = [
        f"{sample}{card.forward_days}-session forecasts of {rows['date'][0]}, traded "
        f"{sessions(card.entry_lag)} later",
        f"Below each: what moved the model (not the market), in {unit}"
        + (", before calibration." if card.classes else "."),
    ]
    if _shows_excess(card):
        titles.append(
            f"Forecast: the excess over the mean of all tickers, and {card.expanding_mean:+.2%}, "
            "the mean return known at the end of training."
        )
    return titles


def _shows_excess(card: ModelCard) -> bool:
    """Whether the model forecasts an excess, which is what its reasons add up to."""
    return not card.classes and card.target == "excess"


def _told(place: int, height: int) -> bool:
    """Whether a row of a ranking shows its reasons."""
    return height <= SHOWN_WHOLE or not SHOWN_ENDS <= place < height - SHOWN_ENDS


def _lines(rows: pl.DataFrame, card: ModelCard) -> list[str]:
    """Align the columns of the ranking, below their headings."""
    shares = ["p_" + name.lower().replace(" ", "_") for name in card.classes]
    excess = ["excess"] if _shows_excess(card) else []
    level = [] if shares or rows["return_low"].null_count() == rows.height else ["interval"]
    cells = [["rank", "ticker", "close", *excess, *(shares or ["forecast"]), *level, "rating"]]
    for row in rows.iter_rows(named=True):
        values = [f"{row[name]:.1%}" for name in shares] or [f"{row['predicted_return']:+.2%}"]
        values = [*(f"{row['score']:+.2%}" for _ in excess), *values]
        values += [_between(row["return_low"], row["return_high"]) for _ in level]
        named = [str(row["rank"]), printable(row["ticker"]), f"{row['close']:,.2f}"]
        cells.append([*named, *values, row["rating"] or "–"])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == TICKER_COLUMN else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]


def _between(low: float | None, high: float | None) -> str:
    """Write the interval of a return; a dash without one."""
    return "–" if low is None or high is None else f"{low:+.1%} to {high:+.1%}"


def _beside_its_number(reason: str) -> str:
    """Put the number of a reason before its words, so that numbers stand below each other."""
    words, _, number = reason.rpartition(": ")
    value = number.partition(" ")[0]
    start = f"{value:>{NUMBER_WIDTH}}  "
    return textwrap.fill(
        words, WIDTH, initial_indent=start, subsequent_indent=" " * len(start), tabsize=1
    )
