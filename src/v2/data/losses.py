"""What the checks left out, and when that is too much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import polars as pl

from src.v2.data.columns import UNREADABLE_CELL
from src.v2.errors import DataError
from src.v2.records import Drop

NO_BAR = "no usable bar"
TOO_SHORT = "bars (data.min_history)"
"""End of the reason of a ticker with too little history."""
_SHOWN = 3
_LETTERS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Bars that passed the checks, and what did not.

    Parameters
    ----------
    bars
        The bars that are left; none is possible.
    drops
        Rows and tickers left out, by ticker and reason.
    rows
        Rows before the checks: those left plus those dropped.
    tickers
        Tickers before the checks.
    repaired
        Rows whose high or low was moved by no more than rounding.
    unreadable
        One cell that could not be read, with what is wrong; "" without one.
    """

    bars: pl.DataFrame
    drops: tuple[Drop, ...]
    rows: int
    tickers: int
    repaired: int
    unreadable: str = ""


def check_losses(cleaned: Cleaned, limit: float, failed: Collection[Drop] = ()) -> None:
    """Stop when nothing is left, or when a larger share than allowed was left out.

    Parameters
    ----------
    cleaned
        What the checks left.
    limit
        ``data.max_dropped_share``.
    failed
        Tickers that the source did not give at all.

    Raises
    ------
    DataError
        Naming the share, the limit and the first reasons.
    """
    whole = [drop for drop in (*cleaned.drops, *failed) if drop.whole_ticker]
    tickers = cleaned.tickers + len(failed)
    if not cleaned.bars.height:
        partial = [drop for drop in cleaned.drops if not drop.whole_ticker]
        why = list_reasons(
            [drop for drop in whole if drop.reason != NO_BAR], by_rows=False, named=True
        )
        rows = list_reasons(partial, by_rows=True)
        parts = [f"tickers: {why}"] * bool(why) + [f"rows: {rows}"] * bool(rows)
        parts += [f"for example {cleaned.unreadable}"] * bool(cleaned.unreadable)
        short = any(drop.reason.endswith(TOO_SHORT) for drop in whole)
        raise DataError(
            f"No ticker of {tickers} can be used ({'; '.join(parts) or 'there are no bars'}). "
            f"Check the source{', or lower data.min_history' if short else ''}."
        )
    lost = sum(drop.rows for drop in cleaned.drops)
    for what, share, why in (
        ("rows", lost / cleaned.rows, list_reasons(cleaned.drops, by_rows=True)),
        ("tickers", len(whole) / tickers, list_reasons(whole, by_rows=False, named=True)),
    ):
        if share > limit:
            raise DataError(
                f"data.max_dropped_share lets {limit:.1%} of the {what} be dropped; "
                f"{share:.1%} were ({why}). Repair the source, or raise the setting."
            )


def shown_ticker(ticker: str) -> str:
    """Name a ticker that was left out, also one that has no name or cannot be printed."""
    return printable(ticker) or "(empty)"


def first_unreadable(typed: pl.DataFrame) -> str:
    """Give one cell that could not be read, fit to be shown; "" without one."""
    if UNREADABLE_CELL not in typed.columns:
        return ""
    texts = typed.get_column(UNREADABLE_CELL).drop_nulls()
    return printable(texts[0])[:_LETTERS_SHOWN] if len(texts) else ""


def printable(text: str) -> str:
    r"""Escape what would act on a terminal.

    Examples
    --------
    >>> printable("A\x1b[2J")
    'A\\x1b[2J'
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def list_reasons(drops: Iterable[Drop], *, by_rows: bool, named: bool = False) -> str:
    """List the most frequent reasons, as ``12 x close is not positive``.

    Parameters
    ----------
    drops
        What was left out.
    by_rows
        Count rows; otherwise tickers.
    named
        Name the first tickers that each reason struck.
    """
    counts: Counter[str] = Counter()
    struck: dict[str, list[str]] = {}
    for drop in drops:
        counts[drop.reason] += drop.rows if by_rows else 1
        struck.setdefault(drop.reason, []).append(drop.ticker)
    common = sorted(((-count, reason) for reason, count in counts.items() if count))
    shown = [
        f"{-count} x {reason}" + (f": {_first(struck[reason])}" if named else "")
        for count, reason in common[:_SHOWN]
    ]
    more = len(common) - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "")


def _first(tickers: list[str]) -> str:
    """Name the first few tickers."""
    more = ", …" if len(tickers) > _SHOWN else ""
    return ", ".join(tickers[:_SHOWN]) + more
