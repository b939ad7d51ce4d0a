"""``python -m src.v2.audit``: whether anything leaks, on the user's own data and features."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from src.v2.config import Config
from src.v2.config_sources import load_config, refuse_unread_path
from src.v2.console import RunLog, Stages, log_to, progress_bar, run_command, show_note
from src.v2.errors import OmninmoError, TrackingError

if TYPE_CHECKING:
    from src.v2.evaluation.audit_log import AuditKey
    from src.v2.evaluation_records import AuditCheck
    from src.v2.records import Coverage
    from src.v2.tracking.runs import TrackedRun

COMMAND = "python -m src.v2.audit"
ABOUT = """\
Prove on your own bars, settings and features that nothing leaks; takes what train takes.

  python -m src.v2.audit --force-sample
  python -m src.v2.audit --data.source files --data.path prices.parquet --forward-days 20
  python -m src.v2.audit --features.modules my_features.py

Exit code 3 when a check fails. The holdout stays closed.
"""
FAILED = 3
"""Exit code when a check says no."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 when no check fails, 3 otherwise."""
    return run_command(_command, argv)


def _command(argv: Sequence[str]) -> int:
    config = load_config(argv, command=COMMAND, about=ABOUT)
    refuse_unread_path(config)
    with log_to(config.paths.logs_dir) as run_log:
        checks = audit(config, run_log)
    return FAILED if any(check.outcome == "fail" for check in checks) else 0


def audit(config: Config, run_log: RunLog) -> tuple[AuditCheck, ...]:
    """Make every check, and write down, log and print what they found.

    Raises
    ------
    OmninmoError
        When bars or settings cannot be used, or the result cannot be written.
    """
    now = dt.datetime.now().astimezone()
    stages = Stages(live=True)
    if (config.scale.mode, config.scale.engine) != ("memory", "local"):
        show_note(
            "the audit changes panels and looks at them whole: it works in the memory of this "
            "process, on a panel that is the same to the bit."
        )
    _check_folder(config.paths.reports_dir, "reports-dir")
    _check_folder(config.paths.ledger_dir, "ledger-dir")
    with stages.stage("libraries"):
        from src.v2.audit_checks import run_audit
        from src.v2.data.context import load_context
        from src.v2.data.sources import load_bars
        from src.v2.evaluation.audit_log import record_audit
        from src.v2.modeling.learners.xgboost_trees import check_device
        from src.v2.tracking.runs import training_run
    check_device(config.model)
    with stages.stage("bars"):
        context = load_context(config.data)
        for note in context.notes:
            show_note(note)
        bars, market, coverage = load_bars(
            config.data, tuple(config.features.columns), config.paths.bars_dir, progress_bar
        )
    name = f"audit_{now:%Y%m%d_%H%M%S}"
    tags = _tags(config, coverage, now)
    with training_run(config.mlflow, run_name=name, tags=tags) as run:
        checks = run_audit(bars, market, coverage, config, stages, progress_bar, context)
        report = _write(config, coverage, checks, stages, name, now)
        failed = [check.name for check in checks if check.outcome == "fail"]
        record_audit(
            config.paths.ledger_dir, _audit_key(config, coverage), failed, now, str(report)
        )
        problem = _log(config, coverage, checks, run, report, run_log)
        _print(config, coverage, checks, report, run, logged=problem is None)
        if problem is not None:
            # Printed before: the finished audit is worth more than the error.
            raise problem
    return checks


def _audit_key(config: Config, coverage: Coverage) -> AuditKey:
    """Say which data, settings and feature code are audited."""
    from src.v2.evaluation.audit_log import AuditKey
    from src.v2.features.code_check import code_hash

    return AuditKey(coverage.fingerprint, config.fingerprint, code_hash())


def _check_folder(folder: Path, flag: str) -> None:
    """Refuse now what would be refused after minutes of work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, flag, error) from error


def _unwritable(folder: Path, flag: str, error: OSError) -> OmninmoError:
    return OmninmoError(
        f"The folder {folder} cannot be written: {error.strerror}. Mend it, or name another with "
        f"--paths.{flag}."
    )


def _write(
    config: Config,
    coverage: Coverage,
    checks: Sequence[AuditCheck],
    stages: Stages,
    name: str,
    now: dt.datetime,
) -> Path:
    """Write audit.json and audit.md into a folder of their own, whole or not at all."""
    from src.v2.evaluation.leakage.report import audit_markdown, closing_line, count_outcomes
    from src.v2.summary_record import plain

    record = {
        "schema_version": 1,
        "timestamp": now.isoformat(timespec="seconds"),
        "verdict": closing_line(checks),
        "counts": dict(count_outcomes(checks)),
        "checks": [asdict(check) for check in checks],
        "data_fingerprint": coverage.fingerprint,
        "config_fingerprint": config.fingerprint,
        "forward_days": config.label.forward_days,
        "stages_sec": dict(stages.seconds),
    }
    text = json.dumps(plain(record), indent=2, ensure_ascii=False) + "\n"
    page = audit_markdown(name, [_audited(config, coverage)], checks)
    folder = config.paths.reports_dir
    fresh = Path(tempfile.mkdtemp(prefix=".audit-", dir=folder))
    try:
        (fresh / "audit.json").write_text(text, encoding="utf-8")
        (fresh / "audit.md").write_text(page, encoding="utf-8")
        fresh.chmod(0o755)
        target = _free(folder / name)
        os.replace(fresh, target)
    except OSError as error:
        raise _unwritable(folder, "reports-dir", error) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target


def _free(path: Path) -> Path:
    """Add a number where a path is taken."""
    free, number = path, 2
    while free.exists():
        free, number = path.with_name(f"{path.name}_{number}"), number + 1
    return free


def _audited(config: Config, coverage: Coverage) -> str:
    label = config.label
    return (
        f"{len(coverage.tickers)} tickers, {coverage.sessions:,} sessions, {coverage.first} to "
        f"{coverage.last} from {coverage.source}; {label.mode} of {label.forward_days}-session "
        f"returns, data {coverage.fingerprint[:12]}, settings {config.fingerprint}"
    )


def _log(
    config: Config,
    coverage: Coverage,
    checks: Sequence[AuditCheck],
    run: TrackedRun,
    report: Path,
    run_log: RunLog,
) -> TrackingError | None:
    """Log the audit; a store that fails now is given back, since the report is safe on disk."""
    from src.v2.evaluation.leakage.report import audit_numbers, closing_line

    try:
        label = config.label
        run.log_params(
            {
                "mode": label.mode,
                "forward_days": label.forward_days,
                "entry_lag": label.entry_lag,
                "own_features": config.features.modules,
            }
        )
        run.log_dataset(
            name=coverage.dataset_name,
            source=coverage.source,
            digest=coverage.fingerprint,
            counts={
                "rows": coverage.rows,
                "tickers": len(coverage.tickers),
                "sessions": coverage.sessions,
            },
        )
        run.log_metrics(audit_numbers(checks))
        failed = any(check.outcome == "fail" for check in checks)
        run.set_tags({"verdict": f"audit {'failed' if failed else 'passed'}"})
        run.set_tags({f"audit_{check.name}": check.outcome for check in checks})
        run.note(closing_line(checks))
        run.log_files({name: report / name for name in ("audit.json", "audit.md")})
        run.log_text(run_log.text(), "logs/audit.log")
    except TrackingError as error:
        error.add_note(f"the audit is saved in {report}")
        return error
    return None


def _tags(config: Config, coverage: Coverage, now: dt.datetime) -> dict[str, str]:
    """Tags that audits are found by."""
    from src.v2.tracking.git import git_tags

    tags = git_tags(Path(__file__).resolve().parents[2]) if config.mlflow.enabled else {}
    return tags | {
        "kind": "audit",
        "env": config.env,
        "dataset_name": coverage.dataset_name,
        "data_source": config.data.source,
        **asdict(_audit_key(config, coverage)),
        "run_timestamp": now.isoformat(timespec="seconds"),
    }


def _print(
    config: Config,
    coverage: Coverage,
    checks: Sequence[AuditCheck],
    report: Path,
    run: TrackedRun,
    *,
    logged: bool,
) -> None:
    from src.v2.evaluation.leakage.report import print_audit

    where = "not logged: mlflow.enabled is false"
    if config.mlflow.enabled:
        from src.v2.tracking.viewing import how_to_see

        where = f"run {run.run_id} in {run.tracking_uri}; {how_to_see(config.mlflow, run)}"
        if not logged:
            where = "not logged in full, see the error below"
    print_audit([_audited(config, coverage), f"report: {report}", f"MLflow: {where}"], checks)


if __name__ == "__main__":
    sys.exit(main())
