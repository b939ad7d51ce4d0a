"""The log of audits: found by data, settings and code, the newest first."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from src.v2.errors import OmninmoError
from src.v2.evaluation.audit_log import AUDITS_NAME, AuditKey, newest_audit, record_audit

KEY = AuditKey("data", "config", "code")
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)


def test_the_newest_audit_of_the_same_things_counts(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    assert newest_audit(folder, KEY) is None
    record_audit(folder, KEY, ["leads"], NOON, "first")
    record_audit(folder, KEY, [], NOON + dt.timedelta(days=1), "second")
    # Noted late, made early: a later time in another zone may still be the earlier one.
    early = dt.datetime(2026, 1, 3, 13, tzinfo=dt.timezone(dt.timedelta(hours=9)))
    record_audit(folder, KEY, ["leads"], early, "third")
    found = newest_audit(folder, KEY)
    assert found is not None and (found.report, found.failed) == ("second", [])


@pytest.mark.parametrize(
    "other",
    [
        AuditKey("other", "config", "code"),
        AuditKey("data", "other", "code"),
        AuditKey("data", "config", "other"),
    ],
)
def test_an_audit_of_other_data_settings_or_code_does_not_count(
    tmp_path: Path, other: AuditKey
) -> None:
    record_audit(tmp_path, KEY, [], NOON, "r")
    assert newest_audit(tmp_path, other) is None


def test_a_torn_line_is_passed_over_aloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / AUDITS_NAME).write_text('{"data_fing')
    record_audit(tmp_path, KEY, [], NOON, "r")
    found = newest_audit(tmp_path, KEY)
    assert found is not None and found.report == "r"
    assert "cannot be read" in capsys.readouterr().err


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OmninmoError, match=r"audits\.jsonl cannot be written.*--paths\.ledger-dir"):
        record_audit(tmp_path / "file", KEY, [], NOON, "r")
