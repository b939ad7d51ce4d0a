"""The holdout's ledger: every configuration that was ever scored on it.

A holdout is honest once. Each further configuration scored on it turns it a little more
into a training set, so the count stands beside every number that comes from it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from src.v2.errors import OmninmoError

LEDGER_NAME = "holdout.jsonl"


SAME_UNIVERSE = 0.5
"""Two universes are one when they share this much of the smaller one."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One scoring of a holdout."""

    tickers: list[str]
    first: str
    last: str
    data_fingerprint: str
    config_fingerprint: str
    opened_at: str


def record_opening(
    folder: Path,
    *,
    tickers: Sequence[str],
    first: dt.date,
    last: dt.date,
    data_fingerprint: str,
    config_fingerprint: str,
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
    path = folder / LEDGER_NAME
    pair = (data_fingerprint, config_fingerprint)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock")):
            seen = {
                (opening.data_fingerprint, opening.config_fingerprint)
                for opening in _read(path)
                if opening.first <= last.isoformat()
                and opening.last >= first.isoformat()
                and _same_universe(opening.tickers, tickers)
            }
            if pair not in seen:
                now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
                line = Opening(sorted(tickers), first.isoformat(), last.isoformat(), *pair, now)
                _append(path, json.dumps(asdict(line), sort_keys=True))
    except OSError as error:
        raise OmninmoError(
            f"The holdout's ledger {path} cannot be written: {error.strerror}. Mend the folder, or "
            "name another with --paths.ledger-dir."
        ) from error
    return len(seen | {pair})


def _same_universe(some: Sequence[str], others: Sequence[str]) -> bool:
    shared = len(set(some) & set(others))
    return shared >= SAME_UNIVERSE * min(len(set(some)), len(set(others)))


def _append(path: Path, line: str) -> None:
    """Add a line, after ending one that a crash tore."""
    torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as ledger:
        ledger.write(("\n" if torn else "") + line + "\n")
        ledger.flush()
        os.fsync(ledger.fileno())


def _read(path: Path) -> Iterator[Opening]:
    """Every line that can be read; a line torn by a crash is passed over."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield Opening(**json.loads(line))
        except (json.JSONDecodeError, TypeError):
            continue


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes."""
    import fcntl

    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
