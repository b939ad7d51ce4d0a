"""Commands without --model, before and after a promotion."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from src.v2 import monitor, predict
from src.v2.config import MlflowConfig
from src.v2.lifecycle.prediction_log import read_log
from src.v2.lifecycle.promotion import promote
from src.v2.lifecycle.promotion_text import promotion_text
from src.v2.lifecycle.registration import describe, version_tags
from src.v2.modeling.model_file import package_hash, save_model
from src.v2.tests.end_to_end.test_predict_reasons import place
from src.v2.tests.lifecycle.conftest import Bench
from src.v2.tests.tracking.conftest import free_port
from src.v2.tracking.package_cache import PACKAGE_TAG
from src.v2.tracking.registry import CHAMPION, Registry
from src.v2.tracking.runs import training_run

Output = pytest.CaptureFixture[str]
OLD_IS_FINE = ("--monitor.max-age", "99999")


@pytest.fixture
def store(sqlite_store: MlflowConfig, tmp_path: Path) -> MlflowConfig:
    """Two model folders below models/, of which the older one is registered."""
    bars, _, _ = place("regression")
    bars.write_parquet(tmp_path / "bars.parquet")
    data = {"source": "files", "path": str(tmp_path / "bars.parquet")}
    for kind, year in (("regression", 2020), ("binary", 2024)):
        _, model, made = place(kind)
        card = dataclasses.replace(made, data=data, trained_at=f"{year}-01-01T00:00:00+00:00")
        save_model(model, card, tmp_path / "models" / kind)
        if kind == "regression":
            folder = tmp_path / "models" / kind
            tags = {PACKAGE_TAG: package_hash(folder) or ""}
            with training_run(sqlite_store, run_name="r") as run:
                run._publish_model(run._create_model((), {}, tags), folder)
            registry = Registry(sqlite_store)
            registry.register(run.run_id, version_tags(card), describe(card))
    return sqlite_store


def test_promotion_changes_what_predict_and_monitor_take(
    store: MlflowConfig, tmp_path: Path, capsys: Output
) -> None:
    assert predict.main(["--format", "csv"]) == 0
    before = capsys.readouterr()
    assert "it is the newest in models: sqlite:///" in before.err

    Registry(store).set_alias(CHAMPION, 1)
    assert predict.main(["--format", "json"]) == 0
    after = capsys.readouterr()
    assert "model stock_prediction version 1 (champion), trained on rows" in after.err
    assert f"it is the champion in {store.tracking_uri}, since no model is named." in after.err
    newer = f"{Path('models', 'binary')} was trained later and is not the champion"
    assert f"{newer}: --model newest takes it" in after.err
    assert "predicted_return" in json.loads(after.out)[0]
    told = read_log(Path("predictions")).select("chosen", "registered", "version", "roles")
    assert sorted(told.unique().rows(), key=str) == [
        ("champion", "stock_prediction", "1", "champion"),
        ("newest", None, None, None),
    ]

    # Forecasts of long ago, made today, are late: that alone is an alarm.
    assert monitor.main([*OLD_IS_FINE, "--mlflow.enabled", "false"]) == 3
    looked = capsys.readouterr()
    shown = " ".join(looked.out.split())
    assert "ALARM: predictions." in shown
    assert "stock_prediction version 1 (champion): 1 date in the log" in shown
    assert "As champion: 1 date in the log by 1 version, 0 of them" in shown
    assert "it is the champion in" in looked.err
    (report,) = Path("reports").glob("monitor_*/monitor.json")
    record = json.loads(report.read_text())
    assert {line["name"] for line in record["versions"]} == {
        "stock_prediction version 1",
        "made for a test",
    }

    assert predict.main(["--model", "newest", "--format", "csv"]) == 0
    assert capsys.readouterr().out == before.out


def test_a_store_that_is_down_stops_predict_and_monitor_and_names_the_way_out(
    store: MlflowConfig, capsys: Output
) -> None:
    down = ["--mlflow.tracking-uri", f"http://127.0.0.1:{free_port()}"]
    for main in (predict.main, monitor.main):
        assert main(down) not in (0, 3)
        shown = capsys.readouterr()
        assert shown.out == "" and len(shown.err.splitlines()) == 1
        assert "no other is taken in its place; --model newest or --model FOLDER" in shown.err
    assert predict.main([*down, "--model", "newest", "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 25


def test_promotion_says_how_the_champion_is_used_from_here(bench: Bench) -> None:
    bench.version(0.1)
    done = promote(bench.config())
    words = "and is used where no other model is named: "
    assert promotion_text(done, "table", bench.store).endswith(f"{words}make predict\n")
    elsewhere = bench.store.model_copy(update={"tracking_uri": "sqlite:////x/y z.db"})
    said = promotion_text(done, "table", elsewhere)
    assert f"{words}python -m src.v2.predict --mlflow.tracking-uri 'sqlite:////x/y z.db'" in said
