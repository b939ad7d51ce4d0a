from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from src.v2.config import MlflowConfig
from src.v2.errors import ConfigError, TrackingError
from src.v2.tests.tracking.conftest import ROOT, free_port
from src.v2.tracking import sqlite_file
from src.v2.tracking.runs import training_run
from src.v2.tracking.store import open_store, prepare_store
from src.v2.tracking.uris import artifact_folder, parse_address

DOORS = ("runs", "tracking.runs", "tracking.query", "tracking.ui", "tracking.scoring_model")


def test_importing_the_modules_imports_no_heavy_library() -> None:
    modules = "; ".join(f"import src.v2.{name}" for name in DOORS)
    heavy = "('mlflow', 'numpy', 'polars', 'pandas', 'xgboost', 'sqlalchemy')"
    script = f"import sys; {modules}; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_a_new_store_lies_beside_its_files(tmp_path: Path) -> None:
    config = MlflowConfig()
    prepare_store(config)
    assert (tmp_path / "mlruns.db").is_file()
    with training_run(config, run_name="first") as run:
        run.log_text("hello", "notes/hello.txt")
    kept = tmp_path / "mlruns" / "stock_prediction" / run.run_id / "artifacts/notes/hello.txt"
    assert kept.read_text() == "hello"
    assert run.tracking_uri == f"sqlite:///{tmp_path / 'mlruns.db'}"
    assert run.page == f"http://127.0.0.1:5000/#/experiments/1/runs/{run.run_id}"


def test_two_processes_make_the_same_new_database_at_once(tmp_path: Path) -> None:
    script = (
        "from src.v2.config import MlflowConfig\n"
        "from src.v2.tracking.runs import training_run\n"
        f"config = MlflowConfig(tracking_uri='sqlite:///{tmp_path}/new/mlruns.db')\n"
        "with training_run(config, run_name='r') as run: run.log_metrics({'a': 1.0})\n"
        "print(run.experiment_id)"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    answers = [run.communicate(timeout=120) for run in runs]
    assert answers == [("1\n", ""), ("1\n", "")]


def test_processes_that_overlap_leave_the_database_whole(tmp_path: Path) -> None:
    script = (
        "from src.v2.config import MlflowConfig\n"
        "from src.v2.tracking.query import search_runs\n"
        "from src.v2.config import RunsConfig\n"
        "from src.v2.tracking.runs import training_run\n"
        f"config = MlflowConfig(tracking_uri='sqlite:///{tmp_path}/mlruns.db')\n"
        "for number in range(4):\n"
        "    with training_run(config, run_name=f'r{number}') as run:\n"
        "        for fold in range(5):\n"
        "            run.child(f'fold_{fold}', metrics={'a': 1.0}, curves={'b': [1.0] * 200})\n"
        "    search_runs(config, RunsConfig())\n"
    )
    processes = []
    for _ in range(3):
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True
            )
        )
        time.sleep(0.5)
    assert [process.communicate(timeout=120)[1] for process in processes] == [""] * 3
    with contextlib.closing(sqlite3.connect(tmp_path / "mlruns.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        counted = connection.execute("SELECT status, count(*) FROM runs GROUP BY status")
        assert counted.fetchall() == [("FINISHED", 3 * 4 * 6)]


def test_the_database_is_opened_by_sqlite_alone(sqlite_store: MlflowConfig) -> None:
    script = (
        "import sys\n"
        "from src.v2.config import MlflowConfig, RunsConfig\n"
        "from src.v2.tracking.query import search_runs\n"
        "from src.v2.tracking.runs import training_run\n"
        f"config = MlflowConfig(tracking_uri={sqlite_store.tracking_uri!r})\n"
        "opened = []\n"
        "seen = lambda event, words: opened.append(str(words[0])) if event == 'open' else None\n"
        "sys.addaudithook(seen)\n"
        "with training_run(config, run_name='r') as run: run.child('f', metrics={})\n"
        "search_runs(config, RunsConfig())\n"
        "print([name for name in opened if 'mlruns.db' in name])"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.stdout, answer.stderr) == ("[]\n", "")


def test_a_sound_file_is_checked_once(
    sqlite_store: MlflowConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_file.check_file(tmp_path / "mlruns.db")
    monkeypatch.setattr(sqlite3, "connect", None)
    sqlite_file.check_file(tmp_path / "mlruns.db")


def test_a_damaged_database_is_named_so(sqlite_store: MlflowConfig, tmp_path: Path) -> None:
    place = tmp_path / "mlruns.db"
    content = bytearray(place.read_bytes())
    content[100:4096] = b"\xff" * 3996
    place.write_bytes(content)
    with pytest.raises(TrackingError, match=r"is damaged .* move it aside") as caught:
        prepare_store(sqlite_store)
    assert "rights" not in str(caught.value)


def test_threads_may_prepare_the_store_at_once(sqlite_store: MlflowConfig) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(open_store(sqlite_store).experiment_id))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["1"] * 4


def test_the_database_keeps_a_write_ahead_log_and_flushes_less(
    sqlite_store: MlflowConfig, tmp_path: Path
) -> None:
    from sqlalchemy import create_engine, text

    prepare_store(sqlite_store)
    for path, wanted in ((tmp_path / "mlruns.db", 1), (tmp_path / "other.db", 2)):
        engine = create_engine(f"sqlite:///{path}")
        with engine.connect() as connection:
            assert connection.execute(text("PRAGMA synchronous")).scalar() == wanted
        engine.dispose()
    with contextlib.closing(sqlite3.connect(tmp_path / "mlruns.db")) as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_users_own_environment_wins(
    sqlite_store: MlflowConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "false")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    prepare_store(sqlite_store)
    assert os.environ["DO_NOT_TRACK"] == "false"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_folder_of_files_is_allowed_with_a_notice(
    folder_store: MlflowConfig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with caplog.at_level("INFO", logger="src.v2"):
        prepare_store(folder_store)
        prepare_store(folder_store)
    assert [record.message for record in caplog.records].count(caplog.messages[0]) == 1
    assert "MLFLOW_ALLOW_FILE_STORE=true" in caplog.messages[0]


def test_mlflow_missing_is_a_setting_at_odds(
    sqlite_store: MlflowConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match=r"mlflow\.enabled is true but mlflow is not installed"):
        prepare_store(sqlite_store)


def test_tracking_switched_off_needs_no_mlflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    config = MlflowConfig(enabled=False)
    prepare_store(config)
    with training_run(config, run_name="r", tags={"a": "b"}, description="d") as run:
        run.log_params({"a": 1})
        run.log_metrics({"a": 1.0}, model_id=None)
        run.log_curve({"train_loss": [1.0, 0.5]})
        run.set_tags({"a": "b"})
        run.note("text")
        run.log_dataset(name="us20", source="sample", digest="d")
        run.log_files({"a.txt": tmp_path / "absent"})
        run.log_text("a", "a.txt")
        run.log_dict({"a": 1}, "a.json")
        assert run.child("fold_1", metrics={"a": 1.0}) == ""
        assert (run.run_id, run.page, run.tracking_uri) == ("", "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"this is no database at all", b"SQLite format 3\x00junk"])
def test_a_file_that_is_no_database_is_refused_at_once(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mlruns.db").write_bytes(content * 100)
    start = time.monotonic()
    with pytest.raises(TrackingError, match=r"mlruns\.db") as caught:
        prepare_store(MlflowConfig())
    assert time.monotonic() - start < 5
    assert "\n" not in str(caught.value)


def test_a_folder_instead_of_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlruns.db").mkdir()
    with pytest.raises(TrackingError, match="must be a file; it is a folder"):
        prepare_store(MlflowConfig())


def test_a_locked_database_is_told_in_one_line(
    sqlite_store: MlflowConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "LOCK_TIMEOUT_SEC", 0.1)
    holder = sqlite3.connect(tmp_path / "mlruns.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TrackingError, match="database is locked"):
        prepare_store(sqlite_store)
    holder.close()


def test_a_database_that_cannot_be_written_is_told_in_one_line(
    sqlite_store: MlflowConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Any = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, **more: real(f"file:{path}?mode=ro", uri=True, **more)
    )
    with pytest.raises(TrackingError, match="readonly database"):
        prepare_store(sqlite_store)


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        ("0123456789ab", "Update mlflow"),
        ("451aebb31d03", r"`mlflow db upgrade sqlite:////.*/mlruns\.db`"),
    ],
)
def test_a_schema_of_another_mlflow_is_told_in_one_line(
    sqlite_store: MlflowConfig, tmp_path: Path, version: str, remedy: str
) -> None:
    with sqlite3.connect(tmp_path / "mlruns.db") as connection:
        connection.execute(f"UPDATE alembic_version SET version_num = '{version}'")
    connection.close()
    with pytest.raises(TrackingError, match=remedy) as caught:
        prepare_store(sqlite_store)
    assert "\n" not in str(caught.value)


def test_a_deleted_experiment_is_named_with_the_way_back(
    sqlite_store: MlflowConfig, client_of: Any
) -> None:
    store = open_store(sqlite_store)
    client_of(sqlite_store).delete_experiment(store.experiment_id)
    with pytest.raises(TrackingError, match="experiments restore --experiment-id 1"):
        prepare_store(sqlite_store)


@pytest.mark.parametrize("user", ["ann:sec/ret", "ann:sec@ret", "ann:sec?ret", "ann:sec#ret"])
def test_a_password_that_hides_the_host_is_refused_unseen(user: str) -> None:
    with pytest.raises(ConfigError, match="%40 for @") as caught:
        parse_address(f"http://{user}@host:5000")
    assert "sec" not in str(caught.value)


def test_what_is_shown_has_no_user_and_no_token() -> None:
    address = parse_address("postgresql://token@host/db?a=1&password=secret")
    assert address.shown == "postgresql://***@host/db?a=1&password=***"
    assert parse_address("sqlite:////home/a@b/m.db").shown == "sqlite:////home/a@b/m.db"


def test_a_silent_server_fails_fast_and_keeps_the_password() -> None:
    config = MlflowConfig(tracking_uri=f"http://ann:secret@127.0.0.1:{free_port()}")
    start = time.monotonic()
    with pytest.raises(TrackingError, match=r"http://\*\*\*@127\.0\.0\.1") as caught:
        prepare_store(config)
    assert time.monotonic() - start < 10
    assert "secret" not in str(caught.value)


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(TrackingError, match="ftp://host/runs"):
        prepare_store(MlflowConfig(tracking_uri="ftp://host/runs"))


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:", " "])
def test_a_store_that_would_vanish_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"sqlite:///mlruns\.db"):
        parse_address(uri)


@pytest.mark.parametrize(
    ("uri", "kind", "path"),
    [
        ("sqlite:///runs.db", "sqlite", "runs.db"),
        ("sqlite+pysqlite:///a/runs.db?timeout=5", "sqlite", "a/runs.db"),
        ("file:./mlruns", "folder", "mlruns"),
        ("./mlruns", "folder", "mlruns"),
        ("file:my%20runs", "folder", "my runs"),
    ],
)
def test_relative_paths_become_absolute(tmp_path: Path, uri: str, kind: str, path: str) -> None:
    address = parse_address(uri)
    assert (address.kind, address.path) == (kind, tmp_path / path)
    assert parse_address(address.uri) == address


def test_an_absolute_file_uri_keeps_its_path() -> None:
    assert parse_address("file:///data/mlruns").path == Path("/data/mlruns")
    assert parse_address("file://localhost/data/mlruns").path == Path("/data/mlruns")
    assert parse_address("postgresql://u:p@h/db").shown == "postgresql://***@h/db"


def test_every_experiment_name_gives_a_folder_below_the_root() -> None:
    for name in ("..", "/", "a/../../b", "R² %"):
        folder = artifact_folder(Path("/somewhere/mlruns"), name)
        assert folder.parent == Path("/somewhere/mlruns")
        assert folder.name not in ("", ".", "..")
