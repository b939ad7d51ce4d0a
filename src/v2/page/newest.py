"""The newest ranking as a table of the page."""

from __future__ import annotations

from src.v2.page.explaining import move_fact
from src.v2.page.panels import Cell, Fact, Table
from src.v2.records import TrainingResult


def newest_table(result: TrainingResult) -> Table:
    """List the tickers of the newest date as the shipped model ranks them."""
    explanation, word = result.explanation, result.evaluation.verdict.word
    ranking, quantity = explanation.newest, explanation.importance.quantity
    rows: list[tuple[Cell, ...]] = [
        (
            Fact(row.rank, "count"),
            row.ticker,
            move_fact(row.total, quantity),
            "; ".join(row.reasons) or "nothing moved it",
        )
        for row in ranking.rows
    ]
    kept = len(ranking.rows)
    note = (
        f"By the shipped model, in {quantity}. Its own forecasts cannot be judged yet; the verdict "
        f"on those of the walk-forward is: {word}."
    )
    if kept < ranking.tickers:
        note += f" Both ends of {ranking.tickers:,} tickers, {kept:,} of them."
    return Table(
        "newest",
        f"The whole ranking of {ranking.date}",
        ("Rank", "Ticker", "Forecast", "What moved the model most"),
        tuple(rows),
        note,
        folded=True,
    )
