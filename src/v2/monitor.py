"""``python -m src.v2.monitor``: whether a model in use does what its training promised."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.v2.config import Config
from src.v2.config_sources import load_config
from src.v2.console import RunLog, log_to, run_command, show_note
from src.v2.errors import OmninmoError, TrackingError

if TYPE_CHECKING:
    from src.v2.lifecycle.monitor_records import MonitorResult
    from src.v2.model_source import ModelSource
    from src.v2.tracking.runs import TrackedRun

COMMAND = "python -m src.v2.monitor"
SHORT_FLAGS = {"monitor.model": "model", "data.period": "period"}
ABOUT = """\
Check the model in use: logged predictions against what came, drift, bars that stay away. It is
the registry's champion, or the newest model where none was promoted. --model names another.

  python -m src.v2.monitor
  python -m src.v2.monitor --model newest
  python -m src.v2.monitor --model models/st_predictor_regression_20240102_030405
  0 7 * * 1-5  cd omninmo && .venv/bin/python -m src.v2.monitor || mail -s alarm me

Reads the log that predict writes. Exit code 3 on an alarm.
"""
ALARM = 3
"""Exit code when a check raises the alarm."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 without an alarm, 3 with one."""
    return run_command(_command, argv)


def _command(argv: Sequence[str]) -> int:
    first = load_config(argv, SHORT_FLAGS, COMMAND, ABOUT)
    with log_to(first.paths.logs_dir) as run_log:
        result = _monitor(first, argv, run_log)
    return ALARM if result.alarms else 0


def _monitor(first: Config, argv: Sequence[str], run_log: RunLog) -> MonitorResult:
    """Look at the model, write down, log and print what is found."""
    from src.v2.lifecycle.monitor_output import print_monitor
    from src.v2.model_source import card_overlay, find_model, refuse_unnamed_modules
    from src.v2.modeling.model_file import read_card
    from src.v2.tracking.runs import training_run
    from src.v2.tracking.viewing import how_to_see

    source = find_model(first.monitor.model, first)
    for told in source.notes:
        show_note(told)
    card = read_card(source.path)
    config = load_config(argv, SHORT_FLAGS, COMMAND, ABOUT, overlay=card_overlay(card))
    refuse_unnamed_modules(first, card)
    now = dt.datetime.now().astimezone()
    result = _look(config, source, now)
    name = f"monitor_{now:%Y%m%d_%H%M%S}"
    report = _write(config, result, name, now)
    tags = _tags(config, source, result, now)
    with training_run(config.mlflow, run_name=name, tags=tags) as run:
        problem = _log(result, run, report, run_log)
        where = "not logged: mlflow.enabled is false"
        if config.mlflow.enabled:
            where = f"run {run.run_id} in {run.tracking_uri}; {how_to_see(config.mlflow, run)}"
        if problem is not None:
            where = "not logged in full, see the error below"
        print_monitor(result, [f"report: {report}", f"MLflow: {where}"])
        if problem is not None:
            # Printed before: what was found is worth more than the error.
            raise problem
    return result


def _look(config: Config, source: ModelSource, now: dt.datetime) -> MonitorResult:
    """Read the log and the bars, and make every check."""
    from src.v2.decision_rows import decision_rows
    from src.v2.lifecycle.monitoring import Standing, monitor_model
    from src.v2.lifecycle.prediction_log import read_log
    from src.v2.lifecycle.state_checks import newest_rows
    from src.v2.model_source import load_model_bars
    from src.v2.modeling.model_file import read_card, read_drift_reference

    card = read_card(source.path)
    standing = None
    if source.registered is not None and source.version is not None:
        standing = Standing(source.registered, source.version, source.alias)
    log = read_log(config.paths.predictions_dir)
    held = load_model_bars(config, card)
    frame = decision_rows(held.bars, card, held.market, held.context, held.universe).frame
    return monitor_model(
        log,
        held.bars,
        newest_rows(frame, held.bars, card),
        read_drift_reference(source.path),
        card,
        config.monitor,
        shown=source.shown,
        today=now.date(),
        standing=standing,
    )


def _write(config: Config, result: MonitorResult, name: str, now: dt.datetime) -> Path:
    """Write monitor.json and monitor.html into a folder of their own, whole or not at all."""
    from src.v2.lifecycle.monitor_output import monitor_json, monitor_page

    folder = config.paths.reports_dir
    about = {
        "timestamp": now.isoformat(timespec="seconds"),
        "config_fingerprint": config.fingerprint,
        "settings": config.monitor.model_dump(mode="json"),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".monitor-", dir=folder))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        (fresh / "monitor.json").write_text(monitor_json(result, about), encoding="utf-8")
        page = monitor_page(result, f"{now:%Y-%m-%d %H:%M}")
        (fresh / "monitor.html").write_text(page, encoding="utf-8")
        fresh.chmod(0o755)
        target = _free(folder / name)
        os.replace(fresh, target)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target


def _unwritable(folder: Path, error: OSError) -> OmninmoError:
    return OmninmoError(
        f"The folder {folder} cannot be written: {error.strerror}. Mend it, or name another with "
        "--paths.reports-dir."
    )


def _free(path: Path) -> Path:
    """Add a number where a path is taken."""
    free, number = path, 2
    while free.exists():
        free, number = path.with_name(f"{path.name}_{number}"), number + 1
    return free


def _log(
    result: MonitorResult, run: TrackedRun, report: Path, run_log: RunLog
) -> TrackingError | None:
    """Log the look; a store that fails now is given back, since the report is safe on disk."""
    from src.v2.lifecycle.monitor_output import closing_line, monitor_numbers

    try:
        run.log_params({"model": result.shown, "forward_days": result.forward_days})
        run.log_metrics(monitor_numbers(result))
        run.set_tags({"verdict": f"monitor {'alarm' if result.alarms else 'ok'}"})
        run.set_tags({f"monitor_{check.name}": check.outcome for check in result.checks})
        run.note(closing_line(result))
        run.log_files({name: report / name for name in ("monitor.json", "monitor.html")})
        run.log_text(run_log.text(), "logs/monitor.log")
    except TrackingError as error:
        error.add_note(f"the report is saved in {report}")
        return error
    return None


def _tags(
    config: Config, source: ModelSource, result: MonitorResult, now: dt.datetime
) -> dict[str, str]:
    """Tags that looks are found by."""
    told = {"registered": source.registered, "version": source.version, "alias": source.alias}
    return {
        "kind": "monitor",
        "env": config.env,
        "monitored_model": result.model,
        "monitored_model_id": result.model_id,
        **{f"monitored_{name}": value for name, value in told.items() if value},
        "data_source": config.data.source,
        "config_fingerprint": config.fingerprint,
        "run_timestamp": now.isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    sys.exit(main())
