"""The audit command, as a user types it: sound data pass, planted faults fail by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.v2 import audit, audit_checks
from src.v2.audit_checks import CHECKS
from src.v2.config import ValidationConfig
from src.v2.errors import TrackingError
from src.v2.evaluation.leakage import bars_probes
from src.v2.evaluation.leakage.questions import QUESTIONS
from src.v2.evaluation.leakage.refits import disjoint_schedule
from src.v2.evaluation.leakage.report import audit_markdown, audit_numbers, closing_line
from src.v2.evaluation_records import AuditCheck
from src.v2.modeling import walk_forward
from src.v2.modeling.folds import schedule_folds
from src.v2.modeling.panel import Panel
from src.v2.tests.synthetic import ragged, random_walk_bars, weekdays
from src.v2.tests.workplace import Workplace
from src.v2.tracking.tracked_run import TrackedRun

SMALL = (
    *("--forward-days", "5", "--validation.test-sessions", "110", "--features.min-history", "60"),
    *("--model.n-estimators", "20", "--model.early-stopping-rounds", "5"),
    *("--features.families", "momentum,cross_section", "--model.min-rounds", "1"),
    *("--model.threads", "1"),
)
NO_MLFLOW = ("--mlflow.enabled", "false")
BARS = random_walk_bars(24, 700, 11)
FEW = BARS.filter(pl.col("ticker") < "T006")

FEATURE_FILE = """
import polars as pl
from src.v2.features.registry import Feature

def features():
    close, returns = pl.col("close"), pl.col("return")
    made = {{
        "innocent": (close / close.shift(5) - 1, 5),
        "tomorrow": (returns.shift(-1), 0),
        "filled": (returns.rolling_std(15).backward_fill(), 0),
        "scaled": ((close - close.mean()) / close.std(), 0),
    }}
    return [Feature(name, "own", made[name][0], ("close",), made[name][1], "doc", "own")
            for name in {names!r}]
"""


def run(place: Workplace, bars: pl.DataFrame, *words: str) -> int:
    return audit.main([*place.flags(place.bars("bars", bars)), *SMALL, *words])


def own(place: Workplace, *names: str) -> tuple[str, str]:
    path = place.folder / "own.py"
    path.write_text(FEATURE_FILE.format(names=names))
    return "--features.modules", str(path)


def reports(place: Workplace) -> list[Path]:
    return sorted((place.folder / "reports").iterdir())


def outcomes(place: Workplace) -> dict[str, dict[str, Any]]:
    record = json.loads((reports(place)[-1] / "audit.json").read_text())
    return {check["name"]: check for check in record["checks"]}


@pytest.fixture
def place(make_workplace: Callable[[], Workplace]) -> Workplace:
    return make_workplace()


def test_sound_data_pass_and_everything_is_written_and_logged(
    place: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow import MlflowClient

    assert run(place, ragged(BARS, 3), *own(place, "innocent")) == 0
    shown = capsys.readouterr()
    checks = outcomes(place)
    assert list(checks) == list(CHECKS) == list(QUESTIONS)
    assert {name for name, check in checks.items() if check["outcome"] == "fail"} == set()
    for name in ("truncation_equality", "fold_intervals", "fit_isolation", "label_integrity"):
        assert checks[name]["outcome"] == "pass", checks[name]
        assert name in shown.out
    assert checks["stability"]["outcome"] in ("pass", "warn")
    assert checks["survivorship"]["outcome"] == "pass"
    assert "no leak was found" in shown.out and shown.err == ""

    client = MlflowClient(place.store)
    experiment = client.get_experiment_by_name("stock_prediction")
    assert experiment is not None
    (logged,) = client.search_runs([experiment.experiment_id], "tags.kind = 'audit'")
    (folder,) = reports(place)
    assert logged.info.run_name == folder.name and logged.info.status == "FINISHED"
    assert re.fullmatch(r"audit_\d{8}_\d{6}", folder.name)
    assert {path.name for path in folder.iterdir()} == {"audit.json", "audit.md"}
    metrics = logged.data.metrics
    words = [check["outcome"] for check in checks.values()]
    for key, word in (("passed", "pass"), ("warned", "warn"), ("failed", "fail")):
        assert metrics[f"audit_{key}"] == words.count(word)
    assert metrics["audit_fold_intervals_faults"] == 0
    assert logged.data.tags["audit_null_run"] == checks["null_run"]["outcome"]
    artifacts = {item.path for item in client.list_artifacts(logged.info.run_id)}
    assert {"audit.json", "audit.md", "logs"} <= artifacts
    assert not (place.folder / "ledger" / "holdout.jsonl").exists()
    entry = json.loads((place.folder / "ledger" / "audits.jsonl").read_text())
    assert entry["failed"] == [] and entry["report"] == str(folder)
    for name in ("data_fingerprint", "config_fingerprint", "code_hash"):
        assert entry[name] == logged.data.tags[name]


@pytest.mark.parametrize("planted", ["tomorrow", "filled", "scaled"])
def test_an_own_feature_with_a_look_ahead_fails_by_name(
    place: Workplace, planted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(place, BARS, *own(place, "innocent", planted), *NO_MLFLOW) == 3
    checks = outcomes(place)
    truncation = checks["truncation_equality"]
    assert truncation["outcome"] == "fail"
    assert planted in truncation["evidence"] and "innocent" not in truncation["evidence"]
    assert checks["null_run"]["outcome"] == "skipped"
    assert "features fail" in checks["null_run"]["evidence"]
    assert checks["duplicate_tickers"]["outcome"] == "pass"
    shown = capsys.readouterr()
    assert planted in shown.out and "FAIL: truncation_equality" in shown.out
    entry = json.loads((place.folder / "ledger" / "audits.jsonl").read_text())
    assert "truncation_equality" in entry["failed"]


def test_a_column_that_knows_the_future_fails_by_name(place: Workplace) -> None:
    close = pl.col("close")
    told = BARS.with_columns(told=(close.shift(-6) / close.shift(-1)).over("ticker") - 1)
    assert run(place, told, "--features.columns", "told=0", *NO_MLFLOW) == 3
    checks = outcomes(place)
    assert checks["label_in_features"]["outcome"] == "fail"
    assert "told" in checks["label_in_features"]["evidence"]
    assert checks["null_run"]["outcome"] == "fail"
    assert checks["truncation_equality"]["outcome"] == "pass"


def test_a_mask_that_is_taken_away_fails(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    def peeking(session: Any, label_end: Any, fold: Any) -> Any:
        return (session < fold.test_stop) & (label_end >= 0)

    monkeypatch.setattr(walk_forward, "train_mask", peeking)
    between = Panel.between
    monkeypatch.setattr(
        Panel,
        "between",
        lambda self, start, stop: between(self, start, stop if start else stop + 80),
    )
    assert run(place, BARS, *NO_MLFLOW, "--model.min-child-weight", "1") == 3
    checks = outcomes(place)
    assert checks["fold_intervals"]["outcome"] == "fail"
    assert checks["fit_isolation"]["outcome"] == "fail"
    assert checks["null_run"]["outcome"] in ("warn", "fail")


def test_a_check_that_breaks_fails_alone(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("planted | fault")

    monkeypatch.setattr(bars_probes, "probe_survivorship", broken)
    monkeypatch.setattr(audit_checks, "permute_blocks", broken)
    assert run(place, FEW, *NO_MLFLOW) == 3
    checks = outcomes(place)
    failed = {name for name, check in checks.items() if check["outcome"] == "fail"}
    assert failed == {"survivorship", "null_run"}
    assert "unexpected ZeroDivisionError: planted | fault" in checks["null_run"]["evidence"]
    page = (reports(place)[-1] / "audit.md").read_text()
    assert "planted \\| fault" in page
    assert "planted | fault" in (place.folder / "logs" / "train.log").read_text()


def test_a_store_that_fails_at_the_end_loses_nothing_else(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise TrackingError("the store is full")

    monkeypatch.setattr(TrackedRun, "log_metrics", refuse)
    assert run(place, FEW) == 1
    shown = capsys.readouterr()
    (folder,) = reports(place)
    assert (folder / "audit.json").exists() and "fold_intervals" in shown.out
    assert "the store is full" in shown.err and str(folder) in shown.err


@pytest.mark.parametrize("mode", ["regression", "classification"])
def test_a_few_tickers_skip_what_needs_more(place: Workplace, mode: str) -> None:
    assert run(place, FEW, "--mode", mode, *NO_MLFLOW) == 0
    checks = outcomes(place)
    assert checks["null_run"]["outcome"] == "skipped"
    assert "10 tickers" in checks["null_run"]["evidence"]
    assert checks["fold_intervals"]["outcome"] == "pass"


def test_bad_input_keeps_its_own_code(place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, BARS.filter(pl.col("date") < weekdays(60)[-1]), *NO_MLFLOW) == 2
    assert "The walk-forward needs at least" in capsys.readouterr().err
    assert run(place, BARS, "--features.modules", "absent.py", *NO_MLFLOW) == 2
    assert "absent.py" in capsys.readouterr().err
    assert audit.main(["--no-such-flag", "1"]) == 2
    assert reports(place) == []


def test_what_cannot_be_written_is_told_before_the_work(
    place: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    (place.folder / "reports").write_text("a file")
    assert run(place, BARS, *NO_MLFLOW) == 1
    assert "--paths.reports-dir" in capsys.readouterr().err


def test_disjoint_blocks_share_no_session() -> None:
    schedule = schedule_folds(weekdays(700), ValidationConfig(test_sessions=80), 6)
    blocks = disjoint_schedule(schedule, 60, 6)
    assert blocks is not None and len(blocks.folds) == 8
    for one, other in zip(blocks.folds, blocks.folds[1:], strict=False):
        assert one.test_start <= other.train_start
    assert blocks.folds[0].train_start == 60
    assert blocks.folds[-1].test_stop <= schedule.holdout_start
    assert all(fold.test_start - fold.train_start >= 18 for fold in blocks.folds)
    assert disjoint_schedule(schedule, 400, 30) is None


def check(outcome: Any, **numbers: float) -> AuditCheck:
    return AuditCheck("a check", "why | so?", outcome, "since\nso", numbers)


def test_the_closing_line_says_what_the_outcomes_mean() -> None:
    assert closing_line([check("pass")]) == "PASS: no leak was found."
    assert "read the warnings" in closing_line([check("pass"), check("warn")])
    assert "1 checks could not run" in closing_line([check("skipped")])
    assert closing_line([check("warn"), check("fail")]).startswith("FAIL: a check.")


def test_keys_and_cells_are_fit_for_mlflow_and_markdown() -> None:
    numbers = audit_numbers([check("fail", **{"a-b.c": 1.5}), check("pass")])
    assert numbers["audit_a_check_a_b_c"] == 1.5
    assert (numbers["audit_failed"], numbers["audit_skipped"]) == (1.0, 0.0)
    page = audit_markdown("audit", ["about"], [check("pass")])
    assert "| pass | a check | why \\| so? | since so |" in page


def test_the_page_of_the_audit_names_every_check_and_its_question() -> None:
    page = (Path(__file__).parents[4] / "docs" / "audit.md").read_text()
    for name, question in QUESTIONS.items():
        assert f"| `{name}` | {question} |" in page, name
