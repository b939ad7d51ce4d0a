"""A look at a model in use: everything that is checked, as one record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from src.v2.config import MonitorConfig
from src.v2.errors import DataError
from src.v2.lifecycle.alias_record import check_record, log_name, version_records
from src.v2.lifecycle.feed_check import check_feeds
from src.v2.lifecycle.live_checks import compare_models
from src.v2.lifecycle.looks import Outcomes, check_outcomes, look_twice
from src.v2.lifecycle.monitor_records import AliasRecord, MonitorCheck, MonitorResult
from src.v2.lifecycle.prediction_log import PROMISE, model_id, rows_as
from src.v2.lifecycle.realised import Realised, looked_at, outcomes, overlapping_dates
from src.v2.lifecycle.state_checks import check_age, check_drift, check_missing
from src.v2.modeling.model_card import ModelCard
from src.v2.tracking.model_version import CHALLENGER

MOST_MODELS = 5
"""Other models of the log that are compared: challengers, then those asked last."""

BY_MODEL = ("model_id", "date")
BY_DATE = ("date",)
"""Of an alias one ranking a date counts, whichever version made it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a model is in the registry.

    Parameters
    ----------
    alias
        By which it was asked for; None where it was asked for by its number.
    """

    name: str
    version: str
    alias: str | None

    @property
    def shown(self) -> str:
        """Name for a reader, without the alias."""
        return f"{self.name} version {self.version}"


def monitor_model(
    log: pl.DataFrame,
    bars: pl.DataFrame,
    rows: pl.DataFrame,
    reference: pl.DataFrame | None,
    card: ModelCard,
    config: MonitorConfig,
    *,
    shown: str,
    today: dt.date,
    standing: Standing | None = None,
) -> MonitorResult:
    """Make every check.

    Parameters
    ----------
    log
        As `src.v2.lifecycle.prediction_log.read_log` gives it; rows of other models are what
        this one is compared with.
    bars
        | date | ticker | close | of the model's source, up to today.
    rows
        Features of the newest quarter, see `src.v2.lifecycle.state_checks.newest_rows`.
    reference
        What the features looked like in training; None where it was not kept.
    shown
        Name of the model for a reader.
    standing
        What it is in the registry; None for a folder. With an alias, what other versions forecast
        while they had it counts too.

    Raises
    ------
    DataError
        When the log holds no prediction of this model, and none of its alias.
    ConfigError
        As `src.v2.lifecycle.realised.looked_at`.
    """
    same = (pl.col("forward_days") == card.forward_days) & (pl.col("entry_lag") == card.entry_lag)
    alike = _with_own_promise(log.filter(same), card)
    own, held = _rankings(alike, card, standing, shown)
    look = _Look(alike, outcomes(bars, card), bars["date"].unique().sort(), card, config)
    found, reign = look.realise(own), look.realise(held, keys=BY_DATE)
    drift, moves = check_drift(reference, rows, card, config)
    checks = [*look.promised(own, found), drift, check_feeds(reference, rows, card)]
    if standing is not None:
        checks = [replace(check, of=standing.shown) for check in checks]
    alias, base = None if standing is None else standing.alias, found.rows
    changed = bool((reign.rows["model_id"] != model_id(card)).any())
    if changed and alias:
        base = reign.rows
        checks += look.record(held, reign, alias)
    checks += [
        check_age(look.day, today, config.max_age),
        check_missing(_later(found.last_live, reign.last_live), look.sessions, config.max_missing),
        *look.challengers(base, alias if changed else None),
    ]
    return MonitorResult(
        model=card.name,
        model_id=model_id(card),
        shown=shown,
        day=look.day,
        forward_days=card.forward_days,
        logged=found.logged,
        scored=found.rows["date"].n_unique(),
        left_out=found.left_out,
        checks=tuple(checks),
        moves=moves,
        versions=version_records(alike, look.by_model(), base, look.sessions, card),
        alias=_alias_record(alias, held, reign),
    )


def _rankings(
    log: pl.DataFrame, card: ModelCard, standing: Standing | None, shown: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take the rankings of the model, and those of its alias by whichever version."""
    own, held = log.filter(pl.col("model_id") == model_id(card)), log.clear()
    if standing is not None and standing.alias:
        held = rows_as(log, standing.name, standing.alias)
    if own.is_empty() and held.is_empty():
        raise DataError(
            f"The log holds no prediction of {shown}. Run predict with this model first, or name "
            "another with --model."
        )
    return own, held


def _with_own_promise(log: pl.DataFrame, card: ModelCard) -> pl.DataFrame:
    """Add what the card promised to rows of its own that were logged without."""
    own = pl.col("model_id") == model_id(card)
    scores = {name: card.out_of_sample.get(score) for name, score in PROMISE.items()}
    return log.with_columns(
        pl.when(own & pl.col(name).is_null()).then(pl.lit(score)).otherwise(name).alias(name)
        for name, score in scores.items()
        if score is not None
    )


def _alias_record(alias: str | None, held: pl.DataFrame, reign: Realised) -> AliasRecord | None:
    if not alias:
        return None
    scored = reign.rows["date"].n_unique()
    return AliasRecord(alias, held["model_id"].n_unique(), reign.logged, scored)


def _later(one: dt.date | None, other: dt.date | None) -> dt.date | None:
    return max((day for day in (one, other) if day is not None), default=None)


@dataclass(frozen=True, slots=True)
class _Look:
    """What every check needs: the log over one horizon, what came, and when."""

    log: pl.DataFrame
    came: pl.DataFrame
    sessions: pl.Series
    card: ModelCard
    config: MonitorConfig

    @property
    def day(self) -> dt.date:
        """Last session of the bars."""
        last = self.sessions[-1]
        assert isinstance(last, dt.date)
        return last

    def known(self, log: pl.DataFrame, keys: Sequence[str] = BY_MODEL) -> Outcomes:
        """Put predictions beside what came."""
        return Outcomes(log, self.came, self.sessions, keys)

    def realise(self, log: pl.DataFrame, keys: Sequence[str] = BY_MODEL) -> Realised:
        """Join those that count with what came."""
        return self.known(log, keys).realise(looked_at(self.config.sessions, self.card))

    def by_model(self) -> dict[str, Realised]:
        """Do so for every model of the log."""
        return {
            model: self.realise(self.log.filter(pl.col("model_id") == model))
            for model in self.log["model_id"].unique().sort()
        }

    def overlap(self, rows: pl.DataFrame) -> int:
        """Count the dates that share days with one another."""
        dates = rows["date"].unique().sort()
        return overlapping_dates(dates, self.sessions, self.card.forward_days)

    def promised(self, own: pl.DataFrame, found: Realised) -> tuple[MonitorCheck, ...]:
        """Hold the model's own predictions against its card."""
        return check_outcomes(self.known(own), found, self.card, self.config)

    def record(self, held: pl.DataFrame, reign: Realised, alias: str) -> tuple[MonitorCheck, ...]:
        """Hold those of its alias against what each version promised."""

        def check(rows: pl.DataFrame, overlap: int) -> MonitorCheck:
            return check_record(rows, alias, overlap, self.config.alarm_rate)

        return look_twice([check], self.known(held, BY_DATE), reign, self.card, self.config)

    def challengers(self, base: pl.DataFrame, alias: str | None) -> list[MonitorCheck]:
        """Compare the other models of the log, challengers first, on dates of both."""
        asks = pl.coalesce("roles", "alias").fill_null("").str.contains(CHALLENGER).last()
        others = self.log.filter(pl.col("model_id") != model_id(self.card))
        newest = others.group_by("model_id").agg(pl.col("date").max(), asks.alias("asks"))
        order = newest.sort("asks", "date", "model_id", descending=[True, True, True])
        checks = []
        for other in order["model_id"].head(MOST_MODELS):
            theirs = others.filter(pl.col("model_id") == other)
            against = base.filter(pl.col("model_id") != other)
            both = self.realise(theirs).rows.join(against, on=["date", "ticker"], how="semi")
            if both.height:
                name, words = (
                    log_name(theirs, with_alias=True),
                    f"the {alias}" if alias else "this model",
                )
                checks.append(compare_models(against, both, name, self.overlap(both), words))
        return checks
