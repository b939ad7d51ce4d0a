"""What a training run leaves on disk: its model, its report and its summary."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polars.exceptions import PolarsError

from src.v2.config import Config
from src.v2.console import Stages, show_note, signals_deferred
from src.v2.errors import OmninmoError, PathTaken
from src.v2.figures.training import WrittenFigures, write_training_figures
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.model_file import CARD_NAME, save_model
from src.v2.page.content import build_page
from src.v2.page.identity import RunIdentity
from src.v2.page.render import HTML_NAME, write_report
from src.v2.pipeline import Trained
from src.v2.run_store import save_run
from src.v2.summary_record import summary_record, write_summary


@dataclass(frozen=True, slots=True)
class Written:
    """What a run left on disk.

    Parameters
    ----------
    page
        The report.
    pictures, files
        Local files by their path in the tracked run.
    """

    model: Path
    summary: Path
    page: Path
    pictures: Mapping[str, Path]
    files: Mapping[str, Path]


def write_files(config: Config, trained: Trained, identity: RunIdentity, stages: Stages) -> Written:
    """Write report, model and summary; an interrupt leaves report and model both, or neither."""
    paths = config.paths
    fresh = Path(tempfile.mkdtemp(prefix=".report-", dir=paths.reports_dir))
    try:
        drawn = _write_report(config, trained, identity, fresh, stages)
        fresh.chmod(0o755)
        with signals_deferred():
            model = _save_model(config, trained)
            report = free_path(paths.reports_dir / model.name)
            os.replace(fresh, report)
    except (OSError, PolarsError) as error:
        raise OmninmoError(
            f"The results cannot be written to {paths.models_dir} and {paths.reports_dir}: "
            f"{getattr(error, 'strerror', None) or error}. Mend the folder, or name another with "
            "--paths.models-dir and --paths.reports-dir."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    when = identity.timestamp
    record = summary_record(
        trained.result, model_path=model, run_id=identity.run_id, timestamp=when
    )
    try:
        summary = write_summary(record, paths.logs_dir, when)
    except OmninmoError as error:
        error.add_note(f"the model is saved in {model}, its report in {report}")
        raise
    pictures = {path.name: report / path.name for path in drawn.paths}
    files = {path.name: path for path in sorted(report.iterdir()) if path.name not in pictures}
    files |= {CARD_NAME: model / CARD_NAME, summary.name: summary}
    return Written(model, summary, report / HTML_NAME, pictures, files)


def planned_name(config: Config, card: ModelCard) -> str:
    """Name that the model's folder will have."""
    return (config.paths.model_path or free_path(config.paths.models_dir / card.name)).name


def free_path(path: Path) -> Path:
    """Add a number where a path is taken."""
    free, number = path, 2
    while free.exists():
        free, number = path.with_name(f"{path.name}_{number}"), number + 1
    return free


def _write_report(
    config: Config, trained: Trained, identity: RunIdentity, folder: Path, stages: Stages
) -> WrittenFigures:
    """Write pictures, page, record and tables; a picture that fails is named, and left out."""
    with stages.stage("pictures"):
        drawn = write_training_figures(trained.result, folder, config.explain.dependence_features)
    with stages.stage("report page"):
        page = build_page(trained.result, identity)
        write_report(page, folder)
        save_run(trained.result, identity, folder)
    failed = {**drawn.failed, **page.record["pictures_failed"]}
    for name, reason in failed.items():
        show_note(f"the picture {name} could not be drawn: {reason}")
    return drawn


def _save_model(config: Config, trained: Trained) -> Path:
    """Save under the path asked for, or under a name that no run at once has taken."""
    named, overwrite = config.paths.model_path, config.paths.overwrite
    if named is not None:
        return save_model(
            trained.model,
            trained.card,
            named,
            overwrite=overwrite,
            drift_reference=trained.drift_reference,
        )
    while True:
        path = free_path(config.paths.models_dir / trained.card.name)
        try:
            return save_model(
                trained.model, trained.card, path, drift_reference=trained.drift_reference
            )
        except PathTaken:
            continue
