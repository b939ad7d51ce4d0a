"""Whether a model's data, settings and feature code were audited, and how that ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from src.v2.config import Config, RunsConfig
from src.v2.evaluation.audit_log import AuditKey, newest_audit
from src.v2.tracking.query import search_runs


@dataclass(frozen=True, slots=True)
class Audited:
    """The last audit of a model's data, settings and code.

    Parameters
    ----------
    when
        In UTC.
    where
        The report, or the run in MLflow.
    """

    passed: bool
    when: str
    where: str

    @property
    def shown(self) -> str:
        """The outcome for a reader."""
        return f"{'passed' if self.passed else 'failed'} on {self.when} ({self.where})"


def find_audit(config: Config, tags: Mapping[str, str]) -> Audited | None:
    """Find the last audit of a version's data, settings and code: in the ledger, or in MLflow.

    Parameters
    ----------
    tags
        Of `src.v2.lifecycle.registration.version_tags`.
    """
    names = ("data_fingerprint", "config_fingerprint", "code_hash")
    key = AuditKey(*(tags.get(name, "") for name in names))
    # The values become part of a question to MLflow.
    if not key.code_hash or any("'" in tags[name] for name in names):
        return None
    found = []
    entry = newest_audit(config.paths.ledger_dir, key)
    if entry is not None:
        found.append(Audited(not entry.failed, entry.audited_at, entry.report))
    asked = {"kind": "audit", **{name: getattr(key, name) for name in names}}
    wish = " and ".join(f"tags.{name} = '{value}'" for name, value in asked.items())
    runs = search_runs(config.mlflow, RunsConfig(filter=wish, max_results=1))
    for run in runs.drop_nulls(["verdict"]).iter_rows(named=True):
        when = run["start_time"].isoformat(timespec="seconds")
        found.append(Audited(run["verdict"] == "audit passed", when, f"run {run['run_id']}"))
    return max(found, key=lambda audit: audit.when, default=None)
