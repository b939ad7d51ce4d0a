"""The executive summary of a run on the console, and the run in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.v2.records import TrainingResult, flatten
from src.v2.summary_record import folds_record
from src.v2.summary_text import (
    TOP_FEATURES,
    drop_lines,
    left_out_line,
    ordinal,
    reading,
    shown,
    some,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from src.v2.tracking.runs import TrackedRun

WIDTH_WITHOUT_TERMINAL = 100
SAMPLE_PREDICTIONS = 200
BARE_PARAMS = ("label.", "model.")
"""Settings of these sections are logged under their own short names, as guides show them."""


def print_summary(
    result: TrainingResult,
    *,
    model_path: Path,
    run_line: str,
    console: Console | None = None,
) -> None:
    """Print what a reader with one minute needs.

    Parameters
    ----------
    run_line
        Where the run is kept, or that it is not.
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
        f"target {result.target}, traded {settings['entry_lag']} session(s) after the decision"
    )
    out.print()
    _print_coverage(out, result)
    _print_performance(out, result)
    _print_features(out, result)
    out.print("[bold]Time[/]")
    out.print(_stage_table(result.stages))
    out.print()
    out.print("[bold]MLflow[/]")
    out.print(f"  {run_line}", soft_wrap=True, markup=False)
    out.print(f"  model: {model_path}", soft_wrap=True, markup=False)
    out.print(Rule())


def log_mlflow_metrics(
    result: TrainingResult,
    run: TrackedRun,
    *,
    model_folder: Path,
    booster_name: str,
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
        The saved model; its booster becomes the logged model.
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

    metrics = dict(result.metrics) | {"runtime_sec": runtime_sec}
    run.log_params(_params(result))
    if result.curve is not None:
        curve = result.curve
        run.log_curve({"train_loss": curve.train_loss, "val_loss": curve.val_loss})
    for fold in result.folds:
        _log_fold(run, result, fold.number - 1)
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
        model_folder / booster_name,
        example=example,
        classes=result.classes,
        params={"rounds": result.rounds, "forward_days": result.settings["label"]["forward_days"]},
        metadata={"config_fingerprint": result.config_fingerprint},
    )
    run.log_metrics(metrics, model_id=model_id)
    run.log_files({**pictures, **files})
    run.log_dict(folds_record(result), "folds.json")
    run.log_text(yaml.safe_dump(dict(result.settings)), "configs/effective_app_config.yaml")
    run.log_text(_sample_predictions(result), "sample_predictions.csv")
    run.note(note_markdown(result))
    return model_id


def note_markdown(result: TrainingResult) -> str:
    """Write the text on the run's page: what was done and what it shows."""
    metrics, holdout = result.metrics, result.holdout
    keys = [("rank IC", "rank_ic", "ic"), ("IC", "ic", "ic"), ("hit rate", "hit_rate", "share")]
    if result.classes:
        keys += [("accuracy", "accuracy", "share"), ("log loss", "log_loss", "loss")]
    else:
        keys += [("R2 against the expanding mean", "r2", "signed"), ("RMSE", "rmse", "share")]
    rows = "\n".join(
        f"| {label} | {shown(metrics[f'cv_{key}_pooled'], style)} "
        f"| {shown(holdout.metrics[key], style)} |"
        for label, key, style in keys
    )
    return (
        f"{reading(result)}\n\n"
        f"| | walk-forward ({len(result.folds)} folds) | holdout, opened for the "
        f"{ordinal(holdout.opening)} configuration |\n|---|---|---|\n{rows}\n\n"
        "Every number comes from rows that no fit has seen. The shipped model is refitted on all "
        "labelled rows and has no score of its own."
    )


def _log_fold(run: TrackedRun, result: TrainingResult, place: int) -> None:
    fold = result.folds[place]
    curve = fold.curve
    counts = {"train_rows": fold.train_rows, "test_rows": fold.test_rows, "rounds": fold.rounds}
    run.child(
        f"fold_{fold.number:02d}_{fold.test_first:%Y-%m}",
        metrics=dict(fold.metrics) | {key: float(value) for key, value in counts.items()},
        curves={"train_loss": curve.train_loss, "val_loss": curve.val_loss} if curve else None,
        params={
            "train_first": fold.train_first,
            "train_last": fold.train_last,
            "test_first": fold.test_first,
            "test_last": fold.test_last,
            "purged_rows": fold.purged_rows,
        },
        tags={"part": "fold"},
    )


def _params(result: TrainingResult) -> dict[str, Any]:
    """Pick the settings that matter, by short names where guides have them."""
    skipped = ("mlflow.", "predict.", "runs.", "paths.", "explain.", "config", "variation")
    params: dict[str, Any] = {}
    for name, value in flatten(result.settings).items():
        if name.startswith(skipped):
            continue
        bare = next(
            (name.removeprefix(head) for head in BARE_PARAMS if name.startswith(head)), name
        )
        params[bare] = value
    params |= {"target": result.target, "train_stride": result.train_stride}
    params |= {"rounds": result.rounds, "feature_count": len(result.features.names)}
    return params


def _sample_predictions(result: TrainingResult) -> str:
    """Evenly spaced rows of the holdout as CSV."""
    import polars as pl

    held = result.predictions.filter(pl.col("part") == "holdout")
    step = max(1, held.height // SAMPLE_PREDICTIONS)
    return held.gather_every(step).head(SAMPLE_PREDICTIONS).write_csv(float_precision=6)


def _standard_output() -> Console:
    """Give standard output, wide enough for the tables where it is no terminal."""
    import sys

    from rich.console import Console

    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(highlight=False, width=width)


def _print_coverage(out: Console, result: TrainingResult) -> None:
    coverage, features = result.coverage, result.features
    known = result.metrics["total_samples"]
    horizon = result.settings["label"]["forward_days"]
    out.print("[bold]Data coverage[/]")
    out.print(
        f"  {len(coverage.tickers)} tickers processed, {len(coverage.skipped)} skipped, "
        f"{len(coverage.errors)} failed; {coverage.rows:,} bars from {coverage.source}, "
        f"{coverage.sessions:,} sessions, {coverage.first} to {coverage.last}"
    )
    out.print(
        f"  {known:,.0f} labelled rows, of which about {known / horizon:,.0f} share no future; "
        f"every {ordinal(result.train_stride)} session is fitted on"
    )
    for line in drop_lines(coverage.drops):
        out.print(f"  {line}", markup=False, style="yellow")
    for note in coverage.notes:
        out.print(f"  {note}", markup=False, style="yellow")
    out.print(
        f"  {len(features.names)} features in {len(set(features.families.values()))} families"
    )
    if features.left_out:
        out.print(f"  {left_out_line(features.left_out)}", markup=False, style="dim")
    if features.infinite:
        cells = sum(features.infinite.values())
        names = list(features.infinite)
        out.print(
            f"  {cells:,} values came out infinite or undefined and count as missing: "
            f"{some(names)}",
            markup=False,
            style="dim",
        )
    out.print()


def _print_performance(out: Console, result: TrainingResult) -> None:
    from rich.table import Table

    metrics, holdout = result.metrics, result.holdout
    first, last = result.folds[0].test_first, result.folds[-1].test_last
    out.print("[bold]Model performance[/], on rows that no fit has seen")
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column("")
    for heading in (f"{len(result.folds)} folds", "all dates", "holdout"):
        table.add_column(heading, justify="right")
    table.add_column("to beat")
    for label, key, style, baseline in _performance_rows(result):
        mean, std = (shown(metrics[f"cv_{key}_{end}"], style) for end in ("mean", "std"))
        table.add_row(
            f"  {label}",
            f"{mean} ± {std.lstrip('+')}",
            shown(metrics[f"cv_{key}_pooled"], style),
            shown(holdout.metrics[key], style),
            baseline,
        )
    out.print(table)
    out.print(
        f"  folds: {first} to {last}; holdout: {holdout.first} to {holdout.last}", style="dim"
    )
    out.print(f"  {reading(result)}", soft_wrap=True, markup=False)
    out.print(
        f"  Holdout: scored by a model fitted on earlier rows only; the "
        f"{ordinal(holdout.opening)} configuration scored on it. The shipped model is refitted "
        f"on all {result.training_rows:,} rows, {result.rounds} rounds, and has no score of its "
        "own.",
        soft_wrap=True,
    )
    out.print()


def _performance_rows(result: TrainingResult) -> list[tuple[str, str, str, str]]:
    """(label, key, number style, baseline in words) of each row of the table."""
    metrics = result.metrics
    base = f"{metrics['cv_hit_base_pooled']:.1%} naming one side"
    rows = [("rank IC", "rank_ic", "ic", "0"), ("IC", "ic", "ic", "0")]
    if result.classes:
        accuracy = metrics["cv_accuracy_base_pooled"]
        loss = metrics["cv_log_loss_base_pooled"]
        rows += [
            ("accuracy", "accuracy", "share", f"{accuracy:.1%} commonest class"),
            ("balanced accuracy", "balanced_accuracy", "share", f"{1 / len(result.classes):.1%}"),
            ("log loss", "log_loss", "loss", f"{loss:.4f} class shares"),
            ("AUC", "auc", "loss", "0.5000"),
            ("MCC", "mcc", "ic", "0"),
        ]
    else:
        mean = metrics["cv_r2_mean_zero_pooled"]
        rows += [
            ("hit rate", "hit_rate", "share", base),
            ("R2, expanding mean", "r2", "signed", "0"),
            ("R2, zero", "r2_zero", "signed", f"{mean:+.2%} expanding mean"),
            ("RMSE", "rmse", "share", f"{metrics['cv_rmse_base_pooled']:.2%} expanding mean"),
            ("MAE", "mae", "share", f"{metrics['cv_mae_base_pooled']:.2%} expanding mean"),
        ]
    return rows


def _print_features(out: Console, result: TrainingResult) -> None:
    out.print("[bold]Feature analysis[/]")
    out.print(
        f"  stability score {shown(result.stability, 'loss')} (mean rank correlation of the "
        "folds' importance; stability is not skill)"
    )
    top = list(result.importance.items())[:TOP_FEATURES]
    longest = max(len(name) for name, _ in top)
    for place, (name, share) in enumerate(top, 1):
        shares = [fold.importance.get(name, 0.0) for fold in result.folds]
        bar = "█" * max(1, round(share / top[0][1] * 20)) if top[0][1] > 0 else ""
        out.print(
            f"  {place:>2}. {name:<{longest}}  {share:6.2%}  {min(shares):6.2%} to "
            f"{max(shares):6.2%} over folds  {bar}",
            markup=False,
            soft_wrap=True,
        )
    out.print(f"  together {sum(share for _, share in top):.1%} of the trees' gain")
    out.print()


def _stage_table(stages: Mapping[str, float]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, seconds in stages.items():
        table.add_row(f"  {name}", f"{seconds:.1f} s")
    table.add_row("  together", f"{sum(stages.values()):.1f} s", style="bold")
    return table
