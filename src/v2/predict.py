"""``python -m src.v2.predict``: rank the latest date of the model's universe."""

from __future__ import annotations

import datetime as dt
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from src.v2.config import Config
from src.v2.config_sources import load_config
from src.v2.console import log_to, printable, progress_bar, run_command, show_note
from src.v2.errors import DataError, ModelError
from src.v2.summary_text import sessions

if TYPE_CHECKING:
    import polars as pl

    from src.v2.forecasting import Forecast
    from src.v2.modeling.model_card import ModelCard

COMMAND = "python -m src.v2.predict"
SHORT_FLAGS = {
    "predict.model": "model",
    "predict.tickers": "tickers",
    "predict.format": "format",
    "predict.as-of": "as-of",
    "predict.max-age": "max-age",
    "data.period": "period",
}
ABOUT = """\
Rank the latest date of a model's universe, by the newest model unless --model names one.

  python -m src.v2.predict --format csv > ranking.csv
  python -m src.v2.predict --tickers AAPL MSFT --format json

Source, tickers, calendar and series of context are those the model was trained on, unless flags
say otherwise; sectors are always those of the training.
"""
OLD_AFTER_DAYS = 7
"""Bars older than this many calendar days are worth a note."""

WIDTH = 100
TICKER_COLUMN = 1
NUMBER_WIDTH = 13
SHOWN_WHOLE = 30
"""Tickers of a ranking that shows all its reasons."""

SHOWN_ENDS = 10
"""Tickers of a longer ranking's ends that show theirs."""

BETWEEN_REASONS = "; "


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give the exit code."""
    return run_command(_command, argv)


def _command(argv: Sequence[str]) -> int:
    first = load_config(argv, SHORT_FLAGS, COMMAND, ABOUT)
    with log_to(first.paths.logs_dir):
        from src.v2.api import load
        from src.v2.modeling.model_file import newest_model

        path = first.predict.model or newest_model(first.paths.models_dir)
        model, card = load(path)
        config = load_config(argv, SHORT_FLAGS, COMMAND, ABOUT, overlay=_from_card(card))
        _refuse_unnamed_modules(first, card)
        forecast = _forecast(config, model, card)
        show_note(f"model {path.name}, trained on rows up to {card.train_last}.")
        show_note(_past_skill(card))
        _report_absent(forecast, config)
        if forecast.in_sample:
            show_note(
                "in-sample: the model was fitted on this date and later ones, so it knows what "
                "followed. These rows are no forecast; its scores are those of the summary."
            )
        sys.stdout.write(render(forecast, card, config))
    return 0


def _from_card(card: ModelCard) -> Mapping[str, Any]:
    """Give the settings of the model's own bars and features; the last date is left open.

    A point-in-time universe names its own tickers, also those that joined after the training.
    """
    data = dict(card.data) | {"end": None, "max_dropped_share": 1.0}
    if data.get("universe") is None:
        data["tickers"] = list(card.tickers)
    features = dict(card.feature_settings) | {"modules": list(card.module_hashes)}
    return {"data": data, "features": features}


def _refuse_unnamed_modules(config: Config, card: ModelCard) -> None:
    """Run no file only because a card names it: the user must name it too."""
    unnamed = [path for path in card.module_hashes if path not in config.features.modules]
    if unnamed:
        raise ModelError(
            f"The model needs own features from {', '.join(unnamed)}. A model folder may not make "
            f"code run: name them yourself, --features.modules {' '.join(unnamed)}."
        )


def _forecast(config: Config, model: Any, card: ModelCard) -> Forecast:
    """Load the universe up to the date asked for, and rank its last date."""
    import polars as pl

    from src.v2.api import predict
    from src.v2.data.context import load_context
    from src.v2.data.sources import load_bars, source_universe

    context = load_context(config.data.model_copy(update={"sectors": None}), card.series)
    for note in context.notes:
        show_note(note)

    bars, market, _ = load_bars(
        config.data, tuple(config.features.columns), config.paths.bars_dir, progress_bar
    )
    as_of = config.predict.as_of
    if as_of is not None:
        bars = bars.filter(pl.col("date") <= as_of)
        market = None if market is None else market.filter(pl.col("date") <= as_of)
        if bars.is_empty():
            raise DataError(f"--as-of must not be before the first bar; got {as_of}.")
    day = bars["date"].max()
    assert isinstance(day, dt.date)
    _check_age(day, as_of or dt.date.today(), config.predict.max_age)
    universe = source_universe(config.data)
    known = card.tickers if universe is None else universe.members_on(day)
    unknown = sorted(set(config.predict.tickers) - set(known))
    if unknown:
        raise DataError(
            f"The model does not know {', '.join(unknown)}: its universe is "
            f"{', '.join(known[:10])}{', …' if len(known) > 10 else ''} "
            f"({len(known)} tickers). Train with them, or leave them out."
        )
    return predict(bars, model, card, market, context, universe)


def _check_age(day: dt.date, today: dt.date, limit: int | None) -> None:
    """Note that the bars are old, or refuse them beyond ``--max-age``."""
    age = (today - day).days
    if limit is not None and age > limit:
        raise DataError(
            f"The last bars are of {day}, {age} days old; --max-age allows {limit}. Fetch newer "
            "bars, or raise it."
        )
    if age > OLD_AFTER_DAYS:
        show_note(f"the last bars are of {day}, {age} days old: this is no forecast of today.")


def _past_skill(card: ModelCard) -> str:
    """Say what the walk-forward showed of this model."""
    scores = card.out_of_sample
    ends = ("cv_rank_ic_pooled", "cv_rank_ic_low", "cv_rank_ic_high")
    found = ""
    if all(end in scores for end in ends):
        mean, low, high = (scores[end] for end in ends)
        found = f"mean rank IC {mean:+.4f}, 95% interval {low:+.4f} to {high:+.4f}; "
    withheld = "" if card.verdict == "evidence" else "; ratings are withheld"
    return f"its walk-forward: {found}verdict: {card.verdict}{withheld}."


def _report_absent(forecast: Forecast, config: Config) -> None:
    """Name every ticker of the universe that has no row, with the reason."""
    for ticker, reason in forecast.absent.items():
        if not config.predict.tickers or ticker in config.predict.tickers:
            show_note(f"{ticker} is not ranked: {reason}.")


def render(forecast: Forecast, card: ModelCard, config: Config) -> str:
    """Write the ranking as an aligned table, as CSV or as JSON records."""
    import polars as pl

    rows = forecast.rows.with_columns(pl.lit(forecast.in_sample).alias("in_sample"))
    if config.predict.tickers:
        rows = rows.filter(pl.col("ticker").is_in(list(config.predict.tickers)))
    if config.predict.format == "csv":
        return rows.with_columns(pl.col("reasons").list.join(BETWEEN_REASONS)).write_csv()
    if config.predict.format == "json":
        return rows.with_columns(pl.col("date").cast(pl.String)).write_json() + "\n"
    return page(rows, card)


def page(rows: pl.DataFrame, card: ModelCard) -> str:
    """Write the ranking for a reader: each ticker, and below it what moved the model."""
    import io

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
    cells = [["rank", "ticker", "close", *excess, *(shares or ["forecast"]), "rating"]]
    for row in rows.iter_rows(named=True):
        values = [f"{row[name]:.1%}" for name in shares] or [f"{row['predicted_return']:+.2%}"]
        values = [*(f"{row['score']:+.2%}" for _ in excess), *values]
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


def _beside_its_number(reason: str) -> str:
    """Put the number of a reason before its words, so that numbers stand below each other."""
    words, _, number = reason.rpartition(": ")
    value = number.partition(" ")[0]
    start = f"{value:>{NUMBER_WIDTH}}  "
    return textwrap.fill(
        words, WIDTH, initial_indent=start, subsequent_indent=" " * len(start), tabsize=1
    )


if __name__ == "__main__":
    sys.exit(main())
