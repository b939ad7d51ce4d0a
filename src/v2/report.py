"""``python -m src.v2.report``: write the report of a finished run again, without training."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.v2.config import Config
from src.v2.config_sources import load_config
from src.v2.console import log_to, run_command, show_note, signals_deferred
from src.v2.errors import DataError, OmninmoError

if TYPE_CHECKING:
    from src.v2.page.identity import RunIdentity
    from src.v2.records import TrainingResult

COMMAND = "python -m src.v2.report"
SHORT_FLAGS = {
    "report.run": "run",
    "report.folder": "folder",
    "report.open": "open",
    "mlflow.tracking-uri": "tracking-uri",
}
ABOUT = """\
Write report.html and report.json of a finished run again, without training: of the newest run
in reports/, of the one in --folder, or of --run from MLflow alone.

  python -m src.v2.report --open
  python -m src.v2.report --run 0123456789abcdef0123456789abcdef
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give the exit code."""
    return run_command(_command, argv)


def _command(argv: Sequence[str]) -> int:
    config = load_config(argv, SHORT_FLAGS, COMMAND, ABOUT)
    with log_to(config.paths.logs_dir):
        try:
            page = _from_mlflow(config) if config.report.run else _from_disk(config)
        except OSError as error:
            raise OmninmoError(
                f"The report cannot be written to {error.filename or config.paths.reports_dir}: "
                f"{error.strerror}. Mend the folder, or name another with --paths.reports-dir."
            ) from error
    sys.stdout.write(f"{page}\n")
    if config.report.open:
        _show(page)
    return 0


def _from_disk(config: Config) -> Path:
    """Write the page beside the run that it is about."""
    from src.v2.run_store import load_run

    folder = config.report.folder or _newest(config.paths.reports_dir)
    result, identity = load_run(folder)
    return _write(result, identity, folder)


def _from_mlflow(config: Config) -> Path:
    """Fetch a run's record and tables, and put them with the page where a training would."""
    from src.v2.run_store import RECORD_NAME, SHAP_NAME, TABLE_NAMES, load_run
    from src.v2.tracking.downloads import download_files

    if config.report.folder is not None:
        raise DataError("--run and --folder name two runs; give one of them.")
    reports, run_id = config.paths.reports_dir, config.report.run or ""
    reports.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".report-", dir=reports))
    try:
        names = (RECORD_NAME, SHAP_NAME, *TABLE_NAMES.values())
        download_files(config.mlflow, run_id, names, fresh)
        result, identity = load_run(fresh)
        _write(result, identity, fresh)
        fresh.chmod(0o755)
        return _put_in_place(fresh, _home(reports, identity, run_id))
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _write(result: TrainingResult, identity: RunIdentity, folder: Path) -> Path:
    """Write the page, and name the pictures that it lacks."""
    from src.v2.page.content import build_page
    from src.v2.page.render import write_report

    page = build_page(result, identity)
    for name, reason in page.record["pictures_failed"].items():
        show_note(f"the picture {name} could not be drawn: {reason}")
    return write_report(page, folder)[0]


def _home(reports: Path, identity: RunIdentity, run_id: str) -> Path:
    """Give the run's folder; one of the same name that holds another run is left alone."""
    name = identity.model
    # Both come from the store, and become a path.
    if not re.fullmatch(r"[\w-][\w.-]{,199}", name) or not re.fullmatch(r"\w{,99}", run_id):
        raise DataError(
            f"A run's names must be letters, digits, _ and -; got {name!r}, {run_id!r}."
        )
    home, apart = reports / name, reports / f"{name}_{run_id}"
    if identity.run_id != run_id:  # a copy of a run, under an id of its own
        return apart
    return apart if home.exists() and not _holds(home, identity) else home


def _holds(folder: Path, identity: RunIdentity) -> bool:
    """Whether a folder holds this very run, undamaged."""
    from src.v2.run_store import read_identity

    try:
        return read_identity(folder) == identity
    except DataError:
        return False


def _put_in_place(fresh: Path, folder: Path) -> Path:
    """Move what is new as one; a folder of the same run keeps its other files."""
    from src.v2.page.render import HTML_NAME

    with signals_deferred():
        if not folder.exists():
            os.replace(fresh, folder)
            return folder / HTML_NAME
        for path in sorted(fresh.iterdir()):
            os.replace(path, folder / path.name)
    return folder / HTML_NAME


def _newest(reports: Path) -> Path:
    """Find the run whose record was written last."""
    from src.v2.run_store import RECORD_NAME

    # A folder with a dot in front is being written, or was left by a kill.
    records = [
        path for path in reports.glob(f"*/{RECORD_NAME}") if not path.parent.name.startswith(".")
    ]
    if not records:
        raise DataError(
            f"{reports} holds no run. make train-sample makes one; --run names one in MLflow."
        )
    return max(records, key=lambda path: path.stat().st_mtime).parent


def _show(page: Path) -> None:
    """Open the page in the user's browser."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        show_note(f"no browser could be started; open {page.resolve()} yourself.")


if __name__ == "__main__":
    sys.exit(main())
