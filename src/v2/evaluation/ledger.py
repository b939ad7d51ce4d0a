"""The holdout's ledger: every configuration that was ever scored on it.

A holdout is honest once. Each further configuration scored on it turns it a little more
into a training set, so the count stands beside every number that comes from it. So does the
number of configurations whose folds reached into it, as those of a smaller holdout do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from src.v2.errors import OmninmoError
from src.v2.evaluation import journal

LEDGER_NAME = "holdout.jsonl"

CONFIRMATIONS_NAME = "confirmations.jsonl"
"""The same for folds that a search keeps out: each further winner that meets them is a look."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One scoring of a holdout."""

    tickers: list[str]
    first: str
    last: str
    data_fingerprint: str
    config_fingerprint: str
    opened_at: str


@dataclass(frozen=True, slots=True)
class Openings:
    """What a holdout was used for so far.

    Parameters
    ----------
    count
        Distinct pairs of data and configuration scored on it, the present one included.
    seen
        Distinct configurations of the trial log whose folds were scored on part of its dates.
    """

    count: int
    seen: int


def record_opening(
    folder: Path,
    *,
    tickers: Sequence[str],
    first: dt.date,
    last: dt.date,
    data_fingerprint: str,
    config_fingerprint: str,
    name: str = LEDGER_NAME,
) -> int:
    """Write down that a configuration is scored on a holdout, and count.

    Parameters
    ----------
    folder
        Folder of the ledger; made when absent.
    tickers
        The universe. Openings count together when the smaller of two universes shares half
        of its tickers with the other, and their holdouts have dates in common.
    first, last
        Dates of the holdout.
    name
        File of the ledger: one for each kind of dates that are honest once.

    Returns
    -------
    int
        The distinct pairs of data and configuration that were scored so far, this one
        included. A pair scored before adds no line.

    Raises
    ------
    OmninmoError
        When the ledger cannot be written.
    """
    path = folder / name
    pair = (data_fingerprint, config_fingerprint)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with journal.locked(path.with_suffix(".lock")):
            seen = {
                (opening.data_fingerprint, opening.config_fingerprint)
                for opening in journal.read(path, Opening)
                if opening.first <= last.isoformat()
                and opening.last >= first.isoformat()
                and journal.same_universe(opening.tickers, tickers)
            }
            if pair not in seen:
                now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
                line = Opening(sorted(tickers), first.isoformat(), last.isoformat(), *pair, now)
                journal.append(path, asdict(line))
    except OSError as error:
        raise OmninmoError(
            f"The ledger {path} cannot be written: {error.strerror}. Mend the folder, or "
            "name another with --paths.ledger-dir."
        ) from error
    return len(seen | {pair})
