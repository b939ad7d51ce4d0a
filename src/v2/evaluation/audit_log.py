"""The log of audits: which data, settings and code were audited, and how it ended."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from pathlib import Path

from src.v2.errors import OmninmoError
from src.v2.evaluation import journal

AUDITS_NAME = "audits.jsonl"


@dataclass(frozen=True, slots=True)
class AuditKey:
    """What an audit is about.

    Parameters
    ----------
    data_fingerprint, config_fingerprint
        Of the bars, and of the settings that decide a run's numbers.
    code_hash
        Of the sources of the features, by `src.v2.features.code_check.code_hash`.
    """

    data_fingerprint: str
    config_fingerprint: str
    code_hash: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """How one audit ended; `failed` names the checks that said no, none when it passed."""

    data_fingerprint: str
    config_fingerprint: str
    code_hash: str
    failed: list[str]
    audited_at: str
    report: str

    @property
    def key(self) -> AuditKey:
        """What it is about."""
        return AuditKey(self.data_fingerprint, self.config_fingerprint, self.code_hash)


def record_audit(
    folder: Path, key: AuditKey, failed: list[str], audited_at: dt.datetime, report: str
) -> None:
    """Write down how an audit ended.

    Parameters
    ----------
    folder
        Folder of the log; made when absent.
    failed
        Names of the checks that said no.
    report
        Where the whole audit can be read.

    Raises
    ------
    OmninmoError
        When the log cannot be written.
    """
    path = folder / AUDITS_NAME
    when = audited_at.astimezone(dt.UTC).isoformat(timespec="seconds")
    entry = AuditEntry(**asdict(key), failed=failed, audited_at=when, report=report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with journal.locked(path.with_suffix(".lock")):
            journal.append(path, asdict(entry))
    except OSError as error:
        raise OmninmoError(
            f"The log of audits {path} cannot be written: {error.strerror}. Mend the folder, or "
            "name another with --paths.ledger-dir."
        ) from error


def newest_audit(folder: Path, key: AuditKey) -> AuditEntry | None:
    """Find the last audit of these data, settings and code; None when there was none."""
    found = [item for item in journal.read(folder / AUDITS_NAME, AuditEntry) if item.key == key]
    return max(found, key=lambda item: item.audited_at, default=None)
