"""``python -m src.v2.compare``: configurations beside each other on the same folds."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.v2.config import Config
from src.v2.config_flags import SHORT_FLAGS
from src.v2.config_sources import load_config, refuse_unread_path
from src.v2.console import RunLog, Stages, log_to, progress_bar, run_command, show_note
from src.v2.errors import OmninmoError
from src.v2.lifecycle.closed_holdout import refuse_moved_holdout
from src.v2.lifecycle.variations import (
    DEFAULT,
    Arm,
    Words,
    lay_arms,
    part_words,
    with_bare_switches,
    without_flags,
)

if TYPE_CHECKING:
    from src.v2.lifecycle.comparison import Comparison

COMMAND = "python -m src.v2.compare"
SWITCHES = ("--compare.fresh", "--compare.train-best")
ABOUT = """\
Compare configurations on the same walk-forward folds, beside the default; the holdout stays closed.

  python -m src.v2.compare experiments/*.yaml
  python -m src.v2.compare --sweep label.forward_days=5,21,60 --force-sample
  python -m src.v2.compare --sweep model.learning_rate=0.01,0.05 --sweep model.max_depth=3,6

Files of settings come first, several sweeps make their grid. Finished arms are kept in reports/
and read by the next call; --compare.fresh runs them again. --compare.train-best trains the
recommended one afterwards.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 when every arm is run and logged."""
    return run_command(_command, argv)


def _command(argv: Sequence[str]) -> int:
    words = part_words(with_bare_switches(argv, SWITCHES))
    base = _load(words.common)
    arms = lay_arms(words, _load, base.compare.max_arms)
    refuse_moved_holdout([base, *(arm.config for arm in arms)], words.common)
    with log_to(base.paths.logs_dir) as run_log:
        comparison = compare(base, arms)
        _go_on(base, words, arms, comparison, run_log)
    return 0


def _load(words: Sequence[str]) -> Config:
    config = load_config(words, SHORT_FLAGS, COMMAND, ABOUT)
    refuse_unread_path(config)
    return config


def compare(base: Config, arms: Sequence[Arm]) -> Comparison:
    """Run the arms, compare them, and write everything down.

    Parameters
    ----------
    base
        Says where things are kept, and how the arms are run.
    arms
        Two or more, with names of their own.

    Raises
    ------
    OmninmoError
        Saying what stands in the way; finished arms are kept.
    """
    stages = Stages(live=True)
    with stages.stage("libraries"):
        from src.v2.lifecycle.bench import Bench, check_settings
        from src.v2.lifecycle.comparing import finish_arms
        from src.v2.lifecycle.comparison import compare_arms
        from src.v2.lifecycle.comparison_runs import log_comparison
        from src.v2.lifecycle.comparison_text import print_comparison, trial_line
        from src.v2.tracking.runs import training_run
    check_settings(base)
    now = dt.datetime.now().astimezone()
    with training_run(base.mlflow, run_name=f"compare_{now:%Y%m%d_%H%M%S}", tags=_tags()) as run:
        with Bench(stages, progress_bar) as bench:
            done = finish_arms(arms, bench, stages, progress_bar, fresh=base.compare.fresh)
        _tell_reused(arms, done.reused, base)
        comparison = compare_arms(done.results)
        files = write_comparison(comparison, base.paths.reports_dir)
        print_comparison(comparison)
        with stages.stage("MLflow run"):
            side_by_side = log_comparison(comparison, done.reused, files, run)
    page = next(path for path in files.values() if path.suffix == ".md")
    sys.stdout.write(f"  {trial_line(done.trials)}\n  table: {page}\n")
    if run.run_id:
        from src.v2.tracking.viewing import how_to_see

        sys.stdout.write(f"  MLflow: run {run.run_id}; {how_to_see(base.mlflow, run)}\n")
        sys.stdout.write(f"  side by side: {side_by_side}\n")
    return comparison


def _tell_reused(arms: Sequence[Arm], reused: Collection[str], base: Config) -> None:
    """Say which arms were not run."""
    if reused:
        names = ", ".join(arm.name for arm in arms if arm.name in reused)
        show_note(
            f"{len(reused)} of {len(arms)} arms were finished before and are read from "
            f"{base.paths.reports_dir}: {names}. --compare.fresh runs them again."
        )


def write_comparison(comparison: Comparison, reports: Path) -> dict[str, Path]:
    """Write the comparison as markdown, CSV and JSON, over an older one of the same arms.

    Returns
    -------
    dict
        The files by the name that they have in MLflow.

    Raises
    ------
    OmninmoError
        When the folder cannot be written.
    """
    from src.v2.data.writing import replace_texts
    from src.v2.lifecycle.arm_store import arm_store
    from src.v2.lifecycle.comparison_text import (
        comparison_csv,
        comparison_markdown,
        comparison_record,
    )

    prints = sorted(arm.config_fingerprint for arm in comparison.arms)
    mark = hashlib.sha256(" ".join(prints).encode()).hexdigest()[:8]
    folder = arm_store(reports, comparison.arms[0].data_fingerprint).folder
    record = json.dumps(comparison_record(comparison), indent=2, allow_nan=False) + "\n"
    texts = {
        "md": comparison_markdown(comparison),
        "csv": comparison_csv(comparison),
        "json": record,
    }
    try:
        files = replace_texts(
            folder, {f"comparison_{mark}.{ending}": text for ending, text in texts.items()}
        )
    except OSError as error:
        raise OmninmoError(
            f"The comparison cannot be written to {folder}: {error.strerror}. Mend the folder, or "
            "name another with --paths.reports-dir."
        ) from error
    return {f"comparison{path.suffix}": path for path in files.values()}


def _go_on(
    base: Config, words: Words, arms: Sequence[Arm], comparison: Comparison, run_log: RunLog
) -> None:
    """Train the recommended arm where that is asked for, and say how otherwise."""
    name = comparison.recommended
    arm = next((arm for arm in arms if arm.name == name), None)
    if arm is None:
        if base.compare.train_best:
            show_note("nothing is trained: arms that forecast different returns have no best one.")
        return
    if base.compare.train_best:
        from src.v2.train import train

        train(arm.config, run_log)
        return
    command = shlex.join([*without_flags(words.common, ("--compare.",)), *arm.words])
    what = "the default" if name == DEFAULT else name
    sys.stdout.write(f"  train {what}: python -m src.v2.train {command}".rstrip() + "\n")


def _tags() -> dict[str, str]:
    from src.v2.tracking.git import git_tags

    return git_tags(Path(__file__).resolve().parents[2]) | {"part": "compare"}


if __name__ == "__main__":
    sys.exit(main())
