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
from src.v2.console import log_to, run_command, show_note
from src.v2.errors import DataError, OmninmoError

if TYPE_CHECKING:
    from src.v2.page.identity import RunIdentity

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
        page = _from_mlflow(config) if config.report.run else _from_disk(config)
    sys.stdout.write(f"{page}\n")
    if config.report.open:
        _show(page)
    return 0


def _from_disk(config: Config) -> Path:
    """Write the page beside the run that it is about."""
    from src.v2.page.content import build_page
    from src.v2.page.render import write_report
    from src.v2.run_store import load_run

    folder = config.report.folder or _newest(config.paths.reports_dir)
    result, identity = load_run(folder)
    return write_report(build_page(result, identity), folder)[0]


def _from_mlflow(config: Config) -> Path:
    """Fetch a run's record and tables, and put them with the page where a training would."""
    from src.v2.page.content import build_page
    from src.v2.page.render import write_report
    from src.v2.run_store import RECORD_NAME, SHAP_NAME, TABLE_NAMES, load_run
    from src.v2.tracking.downloads import download_files

    if config.report.folder is not None:
        raise DataError("--run and --folder name two runs; give one of them.")
    reports = config.paths.reports_dir
    try:
        reports.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".report-", dir=reports))
    except OSError as error:
        raise OmninmoError(f"The folder {reports} cannot be written: {error.strerror}.") from error
    try:
        names = (RECORD_NAME, SHAP_NAME, *TABLE_NAMES.values())
        download_files(config.mlflow, config.report.run or "", names, fresh)
        result, identity = load_run(fresh)
        write_report(build_page(result, identity), fresh)
        return _put_in_place(fresh, _home(reports, identity))
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _home(reports: Path, identity: RunIdentity) -> Path:
    """Give the run's folder; one of the same name that holds another run is left alone."""
    from src.v2.run_store import RECORD_NAME, read_identity

    name, run_id = identity.model, identity.run_id or ""
    # Both come from the store, and become a path.
    if not re.fullmatch(r"[\w-][\w.-]*", name) or not re.fullmatch(r"\w*", run_id):
        raise DataError(
            f"A run's names must be letters, digits, _ and -; got {name!r}, {run_id!r}."
        )
    home = reports / name
    taken = (home / RECORD_NAME).is_file() and read_identity(home) != identity
    return reports / f"{name}_{run_id}" if taken else home


def _put_in_place(fresh: Path, folder: Path) -> Path:
    """Move what is new; a folder of the same run keeps its other files."""
    from src.v2.page.render import HTML_NAME

    folder.mkdir(exist_ok=True)
    for path in sorted(fresh.iterdir()):
        os.replace(path, folder / path.name)
    return folder / HTML_NAME


def _newest(reports: Path) -> Path:
    """Find the run whose record was written last."""
    from src.v2.run_store import RECORD_NAME

    records = sorted(reports.glob(f"*/{RECORD_NAME}"), key=lambda path: path.stat().st_mtime)
    if not records:
        raise DataError(
            f"{reports} holds no run. make train-sample makes one; --run names one in MLflow."
        )
    return records[-1].parent


def _show(page: Path) -> None:
    """Open the page in the user's browser."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        show_note(f"no browser could be started; open {page.resolve()} yourself.")


if __name__ == "__main__":
    sys.exit(main())
