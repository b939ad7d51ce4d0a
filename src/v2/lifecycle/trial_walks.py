"""Walking a configuration over some folds, for as long as it is worth it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from src.v2.config import Config
from src.v2.errors import ConfigError
from src.v2.evaluation.metrics import daily_ic
from src.v2.lifecycle.arms import walk_folds
from src.v2.modeling.folds import Fold, Schedule
from src.v2.modeling.walk_forward import forecast_table
from src.v2.preparation import Prepared


@dataclass(frozen=True, slots=True)
class Folds:
    """The folds that are searched on, and those that confirm."""

    searched: tuple[Fold, ...]
    confirming: tuple[Fold, ...]

    def confirming_dates(self, schedule: Schedule, span: int) -> int:
        """Count the dates that can confirm: those whose labels are known before the holdout."""
        last = min(self.confirming[-1].test_stop, schedule.holdout_start - span + 1)
        return max(last - self.confirming[0].test_start, 0)


def part_folds(folds: Sequence[Fold], confirming: int | None) -> Folds:
    """Keep the last folds for the confirmation, by default a third of them.

    Raises
    ------
    ConfigError
        When no fold is left to search on.
    """
    count = confirming or max(1, round(len(folds) / 3))
    if count >= len(folds):
        raise ConfigError(
            f"tune.confirm_folds must leave a fold to search on; got {count} of {len(folds)} "
            "folds. Give fewer, or a smaller --validation.test-sessions."
        )
    return Folds(tuple(folds[:-count]), tuple(folds[-count:]))


def walk_scored(
    prepared: Prepared,
    config: Config,
    folds: Sequence[Fold],
    known_by: int | None,
    stop: Callable[[int, float], bool],
) -> tuple[list[pl.DataFrame], list[int], bool]:
    """Walk folds until one is hopeless.

    Parameters
    ----------
    known_by
        Session by which labels must be known to count; None for no limit.
    stop
        Asked after each fold, with its place and the mean rank IC over all dates so far.

    Returns
    -------
    tuple
        Forecasts by fold, rounds by fold, and whether it was stopped.
    """
    tables: list[pl.DataFrame] = []
    rounds: list[int] = []
    for place, fit in enumerate(walk_folds(prepared, config, folds)):
        table = forecast_table(
            fit.test, fit.forecast, prepared.plan, fold=fit.fold.number, part="walk_forward"
        )
        if known_by is not None:
            table = _known(table, prepared, known_by)
        tables.append(table)
        rounds.append(fit.model.rounds)
        hopeless = stop(place, mean_rank_ic(daily_ic(pl.concat(tables))))
        if hopeless and place + 1 < len(folds):
            return tables, rounds, True
    return tables, rounds, False


def mean_rank_ic(daily: pl.DataFrame) -> float:
    """Average the rank IC over dates; NaN without dates."""
    return float(daily["rank_ic"].to_numpy().mean()) if daily.height else float("nan")


def _known(table: pl.DataFrame, prepared: Prepared, known_by: int) -> pl.DataFrame:
    """Keep the dates with a label known by a session, without labels known later."""
    date = prepared.panel.sessions[known_by]
    kept = table.filter(pl.col("label_end").is_null() | (pl.col("label_end") <= date))
    last = kept.filter(pl.col("label_end").is_not_null())["date"].max()
    return kept.filter(pl.col("date") <= last)
