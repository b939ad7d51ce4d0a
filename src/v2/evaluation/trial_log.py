"""The trial log: every configuration whose walk-forward was looked at.

The best of many tries looks good by luck alone. The verdict divides its level by the number
of configurations tried on the same data, the gate of promotion does so again with the number
of its own day, and the Sharpe ratio is deflated by it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from src.v2.errors import OmninmoError
from src.v2.evaluation import journal

TRIALS_NAME = "trials.jsonl"

Key = tuple[str, str]
"""Configuration and feature code."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What makes a trial distinct, and what it is counted with.

    Parameters
    ----------
    tickers
        The universe. Trials count together when the smaller of two universes shares half of
        its tickers with the other, and their forecasts have dates in common.
    first, last
        Dates of the out-of-sample forecasts.
    bars_end
        Last date of the bars.
    code_hash
        Of the sources of the built-in features, which the configuration does not hold.
    """

    tickers: Sequence[str]
    first: dt.date
    last: dt.date
    bars_end: dt.date
    data_fingerprint: str
    config_fingerprint: str
    code_hash: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A line of the log: one configuration and what its walk-forward showed.

    Parameters
    ----------
    first, last, bars_end
        As in `Tried`.
    rank_ic, sharpe
        Mean rank IC, and Sharpe ratio of a session's long-short return; null where there is none.
    code_hash
        As in `Tried`; empty in lines of older versions.
    """

    tickers: list[str]
    first: str
    last: str
    bars_end: str
    data_fingerprint: str
    config_fingerprint: str
    tried_at: str
    rank_ic: float | None
    sharpe: float | None
    code_hash: str = ""


@dataclass(frozen=True, slots=True)
class Trials:
    """What was tried on the same data.

    Parameters
    ----------
    count
        Distinct configurations, the present one included.
    others
        The Sharpe ratio of a session of each other one; NaN where it has none.
    """

    count: int
    others: tuple[float, ...]


def record_trial(
    folder: Path, tried: Tried, *, rank_ic: float | None, sharpe: float | None
) -> Trials:
    """Write a trial down, and count those on the same data.

    Parameters
    ----------
    folder
        Folder of the log; made when absent.
    rank_ic, sharpe
        As in `Trial`.

    Returns
    -------
    Trials
        A configuration tried again on bars that end later counts once, with its newest numbers;
        on other bars that end on the same date or earlier it is another trial. So it is with
        other feature code, unless rank IC and Sharpe ratio are the same to the number.

    Raises
    ------
    OmninmoError
        When the log cannot be written.
    """
    path = folder / TRIALS_NAME
    trial = _line(tried, rank_ic, sharpe)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with journal.locked(path.with_suffix(".lock")):
            known = _beside(path, tried)
            if not any(_same(trial, other) for other in known):
                journal.append(path, asdict(trial))
    except OSError as error:
        raise OmninmoError(
            f"The trial log {path} cannot be written: {error.strerror}. Mend the folder, or "
            "name another with --paths.ledger-dir."
        ) from error
    return _counted(trial, known)


def count_trials(folder: Path, tried: Tried) -> int:
    """Count the configurations tried so far on the data of one of them, itself included.

    Parameters
    ----------
    folder
        Folder of the log; without a log, or without this trial in it, the trial still counts.

    Raises
    ------
    OmninmoError
        When the log cannot be read.
    """
    known = _known(folder / TRIALS_NAME, tried)
    return _counted(_line(tried, None, None), known).count


def trials_reaching(folder: Path, *, tickers: Sequence[str], first: dt.date, last: dt.date) -> int:
    """Count the distinct configurations whose forecasts were scored on dates of a span.

    Parameters
    ----------
    first, last
        Of the span, as a holdout.

    Returns
    -------
    int
        Pairs of configuration and feature code; 0 without a log.

    Raises
    ------
    OmninmoError
        When the log cannot be read.
    """
    known = _known(folder / TRIALS_NAME, Tried(tickers, first, last, last, "", ""))
    return len({(one.config_fingerprint, one.code_hash) for one in known})


def _line(tried: Tried, rank_ic: float | None, sharpe: float | None) -> Trial:
    return Trial(
        sorted(tried.tickers),
        tried.first.isoformat(),
        tried.last.isoformat(),
        tried.bars_end.isoformat(),
        tried.data_fingerprint,
        tried.config_fingerprint,
        dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        rank_ic,
        sharpe,
        tried.code_hash,
    )


def _known(path: Path, tried: Tried) -> list[Trial]:
    """Read as `_beside`, where nothing is written."""
    try:
        return _beside(path, tried)
    except OSError as error:
        raise OmninmoError(
            f"The trial log {path} cannot be read: {error.strerror}. Mend the folder, or name "
            "another with --paths.ledger-dir."
        ) from error


def _beside(path: Path, tried: Tried) -> list[Trial]:
    """Read the trials of the same universe that have dates in common."""
    return [
        other
        for other in journal.read(path, Trial)
        if other.first <= tried.last.isoformat()
        and other.last >= tried.first.isoformat()
        and journal.same_universe(other.tickers, tried.tickers)
    ]


def _counted(trial: Trial, known: Sequence[Trial]) -> Trials:
    """Count the distinct trials among those known and the present one."""
    others = tuple(
        float("nan") if other.sharpe is None else other.sharpe
        for other in _distinct([*known, trial])[:-1]
    )
    return Trials(1 + len(others), others)


def _distinct(tried: Sequence[Trial]) -> list[Trial]:
    """Keep the newest trial of each line of data that a configuration was tried on.

    The last trial stays last; it stands for all that its configuration found on its line.
    """
    lines: dict[Key, list[list[Trial]]] = {}
    mine: list[Trial] = []
    for one, key in zip(tried, _keys(tried), strict=True):
        mine = _line_of(one, lines.setdefault(key, []))
    others = [line[-1] for found in lines.values() for line in found if line is not mine]
    return [*others, tried[-1]]


def _line_of(one: Trial, lines: list[list[Trial]]) -> list[Trial]:
    """Put a trial on the line of its bars, on one that its bars lengthen, or on a new one.

    Bars lengthen those that end before them. The latest such line is taken: there are then
    never more lines than the longest row of trials each of which ends no later than the one
    before, and so cannot be one growing set of bars.
    """
    for line in lines:
        for place, known in enumerate(line):
            if known.data_fingerprint == one.data_fingerprint:
                line[place] = one
                return line
    shorter = [line for line in lines if line[-1].bars_end < one.bars_end]
    found = max(shorter, key=lambda line: line[-1].bars_end, default=None)
    if found is None:
        lines.append(found := [])
    found.append(one)
    return found


def _keys(tried: Sequence[Trial]) -> list[Key]:
    """Name what each trial is a trial of; code that gave the same numbers is the same code."""
    first: dict[tuple[object, ...], Key] = {}
    same: dict[Key, Key] = {}
    for one in tried:
        key = _key(one, tried[-1])
        if one.rank_ic is not None:
            seen = (one.config_fingerprint, one.data_fingerprint, one.rank_ic, one.sharpe)
            known = first.setdefault(seen, key)
            if known != key:
                same[key] = same.get(known, known)
    found = [_key(one, tried[-1]) for one in tried]
    return [same.get(key, key) for key in found]


def _key(one: Trial, last: Trial) -> Key:
    """Give configuration and code; a line that names no code has that of the last trial."""
    return one.config_fingerprint, one.code_hash or last.code_hash


def _same(trial: Trial, other: Trial) -> bool:
    """Tell whether a trial repeats another to the number."""
    return (
        trial.config_fingerprint == other.config_fingerprint
        and trial.code_hash == other.code_hash
        and trial.data_fingerprint == other.data_fingerprint
        and trial.rank_ic == other.rank_ic
        and trial.sharpe == other.sharpe
    )
