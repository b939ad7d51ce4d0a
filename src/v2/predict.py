"""``python -m src.v2.predict``: rank the latest date of the model's universe."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from src.v2.config import Config
from src.v2.config_sources import load_config
from src.v2.console import log_to, run_command, show_note
from src.v2.errors import DataError, OmninmoError

if TYPE_CHECKING:
    from src.v2.forecasting import Forecast
    from src.v2.model_source import ModelBars, ModelSource
    from src.v2.modeling.model_card import ModelCard

COMMAND = "python -m src.v2.predict"
SHORT_FLAGS = {
    "predict.model": "model",
    "predict.tickers": "tickers",
    "predict.format": "format",
    "predict.as-of": "as-of",
    "predict.max-age": "max-age",
    "predict.coverage": "coverage",
    "data.period": "period",
}
ABOUT = """\
Rank the latest date of a model's universe: by the registry's champion, or by the newest model
where none was promoted. --model names another.

  python -m src.v2.predict --format csv > ranking.csv
  python -m src.v2.predict --tickers AAPL MSFT --format json
  python -m src.v2.predict --model newest

Each ranking is added to the log in paths.predictions_dir, whole; --predict.log false leaves it out.
Source, tickers, calendar and series of context are those the model was trained on, unless flags
say otherwise; sectors are always those of the training.
"""
OLD_AFTER_DAYS = 7
"""Bars older than this many calendar days are worth a note."""

BETWEEN_REASONS = "; "


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give the exit code."""
    return run_command(_command, argv)


def _command(argv: Sequence[str]) -> int:
    first = load_config(argv, SHORT_FLAGS, COMMAND, ABOUT)
    with log_to(first.paths.logs_dir):
        from src.v2.api import load
        from src.v2.model_source import (
            card_overlay,
            find_model,
            load_model_bars,
            refuse_unnamed_modules,
        )

        source = find_model(first.predict.model, first)
        model, card = load(source.path)
        config = load_config(argv, SHORT_FLAGS, COMMAND, ABOUT, overlay=card_overlay(card))
        refuse_unnamed_modules(first, card)
        held = load_model_bars(config, card, config.predict.as_of)
        config = with_known_tickers(config, card, held)
        forecast = _forecast(config, held, model, card)
        show_note(f"model {source.shown}, trained on rows up to {card.train_last}.")
        for told in source.notes:
            show_note(told)
        show_note(_past_skill(card))
        show_note(interval_words(card, config.predict.coverage))
        _report_absent(forecast, config)
        if forecast.in_sample:
            show_note(
                "in-sample: the model was fitted on what came after this date, so it knows what "
                "followed. These rows are no forecast; its scores are those of the summary."
            )
        problem = _log(config, card, source, held, forecast)
        sys.stdout.write(render(forecast, card, config))
        if problem is not None:
            raise problem
    return 0


def _forecast(config: Config, held: ModelBars, model: Any, card: ModelCard) -> Forecast:
    """Rank the last date of the bars."""
    from src.v2.api import predict
    from src.v2.features.compile_note import compiling_told

    _check_age(held.day, config.predict.as_of or dt.date.today(), config.predict.max_age)
    coverage = config.predict.coverage
    with compiling_told(show_note):
        return predict(held.bars, model, card, held.market, held.context, held.universe, coverage)


def with_known_tickers(config: Config, card: ModelCard, held: ModelBars) -> Config:
    """Write the tickers asked for as the universe does, whatever their case.

    Raises
    ------
    DataError
        When the universe lacks one of them.
    """
    universe = held.universe
    known = card.tickers if universe is None else universe.members_on(held.day)
    by_case: dict[str, list[str]] = {}
    for name in known:
        by_case.setdefault(name.upper(), []).append(name)
    meant: list[str] = []
    unknown: list[str] = []
    for name in config.predict.tickers:
        alike = [name] if name in known else by_case.get(name.upper(), [])
        if len(alike) == 1:
            meant += alike
        else:
            unknown.append(name)
    if unknown:
        raise DataError(
            f"The model does not know {', '.join(sorted(set(unknown)))}: its universe is "
            f"{', '.join(known[:10])}{', …' if len(known) > 10 else ''} "
            f"({len(known)} tickers). Train with them, or leave them out."
        )
    wish = config.predict.model_copy(update={"tickers": tuple(meant)})
    return config.model_copy(update={"predict": wish})


def _log(
    config: Config, card: ModelCard, source: ModelSource, held: ModelBars, forecast: Forecast
) -> OmninmoError | None:
    """Add the whole ranking to the log; a log that fails is given back, to be told at the end."""
    from src.v2.data.bars import bars_fingerprint
    from src.v2.lifecycle.prediction_log import Ranking, append_ranking

    if not config.predict.log:
        return None
    ranking = Ranking(
        rows=forecast.rows,
        made_at=dt.datetime.now(dt.UTC),
        data_fingerprint=bars_fingerprint(held.bars),
        in_sample=forecast.in_sample,
        hindsight=held.cut,
        coverage=config.predict.coverage,
        registered=source.registered,
        version=source.version,
        alias=source.alias,
        roles=source.roles,
        chosen=source.chosen,
    )
    try:
        append_ranking(config.paths.predictions_dir, card, ranking)
    except OmninmoError as error:
        return error
    return None


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


def interval_words(card: ModelCard, level: float) -> str:
    """Say what the intervals are made to hold, and what they held."""
    from src.v2.modeling.intervals import coverage_parts

    if card.classes:
        return "no interval: a classification gives probabilities."
    found = None if card.intervals is None else card.intervals.at(level)
    if card.intervals is None or found is None:
        return "no interval: the model's card was written without. Train again for one."
    if found.multiple is None:
        return (
            f"no {level:.0%} interval: the walk-forward has {card.intervals.blocks} horizons, "
            "too few for it."
        )
    held = "their coverage could not be measured: too few dates"
    if found.coverage is not None:
        held = f"those made in the walk-forward of earlier folds held {found.coverage:.1%}"
        if found.low is not None and found.high is not None:
            held += f" (95% interval {found.low:.1%} to {found.high:.1%})"
        held += "".join(f"; {words}" for words in coverage_parts(found))
    return f"{level:.0%} intervals, from what forecasts missed by before: {held}."


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
    from src.v2.lifecycle.ranking_text import ranking_text

    return ranking_text(rows, card)


if __name__ == "__main__":
    sys.exit(main())
