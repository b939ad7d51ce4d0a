"""The report is written again without training, from disk or from MLflow alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from src.v2 import report
from src.v2.run_store import RECORD_NAME, SHAP_NAME
from src.v2.tests.workplace import Workplace

PAGES = ("report.html", "report.json")


def _folder(place: Workplace, mode: str = "regression") -> Path:
    (folder,) = (place.folder / "reports").glob(f"st_predictor_{mode}_*")
    return folder


def _pages(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in PAGES}


@pytest.mark.parametrize("mode", ["regression", "classification"])
def test_a_report_from_disk_equals_that_of_the_training_to_the_byte(
    noise_workplace: Workplace,
    mode: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[str] = []

    def show(address: str) -> bool:
        shown.append(address)
        return True

    monkeypatch.setattr("webbrowser.open", show)
    folder = _folder(noise_workplace, mode)
    before = _pages(folder)
    for name in PAGES:
        (folder / name).unlink()
    assert report.main([*noise_workplace.flags(), "--folder", str(folder), "--open"]) == 0
    assert _pages(folder) == before
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert shown == [(folder / "report.html").resolve().as_uri()]


def test_a_report_from_mlflow_alone_equals_that_of_the_training_to_the_byte(
    noise_workplace: Workplace, tmp_path: Path
) -> None:
    folder = _folder(noise_workplace)
    run_id = json.loads((folder / "report.json").read_text())["identity"]["run_id"]
    elsewhere = tmp_path / "other reports"
    words = [*noise_workplace.flags(), "--paths.reports-dir", str(elsewhere), "--run", run_id]
    assert report.main(words) == 0
    assert _pages(elsewhere / folder.name) == _pages(folder)
    assert (elsewhere / folder.name / SHAP_NAME).is_file()
    assert [path.name for path in elsewhere.iterdir()] == [folder.name]


def test_every_file_of_the_report_is_logged(noise_workplace: Workplace) -> None:
    from mlflow import MlflowClient

    folder = _folder(noise_workplace)
    run_id = json.loads((folder / "report.json").read_text())["identity"]["run_id"]
    client = MlflowClient(noise_workplace.store)
    logged = {item.path for item in client.list_artifacts(run_id)}
    assert sorted({path.name for path in folder.iterdir()} - logged) == []


def test_another_run_of_the_same_name_is_left_alone(
    noise_workplace: Workplace, tmp_path: Path
) -> None:
    folder = _folder(noise_workplace)
    elsewhere = tmp_path / "reports"
    other = elsewhere / folder.name
    shutil.copytree(folder, other)
    record = json.loads((other / RECORD_NAME).read_text())
    run_id = record["identity"]["run_id"]
    record["identity"]["run_id"] = "f" * 32
    (other / RECORD_NAME).write_text(json.dumps(record))
    before = {path.name: path.read_bytes() for path in other.iterdir()}
    words = [*noise_workplace.flags(), "--paths.reports-dir", str(elsewhere), "--run", run_id]
    assert report.main(words) == 0
    assert {path.name: path.read_bytes() for path in other.iterdir()} == before
    assert _pages(elsewhere / f"{folder.name}_{run_id}") == _pages(folder)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--run", "0" * 32), "has no run"),
        (("--run", "../../etc"), "has no run"),
        (("--folder", "nowhere"), "holds no run"),
        (("--run", "0" * 32, "--folder", "x"), "give one of them"),
    ],
)
def test_a_run_that_is_not_there_is_refused(
    noise_workplace: Workplace,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert report.main([*noise_workplace.flags(), *words]) == 2
    assert said in capsys.readouterr().err
    assert not list((noise_workplace.folder / "reports").glob(".report-*"))


def test_without_any_run_the_user_is_told_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Workplace(tmp_path)
    (tmp_path / "reports").mkdir()
    assert report.main(place.flags()) == 2
    assert "make train-sample" in capsys.readouterr().err


def test_a_folder_named_like_a_pattern_is_read_itself(
    noise_workplace: Workplace, tmp_path: Path
) -> None:
    first, second = _folder(noise_workplace), _folder(noise_workplace, "classification")
    shutil.copytree(first, tmp_path / "a[1]")
    shutil.copytree(second, tmp_path / "a1")
    for name in PAGES:
        (tmp_path / "a[1]" / name).unlink()
    assert report.main([*noise_workplace.flags(), "--folder", str(tmp_path / "a[1]")]) == 0
    assert _pages(tmp_path / "a[1]") == _pages(first)


def test_a_folder_that_a_killed_run_left_is_not_the_newest(
    noise_workplace: Workplace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = tmp_path / "reports"
    shutil.copytree(_folder(noise_workplace), reports / "good")
    (reports / ".report-abc").mkdir()
    (reports / ".report-abc" / RECORD_NAME).write_text('{"half')
    assert report.main([*noise_workplace.flags(), "--paths.reports-dir", str(reports)]) == 0
    assert capsys.readouterr().out.strip() == str(reports / "good" / "report.html")


def test_a_damaged_copy_does_not_stand_in_the_way_of_the_run_in_mlflow(
    noise_workplace: Workplace, tmp_path: Path
) -> None:
    folder = _folder(noise_workplace)
    run_id = json.loads((folder / "report.json").read_text())["identity"]["run_id"]
    reports = tmp_path / "reports"
    (reports / folder.name).mkdir(parents=True)
    (reports / folder.name / RECORD_NAME).write_text("{")
    words = [*noise_workplace.flags(), "--paths.reports-dir", str(reports), "--run", run_id]
    assert report.main(words) == 0
    assert _pages(reports / f"{folder.name}_{run_id}") == _pages(folder)


@pytest.mark.parametrize(
    "damage",
    [
        {"folds": []},
        {"shap": {"outputs": None, "feature_names": []}},
        {"shap": None},
        {"rounds": 10**400},
        {"evaluation": []},
    ],
    ids=["no folds", "no outputs", "no shap", "too large", "another kind"],
)
def test_a_damaged_record_is_refused_and_the_old_page_stays(
    noise_workplace: Workplace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: dict[str, object],
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(_folder(noise_workplace), folder)
    before = _pages(folder)
    record = json.loads((folder / RECORD_NAME).read_text())
    record["result"] |= damage
    (folder / RECORD_NAME).write_text(json.dumps(record))
    assert report.main([*noise_workplace.flags(), "--folder", str(folder)]) == 2
    assert "stored run" in (error := capsys.readouterr().err) or "damaged" in error
    assert _pages(folder) == before


def test_a_place_that_cannot_be_written_is_named(
    noise_workplace: Workplace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(_folder(noise_workplace), folder)
    (folder / "report.html").unlink()
    (folder / "report.html").mkdir()
    assert report.main([*noise_workplace.flags(), "--folder", str(folder)]) == 1
    assert "The report cannot be written to" in capsys.readouterr().err
