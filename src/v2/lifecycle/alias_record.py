"""What stood behind an alias over time: whichever versions held it, each with its own promise.

A champion that is replaced every month never has dates enough to be judged by itself; the alias
has. Each version's forecasts are held against what that version promised, never another's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.significance import ewc_interval
from src.v2.evaluation_records import Interval
from src.v2.lifecycle.check_parts import NAN, error_of_interval
from src.v2.lifecycle.live_checks import paired_margin
from src.v2.lifecycle.monitor_records import MonitorCheck, VersionRecord
from src.v2.lifecycle.prediction_log import PROMISE
from src.v2.lifecycle.rank_promise import hold_ranks
from src.v2.lifecycle.realised import Realised, overlapping_dates
from src.v2.modeling.model_card import ModelCard
from src.v2.summary_text import between, shown, some

UNKNOWN = Interval(NAN, NAN, NAN, 0)


@dataclass(frozen=True, slots=True)
class VersionPromise:
    """A version's share of an alias: its dates, what it did and what it had promised.

    Parameters
    ----------
    dates
        Dates with a rank IC.
    rank_ic
        Their mean.
    promised
        Mean rank IC of its walk-forward with its bounds; NaN where the log does not tell.
    error
        Standard error of the promise and its degrees of freedom.
    """

    name: str
    dates: int
    rank_ic: float
    promised: Interval
    error: tuple[float, float]


def check_record(rows: pl.DataFrame, alias: str, overlap: int, rate: float) -> MonitorCheck:
    """Hold the rank IC of an alias against what its versions promised.

    The promise is the mean of the versions' own, weighted by their dates. Their walk-forwards
    share most of their years, so their errors are added as if they erred together. The rest is
    as in `src.v2.lifecycle.live_checks.check_skill`.

    Parameters
    ----------
    rows
        | date | ticker | score | forward_return | and the columns of the log |: one version's
        predictions a date, of those that count.
    alias
        As ``champion``.
    rate
        Chance of a false alarm.
    """
    parts = version_promises(rows, _daily_by_version(rows))
    promise, doubt = _joint_promise(parts)
    silent = f"the log does not tell what {some(_silent(parts))} promised"
    test = hold_ranks(rows, promise, doubt, overlap, rate, silent)
    told = [
        f"{part.name}: {shown(part.rank_ic, 'ic')} on {part.dates:,}, promised "
        f"{shown(part.promised.mean, 'ic')}"
        for part in parts
    ]
    return MonitorCheck(
        "record",
        f"Does the {alias}, whichever version it was, rank as promised?",
        test.outcome,
        f"rank IC {between(test.found, 'ic')} on {test.dates:,} dates; promised "
        f"{shown(promise, 'ic')}; {test.words()}. Of each: {'; '.join(told) or 'no date yet'}",
        f"realised rank IC of all its versions below their promise, one-sided p < {rate:g}",
        test.numbers("record_rank_ic"),
        of=worst(parts),
    )


def version_promises(rows: pl.DataFrame, daily: pl.DataFrame) -> tuple[VersionPromise, ...]:
    """Part the dates of an alias by version, in order of their first date.

    Parameters
    ----------
    rows
        As for `check_record`.
    daily
        | date | model_id | rank_ic |.
    """
    parts = []
    for model in daily["model_id"].unique(maintain_order=True):
        own = rows.filter(pl.col("model_id") == model)
        values = daily.filter(pl.col("model_id") == model)["rank_ic"].to_numpy()
        last = own.sort("date", "made_at").row(-1, named=True)
        mean, low, high, dates = (_number(last[name]) for name in PROMISE)
        parts.append(
            VersionPromise(
                log_name(own),
                len(values),
                float(values.mean()),
                Interval(mean, low, high, 0),
                error_of_interval(low, high, dates, int(last["forward_days"])),
            )
        )
    return tuple(parts)


def worst(parts: Sequence[VersionPromise]) -> str:
    """Name the version that lost most against its promise, by its share of the dates."""
    lost = {part.name: part.dates * (part.promised.mean - part.rank_ic) for part in parts}
    known = {name: value for name, value in lost.items() if math.isfinite(value)}
    return max(known, key=lambda name: known[name]) if known else ""


def _joint_promise(parts: Sequence[VersionPromise]) -> tuple[float, tuple[float, float]]:
    """Weight the promises by their dates; NaN where one is not known."""
    dates = sum(part.dates for part in parts)
    if not dates:
        return NAN, (NAN, NAN)
    mean = sum(part.dates * part.promised.mean for part in parts) / dates
    error = sum(part.dates * part.error[0] for part in parts) / dates
    return mean, (error, min(part.error[1] for part in parts) if math.isfinite(error) else NAN)


def _silent(parts: Sequence[VersionPromise]) -> list[str]:
    return [part.name for part in parts if not math.isfinite(part.error[0])]


def _daily_by_version(rows: pl.DataFrame) -> pl.DataFrame:
    """Give | date | model_id | rank_ic | of one version's predictions a date."""
    version = rows.group_by("date").agg(pl.col("model_id").first())
    return daily_ic(rows).join(version, on="date", maintain_order="left")


def _number(value: float | None) -> float:
    return NAN if value is None else value


def log_name(rows: pl.DataFrame, *, with_alias: bool = False) -> str:
    """Name a model of the log for a reader, by its newest ranking of the registry.

    Parameters
    ----------
    rows
        Rankings of one model.
    with_alias
        Whether the alias that it was asked by stands behind it.
    """
    known = rows.filter(pl.col("registered").is_not_null())
    last = (known if known.height else rows).sort("date", "made_at").row(-1, named=True)
    if last["registered"] is None:
        return str(last["model"])
    alias = f" ({last['alias']})" if with_alias and last["alias"] else ""
    return f"{last['registered']} version {last['version']}{alias}"


def version_records(
    log: pl.DataFrame,
    counted: Mapping[str, Realised],
    base: pl.DataFrame,
    sessions: pl.Series,
    card: ModelCard,
) -> tuple[VersionRecord, ...]:
    """Put every model of the log on a line of its own.

    Parameters
    ----------
    log
        Rankings over the card's horizon and lag.
    counted
        By model, its predictions that count, as `src.v2.lifecycle.realised.realise` gives them.
    base
        What each is compared with: predictions that count, of one model a date.
    sessions
        Sorted distinct dates of the bars.

    Returns
    -------
    tuple of VersionRecord
        By last date, newest first.
    """
    found = []
    for model, known in counted.items():
        own = log.filter(pl.col("model_id") == model)
        overlap = overlapping_dates(known.rows["date"].unique().sort(), sessions, card.forward_days)
        series = daily_ic(known.rows)["rank_ic"].to_numpy()
        other = base.filter(pl.col("model_id") != model)
        both = known.rows.join(other, on=["date", "ticker"], how="semi")
        margin, dates = UNKNOWN, 0
        if both.height:
            shared = both["date"].unique().sort()
            own_overlap = overlapping_dates(shared, sessions, card.forward_days)
            margin, dates = paired_margin(other, both, own_overlap)
        last = own.sort("date", "made_at").row(-1, named=True)
        mean, low, high = (_number(last[name]) for name in list(PROMISE)[:3])
        found.append(
            VersionRecord(
                name=log_name(own),
                model_id=model,
                roles=_roles(own),
                first=own["date"].min(),  # type: ignore[arg-type]
                last=own["date"].max(),  # type: ignore[arg-type]
                logged=known.logged,
                scored=known.rows["date"].n_unique(),
                rank_ic=ewc_interval(series, overlap),
                promised=Interval(mean, low, high, 0),
                margin=margin,
                margin_dates=dates,
            )
        )
    return tuple(sorted(found, key=lambda line: (line.last, line.first), reverse=True))


def _roles(own: pl.DataFrame) -> dict[str, int]:
    """Count the dates on which a version was asked in each role."""
    roles = own.select("date", pl.coalesce("roles", "alias").str.split(" ").alias("role"))
    told = roles.explode("role").drop_nulls().filter(pl.col("role") != "")
    counts = told.group_by("role").agg(pl.col("date").n_unique().alias("dates")).sort("role")
    return dict(counts.iter_rows())
