"""``python -m src.v2.tune``: a search of hyperparameters, and whether its winner holds."""

from __future__ import annotations

import datetime as dt
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.v2.config import Config
from src.v2.config_flags import SHORT_FLAGS
from src.v2.config_sources import load_config, refuse_unread_path
from src.v2.console import (
    RunLog,
    Stages,
    log_to,
    progress_bar,
    run_command,
    show_note,
)
from src.v2.errors import OmninmoError
from src.v2.lifecycle.closed_holdout import refuse_moved_holdout
from src.v2.lifecycle.variations import with_bare_switches, without_flags

if TYPE_CHECKING:
    from src.v2.lifecycle.search_space import Dimension
    from src.v2.lifecycle.study import SearchStudy
    from src.v2.lifecycle.trial_walks import Folds
    from src.v2.lifecycle.tuning import Tuned
    from src.v2.preparation import Prepared
    from src.v2.tracking.runs import TrackedRun

COMMAND = "python -m src.v2.tune"
TRAIN = "python -m src.v2.train"
SWITCHES = ("--tune.train-best",)
FLAGS = {
    **SHORT_FLAGS,
    "tune.n-trials": "n-trials",
    "tune.timeout": "timeout",
}
ABOUT = """\
Search hyperparameters on the earlier folds, and confirm the winner on the last ones.

  python -m src.v2.tune --force-sample --n-trials 30
  python -m src.v2.tune --timeout 3600 --tune.parameters learning_rate,max_depth

Trials are kept in reports/ and count in the trial log; the next call goes on where this one
ended. The winner is written as a file for train --variation; the holdout stays closed.
--tune.train-best trains the recommended one afterwards.
"""
IMPORTANCE_AFTER = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 when the search is done and logged."""
    return run_command(_command, argv)


def _command(argv: Sequence[str]) -> int:
    words = with_bare_switches(argv, SWITCHES)
    config = load_config(words, FLAGS, COMMAND, ABOUT)
    refuse_unread_path(config)
    refuse_moved_holdout([config], words)
    with log_to(config.paths.logs_dir) as run_log:
        tuned = tune(config)
        if config.tune.train_best:
            _train(tuned.config if tuned.recommended else config, run_log)
        else:
            sys.stdout.write(f"{_next_command(words, config, tuned)}\n")
    return 0


def tune(config: Config) -> Tuned:
    """Search, confirm, and write everything down.

    Raises
    ------
    OmninmoError
        Saying what stands in the way; finished trials are kept.
    """
    stages = Stages(live=True)
    with stages.stage("libraries"):
        from src.v2.lifecycle.bench import Bench, check_settings
        from src.v2.lifecycle.search_space import search_space, space_print
        from src.v2.lifecycle.study import SearchStudy, only_writer
        from src.v2.lifecycle.trial_walks import part_folds
        from src.v2.lifecycle.tuning import check_universe, conclude, search
        from src.v2.lifecycle.tuning_runs import log_trial, log_tuning
        from src.v2.modeling.learners.xgboost_trees import check_device
        from src.v2.tracking.runs import training_run
    space = search_space(config)
    check_settings(config)
    check_device(config.model)
    now = dt.datetime.now().astimezone()
    with Bench(stages, progress_bar) as bench:
        prepared = bench.prepare(config)
        check_universe(prepared)
        folds = part_folds(prepared.schedule.folds, config.tune.confirm_folds)
        _tell_too_short(folds, prepared, config)
        data = prepared.coverage.fingerprint[:12]
        name = f"tune_{data}_{space_print(space, config, len(folds.searched))}"
        folder = config.paths.reports_dir / name
        with only_writer(folder):
            study = SearchStudy(folder / "study.db", name, config.seed)
            with training_run(
                config.mlflow, run_name=f"tune_{now:%Y%m%d_%H%M%S}", tags=_tags(prepared, config)
            ) as run:
                before = len(study.ended())
                if before:
                    show_note(f"{before} trials of earlier calls are in {folder}.")
                runs = search(study, space, prepared, config, folds)
                for trial in progress_bar(runs, "trials", max(config.tune.n_trials - before, 0)):
                    log_trial(trial, run)
                    _tell_importance(study, config)
                with stages.stage("confirmation"):
                    tuned = conclude(study, space, prepared, config, folds)
                files = write_tuning(tuned, space, folder)
                log_tuning(tuned, space, files, run)
    _print(tuned, files, config, run)
    return tuned


def _tell_too_short(folds: Folds, prepared: Prepared, config: Config) -> None:
    """Say before the search that its winner could not be confirmed."""
    from src.v2.lifecycle.confirmation import least_dates

    dates = folds.confirming_dates(prepared.schedule, config.label.span)
    needed = least_dates(config.label.forward_days)
    if dates < needed:
        show_note(
            f"the folds kept out have {dates:,} dates, {needed:,} are needed to confirm a winner: "
            "whatever is found, the default will be kept. Give a larger --tune.confirm-folds, or "
            "a longer history."
        )


def write_tuning(tuned: Tuned, space: Sequence[Dimension], folder: Path) -> dict[str, Path]:
    """Write what was found; each file is replaced whole.

    Raises
    ------
    OmninmoError
        When the folder cannot be written.
    """
    from src.v2.data.writing import replace_texts
    from src.v2.lifecycle.tuning_text import (
        trials_csv,
        tuned_file,
        tuning_markdown,
        tuning_record,
    )

    record = json.dumps(tuning_record(tuned, space), indent=2, allow_nan=False) + "\n"
    texts = {
        "tuning.md": tuning_markdown(tuned, space),
        "trials.csv": trials_csv(tuned, space),
        "tuning.json": record,
        "tuned.yaml": tuned_file(tuned, space),
    }
    try:
        return replace_texts(folder, texts)
    except OSError as error:
        raise OmninmoError(
            f"The search cannot be written to {folder}: {error.strerror}. Mend the folder, or name "
            "another with --paths.reports-dir."
        ) from error


def _tell_importance(study: SearchStudy, config: Config) -> None:
    """Say early, and after each ten trials, which parameters the scores depend on."""
    from src.v2.lifecycle.tuning_text import importance_line

    count = len(study.ended())
    if count % IMPORTANCE_AFTER == 0 and count < config.tune.n_trials:
        show_note(f"after {count} trials, {importance_line(study.importance(config.seed))}")


def _tags(prepared: Prepared, config: Config) -> dict[str, str]:
    from src.v2.tracking.git import git_tags

    return git_tags(Path(__file__).resolve().parents[2]) | {
        "part": "tune",
        "dataset_name": prepared.coverage.dataset_name,
        "data_fingerprint": prepared.coverage.fingerprint,
        "config_fingerprint": config.fingerprint,
    }


def _print(tuned: Tuned, files: Mapping[str, Path], config: Config, run: TrackedRun) -> None:
    from src.v2.lifecycle.tuning_text import importance_line, tuning_sentences

    for line in (*tuning_sentences(tuned), importance_line(tuned.importance)):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"table: {files['tuning.md']}\nsettings: {files['tuned.yaml']}\n")
    if run.run_id:
        from src.v2.tracking.viewing import how_to_see

        sys.stdout.write(f"MLflow: run {run.run_id}; {how_to_see(config.mlflow, run)}\n")


def _next_command(words: Sequence[str], config: Config, tuned: Tuned) -> str:
    """Say how what is recommended is trained, with the flags of this call."""
    from src.v2.lifecycle.search_space import search_space, settings_at

    own = ["--tune.", *(f"--{short}" for name, short in FLAGS.items() if name.startswith("tune."))]
    if not tuned.recommended:
        return f"train the default: {TRAIN} {shlex.join(without_flags(words, own))}".rstrip()
    found = [
        (f"--{section}.{name}".replace("_", "-"), json.dumps(value))
        for section, settings in settings_at(tuned.config, search_space(config)).items()
        for name, value in settings.items()
    ]
    rest = without_flags(words, [*own, *(flag for flag, _ in found)])
    named = [*rest, *(word for pair in found for word in pair)]
    return f"train the tuned one: {TRAIN} {shlex.join(named)}"


def _train(config: Config, run_log: RunLog) -> None:
    from src.v2.train import train

    result = train(config, run_log).result
    held = result.holdout.metrics["rank_ic"]
    sys.stdout.write(f"holdout rank IC of the recommended one: {held:+.4f}\n")


if __name__ == "__main__":
    sys.exit(main())
