"""The trial log: every configuration whose walk-forward was looked at.

The best of many tries looks good by luck alone. The verdict divides its level by the number
of configurations tried on the same data, and the Sharpe ratio is deflated by it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from src.v2.errors import OmninmoError
from src.v2.evaluation import journal

TRIALS_NAME = "trials.jsonl"


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration and what its walk-forward showed.

    Parameters
    ----------
    first, last
        Dates of the out-of-sample forecasts.
    bars_end
        Last date of the bars.
    rank_ic, sharpe
        Mean rank IC, and Sharpe ratio of a session's long-short return; null where there is none.
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
    folder: Path,
    *,
    tickers: Sequence[str],
    first: dt.date,
    last: dt.date,
    bars_end: dt.date,
    data_fingerprint: str,
    config_fingerprint: str,
    rank_ic: float | None,
    sharpe: float | None,
) -> Trials:
    """Write a trial down, and count those on the same data.

    Parameters
    ----------
    folder
        Folder of the log; made when absent.
    tickers
        The universe. Trials count together when the smaller of two universes shares half of
        its tickers with the other, and their forecasts have dates in common.
    rank_ic, sharpe
        As in `Trial`.

    Returns
    -------
    Trials
        A configuration tried again on bars that end later counts once, with its newest numbers;
        on other bars that end on the same date it is another trial.

    Raises
    ------
    OmninmoError
        When the log cannot be written.
    """
    path = folder / TRIALS_NAME
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    trial = Trial(
        sorted(tickers),
        first.isoformat(),
        last.isoformat(),
        bars_end.isoformat(),
        data_fingerprint,
        config_fingerprint,
        now,
        rank_ic,
        sharpe,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with journal.locked(path.with_suffix(".lock")):
            known = [
                other
                for other in journal.read(path, Trial)
                if other.first <= trial.last
                and other.last >= trial.first
                and journal.same_universe(other.tickers, tickers)
            ]
            if not any(_same(trial, other) for other in known):
                journal.append(path, asdict(trial))
    except OSError as error:
        raise OmninmoError(
            f"The trial log {path} cannot be written: {error.strerror}. Mend the folder, or "
            "name another with --paths.ledger-dir."
        ) from error
    others = tuple(
        float("nan") if other.sharpe is None else other.sharpe
        for other in _distinct([*known, trial])[:-1]
    )
    return Trials(1 + len(others), others)


def _distinct(tried: Sequence[Trial]) -> list[Trial]:
    """Keep of each configuration the bars' end with the most data, and their newest numbers.

    The last trial stays last; it stands for all that its configuration found on the same bars.
    """
    last = tried[-1]
    by_end: dict[str, dict[str, dict[str, Trial]]] = {}
    for one in tried:
        ends = by_end.setdefault(one.config_fingerprint, {})
        ends.setdefault(one.bars_end, {})[one.data_fingerprint] = one
    kept: list[Trial] = []
    for name, ends in by_end.items():
        end = max(ends, key=lambda date: (len(ends[date]), date))
        group = list(ends[end].values())
        if name == last.config_fingerprint:
            mine = [one for one in group if one.data_fingerprint == last.data_fingerprint]
            group = [one for one in group if one not in (mine or group[-1:])]
        kept += group
    return [*kept, last]


def _same(trial: Trial, other: Trial) -> bool:
    """Tell whether a trial repeats another to the number."""
    return (
        trial.config_fingerprint == other.config_fingerprint
        and trial.data_fingerprint == other.data_fingerprint
        and trial.rank_ic == other.rank_ic
        and trial.sharpe == other.sharpe
    )
