"""The executive summary of a run on the console, and the run in MLflow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from src.v2.console import mask_secrets
from src.v2.modeling.learners.kinds import kind_of
from src.v2.records import TrainingResult
from src.v2.summary_evaluation import print_evaluation, print_verdict
from src.v2.summary_features import print_features
from src.v2.summary_record import folds_record
from src.v2.summary_run import log_fold, note_markdown, run_params, sample_predictions
from src.v2.summary_text import (
    counted,
    drop_lines,
    left_out_line,
    openings,
    ordinal,
    sessions,
    shown,
    some,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from src.v2.tracking.runs import TrackedRun

NARROWEST = 100


def print_summary(
    result: TrainingResult,
    *,
    model_path: Path,
    report_path: Path,
    run_line: str,
    panel_line: str | None = None,
    console: Console | None = None,
) -> None:
    """Print what a reader with one minute needs.

    Parameters
    ----------
    run_line
        Where the run is kept, or that it is not.
    panel_line
        Where the panel lay, other than in memory.
    console
        Printed to; by default standard output.
    """
    from rich.rule import Rule

    out = console or _standard_output()
    settings = result.settings["label"]
    out.print(Rule("[bold]omninmo: executive summary"))
    what = " classes" if result.classes else ""
    out.print(
        f"{result.mode} of {settings['forward_days']}-session forward return{what}, "
        f"target {result.target}, traded {sessions(settings['entry_lag'])} after the decision"
    )
    out.print()
    print_verdict(out, result)
    _print_coverage(out, result)
    _print_performance(out, result)
    print_evaluation(out, result)
    print_features(out, result)
    out.print("[bold]Time[/]")
    out.print(_stage_table(result.stages))
    out.print()
    out.print("[bold]Where it is[/]")
    out.print(f"  report: {report_path}", soft_wrap=True, markup=False)
    out.print(f"  model: {model_path}", soft_wrap=True, markup=False)
    out.print(f"  MLflow: {run_line}", soft_wrap=True, markup=False)
    if panel_line is not None:
        out.print(f"  panel: {panel_line}", soft_wrap=True, markup=False)
    out.print(Rule())


def log_mlflow_metrics(
    result: TrainingResult,
    run: TrackedRun,
    *,
    model_folder: Path,
    pictures: Mapping[str, Path],
    files: Mapping[str, Path],
    runtime_sec: float,
) -> str | None:
    """Log a training run to MLflow.

    Parameters
    ----------
    run
        The open run.
    model_folder
        The saved model, which becomes the logged model.
    pictures, files
        Local files by artifact path.
    runtime_sec
        Wall seconds from start to here.

    Returns
    -------
    str or None
        Id of the logged model; None where files are not kept.

    Raises
    ------
    TrackingError
        When the store refuses.
    """
    import polars as pl
    import yaml

    from src.v2.modeling.model_file import package_files, package_hash, side_files
    from src.v2.tracking.package_cache import PACKAGE_TAG

    metrics = dict(result.metrics) | {"runtime_sec": runtime_sec}
    run.log_params(run_params(result))
    if result.curve is not None:
        curve = result.curve
        run.log_curve({"train_loss": curve.train_loss, "val_loss": curve.val_loss})
    for fold in result.folds:
        log_fold(run, result, fold.number - 1)
    coverage = result.coverage
    run.log_dataset(
        name=coverage.dataset_name,
        source=coverage.source,
        digest=coverage.fingerprint,
        columns={"date": "datetime", "ticker": "string", "close": "double"},
        counts={
            "rows": coverage.rows,
            "tickers": len(coverage.tickers),
            "sessions": coverage.sessions,
        },
    )
    sample = result.shap
    example = pl.DataFrame(sample.features[:3], schema=list(sample.feature_names), orient="row")
    model_id = run.log_model(
        model_folder / package_files(model_folder)[1],
        example=example,
        classes=result.classes,
        params={"rounds": result.rounds, "forward_days": result.settings["label"]["forward_days"]},
        tags={PACKAGE_TAG: package_hash(model_folder) or ""},
        metadata={"config_fingerprint": result.config_fingerprint},
        beside=side_files(model_folder),
    )
    # The logged model is refitted on all rows: none of these scores is its own.
    run.log_metrics(metrics)
    run.log_files({**pictures, **files})
    run.log_dict(folds_record(result), "folds.json")
    settings = mask_secrets(yaml.safe_dump(dict(result.settings)))
    run.log_text(settings, "configs/effective_app_config.yaml")
    run.log_text(sample_predictions(result), "sample_predictions.csv")
    run.set_tags({"verdict": result.evaluation.verdict.word})
    run.note(note_markdown(result))
    return model_id


def _standard_output() -> Console:
    """Give standard output, wide enough for the tables: a narrow terminal wraps their lines."""
    import sys

    from rich.console import Console

    own = Console().width if sys.stdout.isatty() else 0
    return Console(highlight=False, width=max(own, NARROWEST))


def _say(out: Console, text: str, style: str = "") -> None:
    """Print a paragraph, indented and wrapped; nothing in it is read as markup."""
    from rich.padding import Padding
    from rich.text import Text

    out.print(Padding(Text(text, style=style), (0, 0, 0, 2), expand=False))


def _print_coverage(out: Console, result: TrainingResult) -> None:
    coverage, features = result.coverage, result.features
    known = result.metrics["total_samples"]
    horizon = result.settings["label"]["forward_days"]
    nth = f"{ordinal(result.train_stride)} " if result.train_stride > 1 else ""
    out.print("[bold]Data coverage[/]")
    _say(
        out,
        f"{counted(len(coverage.tickers), 'ticker')} processed, {len(coverage.skipped)} skipped, "
        f"{len(coverage.errors)} failed; {counted(coverage.rows, 'bar')} from {coverage.source}, "
        f"{counted(coverage.sessions, 'session')}, {coverage.first} to {coverage.last}",
    )
    _say(
        out,
        f"{counted(known, 'labelled row')}, of which about {known / horizon:,.0f} share no future; "
        f"every {nth}session is fitted on",
    )
    remarks = [*drop_lines(coverage.drops), *coverage.notes]
    if result.stretched_rows:
        remarks.insert(
            0,
            f"{counted(result.stretched_rows, 'row')} without a label: a halt stretched it over "
            "more than twice its span",
        )
    for remark in remarks:
        _say(out, remark, "yellow")
    families = len(set(features.families.values()))
    names = counted(len(features.names), "feature")
    _say(out, f"{names} in {counted(families, 'family', 'families')}")
    if features.left_out:
        _say(out, left_out_line(features.left_out), "dim")
    if features.infinite:
        cells = sum(features.infinite.values())
        _say(
            out,
            f"{counted(cells, 'value')} came out infinite or undefined, and missing: "
            f"{some(list(features.infinite))}",
            "dim",
        )
    out.print()


def _print_performance(out: Console, result: TrainingResult) -> None:
    from rich.table import Table

    metrics, holdout = result.metrics, result.holdout
    first, last = result.judged_dates
    out.print("[bold]Model performance[/], on rows that their own fit had not seen")
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column("")
    folds = counted(len(result.folds), "fold")
    headings = (f"{folds} ± sd", "all dates", "to beat", "holdout", "to beat")
    for heading in headings:
        table.add_column(heading, justify="right")
    for label, key, style, base in _performance_rows(result):
        if not math.isfinite(metrics[f"cv_{key}_pooled"]):
            continue
        mean, std = (shown(metrics[f"cv_{key}_{end}"], style) for end in ("mean", "std"))
        to_beat = (
            (f"{base:g}", f"{base:g}")
            if isinstance(base, float)
            else (shown(metrics[f"cv_{base}_pooled"], style), shown(holdout.metrics[base], style))
        )
        table.add_row(
            f"  {label}",
            f"{mean} ± {std.lstrip('+')}",
            shown(metrics[f"cv_{key}_pooled"], style),
            to_beat[0],
            shown(holdout.metrics[key], style),
            to_beat[1],
        )
    out.print(table)
    _say(
        out,
        f"all dates of the folds: {first} to {last}; holdout: {holdout.first} to {holdout.last}; "
        "in brackets what is to beat",
        "dim",
    )
    fitted = kind_of(result.settings).steps.said(result.rounds)
    _say(
        out,
        f"Holdout: scored by a model fitted on earlier rows only; {openings(holdout)}. "
        f"The shipped model is refitted on all {counted(result.training_rows, 'row')}, with "
        f"{fitted}, and has no score of its own.",
    )
    out.print()


def _performance_rows(result: TrainingResult) -> list[tuple[str, str, str, str | float]]:
    """(label, key, number style, key or value to beat) of each row of the table."""
    rows: list[tuple[str, str, str, str | float]] = [
        ("rank IC (luck)", "rank_ic", "ic", 0.0),
        ("IC (luck)", "ic", "ic", 0.0),
    ]
    if result.classes:
        return [
            *rows,
            ("accuracy (top class)", "accuracy", "share", "accuracy_base"),
            ("balanced accuracy", "balanced_accuracy", "share", 1 / len(result.classes)),
            ("log loss (shares)", "log_loss", "loss", "log_loss_base"),
            ("AUC", "auc", "loss", 0.5),
            ("MCC", "mcc", "ic", 0.0),
        ]
    return [
        *rows,
        ("hit rate (one side)", "hit_rate", "share", "hit_base"),
        ("R2 over known mean", "r2", "signed", 0.0),
        ("R2 over 0 (known mean)", "r2_zero", "signed", "r2_mean_zero"),
        ("RMSE (known mean)", "rmse", "share", "rmse_base"),
        ("MAE (known mean)", "mae", "share", "mae_base"),
    ]


def _stage_table(stages: Mapping[str, float]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, seconds in stages.items():
        table.add_row(f"  {name}", f"{seconds:.1f} s")
    table.add_row("  together", f"{sum(stages.values()):.1f} s", style="bold")
    return table
