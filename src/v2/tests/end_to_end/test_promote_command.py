"""The promote command as a user types it, on real runs of random walks."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.v2 import predict, promote
from src.v2.config import MlflowConfig
from src.v2.features.code_check import code_hash
from src.v2.modeling.model_file import CARD_NAME, package_hash, read_card
from src.v2.tests.workplace import Workplace
from src.v2.tracking.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry, resolve

FORCE = ("--force", "--reason", "nothing better yet")
Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def place(noise_workplace: Workplace, make_workplace: Callable[[], Workplace]) -> Workplace:
    """A copy of the store and the ledger, so that other tests see no version move."""
    own = make_workplace()
    for path in noise_workplace.folder.glob("mlruns.db*"):
        shutil.copy(path, own.folder)
    shutil.copytree(noise_workplace.folder / "ledger", own.folder / "ledger")
    return own


@pytest.fixture
def run(place: Workplace, capsys: Output) -> Callable[..., tuple[int, str, str]]:
    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = promote.main([*place.flags(), *words])
        return (code, *capsys.readouterr())

    return command


def _registry(place: Workplace) -> Registry:
    return Registry(MlflowConfig(tracking_uri=place.store))


def _regression_run(place: Workplace) -> str:
    from mlflow import MlflowClient

    client = MlflowClient(place.store)
    experiment = client.get_experiment_by_name("stock_prediction")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id], "tags.mode = 'regression'")
    return str(found.info.run_id)


def test_train_registers_what_it_saved(noise_workplace: Workplace, place: Workplace) -> None:
    (version,) = _registry(place).versions()
    assert version.aliases == (CHALLENGER,)
    (folder,) = (noise_workplace.folder / "models").glob("st_predictor_classification_*")
    found = resolve(
        MlflowConfig(tracking_uri=place.store), "models:/stock_prediction/1", place.folder / "cache"
    )
    assert package_hash(found.folder) == package_hash(folder)
    card = read_card(folder)
    assert card.code_hash == version.tags["code_hash"] == code_hash()
    assert set(card.feature_check) == set(card.features)
    assert version.tags["verdict"] == card.verdict
    assert version.tags["git_commit"] == (card.git_commit or "unknown")
    assert version.tags["audit"] == "never audited"
    assert card.verdict in version.description and card.verdict_reasons[0] in version.description


def test_versions_go_through_the_gate_by_force_and_back(
    place: Workplace, run: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, _ = run()
    assert code == 3
    assert "is not promoted: the gate says no. Nothing changed" in out
    assert "nothing to compare with" in " ".join(out.split())
    assert _registry(place).aliases() == {CHALLENGER: 1}

    code, out, _ = run(*FORCE)
    assert code == 0 and "version 1 of stock_prediction by force, marked so, is the champion" in out
    assert _registry(place).aliases() == {CHAMPION: 1}

    code, out, err = run("--run", _regression_run(place), "--format", "json")
    assert code == 3 and "the run is version 2 of stock_prediction, challenger" in err
    answer = json.loads(out)
    assert (answer["outcome"], answer["version"], answer["champion_before"]) == ("refused", 2, 1)
    checks = {check["name"]: check for check in answer["checks"]}
    assert "of version 1:" in checks["better than the champion"]["value"]
    assert not checks["audit"]["passed"] and checks["model folder"]["passed"]
    assert any("mode is classification, this one's regression" in note for note in answer["notes"])

    assert run("--version", "2", *FORCE)[0] == 0
    assert _registry(place).aliases() == {CHAMPION: 2, PREVIOUS: 1}
    code, out, _ = run("--rollback")
    assert code == 0 and "version 1 of stock_prediction is the champion again" in out
    assert _registry(place).aliases() == {CHAMPION: 1, PREVIOUS: 2}

    code, out, _ = run("--version", "1")
    assert code == 0 and "is the champion already" in out

    code, out, _ = run("--list")
    words = " ".join(out.split())
    assert code == 0 and "previous_champion" in words and "nothing better yet" in words
    code, out, _ = run("--list", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["version"], row["aliases"]) for row in rows] == [
        ("2", "previous_champion"),
        ("1", "champion"),
    ]
    assert all("nothing better yet" in row["forced"] for row in rows)
    assert all(float(row["rank_ic_low"]) < float(row["rank_ic"]) for row in rows)
    code, out, _ = run("--list", "--format", "json")
    assert [row["mode"] for row in json.loads(out)] == ["regression", "classification"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--force"], "force needs a reason"),
        (["--rollback", "--list"], "exclude each other"),
        (["--version", "77"], "has no version 77"),
        (["--run", "f" * 32], "has no run"),
        (["--format", "csv"], "--format csv is for --list"),
        (["--mlflow.registered-model-name", "others"], "No model is registered as 'others'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    run: Callable[..., tuple[int, str, str]], words: list[str], message: str
) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert message in err and len(err.splitlines()) == 1


def test_training_that_could_not_be_registered_does_not_begin(
    make_workplace: Callable[[], Workplace], capsys: Output
) -> None:
    place = make_workplace()
    bars = place.folder / "never read.parquet"
    for words in (("--mlflow.log-artifacts", "false"), ("--mlflow.enabled", "false")):
        assert place.train(bars, "--register", *words) == 2
        assert "register_model needs enabled and log_artifacts" in capsys.readouterr().err
    assert list(place.folder.iterdir()) == []


def _changed_card(source: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    shutil.copytree(source, target)
    card = json.loads((target / CARD_NAME).read_text())
    change(card)
    (target / CARD_NAME).write_text(json.dumps(card))
    return target


def test_predict_refuses_a_model_of_other_formulas_and_takes_one_of_other_sources(
    noise_workplace: Workplace, tmp_path: Path, capsys: Output
) -> None:
    (model,) = (noise_workplace.folder / "models").glob("st_predictor_regression_*")

    def elsewhere(card: dict[str, Any]) -> None:
        card |= {"code_hash": "0" * 64, "git_commit": "c0ffee"}

    def otherwise(card: dict[str, Any]) -> None:
        elsewhere(card)
        card["feature_check"]["return_20"] *= 1.01

    words = [*noise_workplace.flags(), "--format", "csv", "--model"]
    capsys.readouterr()
    assert predict.main([*words, str(model)]) == 0
    wanted = capsys.readouterr().out
    moved = _changed_card(model, tmp_path / "moved", elsewhere)
    assert predict.main([*words, str(moved)]) == 0
    assert capsys.readouterr().out == wanted
    changed = _changed_card(model, tmp_path / "changed", otherwise)
    assert predict.main([*words, str(changed)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "(return_20)" in shown.err and "git checkout c0ffee" in shown.err


@pytest.mark.slow
def test_promote_audits_the_settings_of_the_run_itself(
    noise_workplace: Workplace, make_workplace: Callable[[], Workplace], capsys: Output
) -> None:
    own = make_workplace()
    for path in noise_workplace.folder.glob("mlruns.db*"):
        shutil.copy(path, own.folder)
    assert promote.main([*own.flags(), "--audit", "--format", "json"]) == 3
    checks = {item["name"]: item for item in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["audit"]["value"].startswith("passed on "), checks["audit"]
    (line,) = (own.folder / "ledger" / "audits.jsonl").read_text().splitlines()
    version = _registry(own).by_number(1)
    names = ("data_fingerprint", "config_fingerprint", "code_hash")
    assert {name: json.loads(line)[name] for name in names} == {
        name: version.tags[name] for name in names
    }
    # Asked again, it does not audit again.
    assert promote.main([*own.flags(), "--audit", "--format", "json"]) == 3
    assert len((own.folder / "ledger" / "audits.jsonl").read_text().splitlines()) == 1
