"""The holdout's ledger: every configuration that was ever scored on it.

A holdout is honest once. Each further configuration scored on it turns it a little more
into a training set, so the count stands beside every number that comes from it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

LEDGER_NAME = "holdout.jsonl"


@dataclass(frozen=True, slots=True)
class Opening:
    """One scoring of a holdout."""

    universe: str
    """Hash of the source and the tickers."""
    first: str
    last: str
    data_fingerprint: str
    config_fingerprint: str
    opened_at: str


def universe_id(dataset_name: str, tickers: tuple[str, ...]) -> str:
    """12 hex digits that name the universe of a holdout, whatever its dates."""
    text = "\n".join((dataset_name, *sorted(tickers)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def record_opening(
    folder: Path,
    *,
    universe: str,
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
    first, last
        Dates of the holdout.

    Returns
    -------
    int
        This configuration's place among the distinct pairs of data and configuration that
        were scored on a holdout of the same universe with dates in common, from 1. A pair
        scored before keeps its place and adds no line.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LEDGER_NAME
    pair = (data_fingerprint, config_fingerprint)
    with _locked(path.with_suffix(".lock")):
        seen: list[tuple[str, str]] = []
        for opening in _read(path):
            same = opening.universe == universe
            overlaps = opening.first <= last.isoformat() and opening.last >= first.isoformat()
            known = (opening.data_fingerprint, opening.config_fingerprint)
            if same and overlaps and known not in seen:
                seen.append(known)
        if pair in seen:
            return seen.index(pair) + 1
        line = Opening(
            universe,
            first.isoformat(),
            last.isoformat(),
            *pair,
            dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        )
        with path.open("a", encoding="utf-8") as ledger:
            ledger.write(json.dumps(asdict(line), sort_keys=True) + "\n")
        return len(seen) + 1


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
