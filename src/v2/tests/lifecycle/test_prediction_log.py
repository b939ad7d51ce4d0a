"""The log of predictions: whole files, once each."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.v2.errors import DataError, OmninmoError
from src.v2.lifecycle.prediction_log import (
    KINDS,
    SINCE_2,
    Ranking,
    append_ranking,
    first_rankings,
    model_id,
    read_log,
    rows_as,
)
from src.v2.modeling.model_card import ModelCard
from src.v2.tests.full_disk import small_files
from src.v2.tests.lifecycle.made_up import make_card

ROOT = Path(__file__).resolve().parents[4]
WHEN = dt.datetime(2024, 3, 4, 22, 0, tzinfo=dt.UTC)
DAY = dt.date(2024, 3, 4)


def ranking(card: ModelCard, **changes: Any) -> Ranking:
    """Make a ranking of three tickers."""
    rows = pl.DataFrame(
        {
            "rank": [1, 2, 3],
            "ticker": ["A", "B", "C"],
            "date": [changes.pop("day", DAY)] * 3,
            "close": [10.0, 11.0, 12.0],
            "score": [0.3, 0.2, 0.1],
        }
    )
    if card.classes:
        rows = rows.with_columns(pl.lit(0.4).alias("p_down"), pl.lit(0.6).alias("p_up"))
    else:
        rows = rows.with_columns(
            pl.lit(0.02).alias("predicted_return"),
            pl.lit(None, dtype=pl.Float64).alias("return_low"),
            pl.lit(0.05).alias("return_high"),
        )
    rows = rows.with_columns(
        pl.lit("Buy").alias("rating"), pl.lit(["why"], dtype=pl.List(pl.String)).alias("reasons")
    )
    made = Ranking(rows, WHEN, "f" * 32, in_sample=False, hindsight=False, coverage=0.8)
    return dataclasses.replace(made, **changes)


def test_a_ranking_comes_back_as_it_was_logged(tmp_path: Path) -> None:
    card = make_card()
    path = append_ranking(tmp_path / "new" / "log", card, ranking(card, alias="champion"))
    assert path is not None and path.name.startswith("2024-03-04_made_up_")
    log = read_log(tmp_path / "new" / "log")
    assert log.schema == KINDS
    assert log["ticker"].to_list() == ["A", "B", "C"]
    assert log["made_at"].unique().to_list() == [WHEN]
    first = log.row(0, named=True)
    assert (first["model"], first["model_id"]) == (card.name, model_id(card))
    assert (first["forward_days"], first["entry_lag"], first["alias"]) == (5, 1, "champion")
    assert (first["return_low"], first["return_high"], first["coverage"]) == (None, 0.05, 0.8)


def test_the_same_call_again_leaves_one_file_and_the_first_time(tmp_path: Path) -> None:
    card = make_card()
    append_ranking(tmp_path, card, ranking(card))
    later = ranking(card, made_at=WHEN + dt.timedelta(days=40), alias="champion")
    append_ranking(tmp_path, card, later)
    log = read_log(tmp_path)
    assert log.height == 3
    assert log["made_at"].unique().to_list() == [WHEN]
    assert log["alias"].unique().to_list() == ["champion"]


@pytest.mark.parametrize("what", ["bars", "day", "model"])
def test_another_ranking_gets_its_own_file(tmp_path: Path, what: str) -> None:
    card = make_card()
    append_ranking(tmp_path, card, ranking(card))
    other = dataclasses.replace(card, trained_at="2024-02-02T00:00:00+00:00")
    kinds: dict[str, dict[str, Any]] = {
        "bars": {"data_fingerprint": "e" * 32},
        "day": {"day": DAY + dt.timedelta(days=1)},
        "model": {},
    }
    append_ranking(tmp_path, other if what == "model" else card, ranking(card, **kinds[what]))
    assert len(list(tmp_path.iterdir())) == 2
    assert read_log(tmp_path).height == 6


def test_of_several_rankings_of_a_date_the_first_counts(tmp_path: Path) -> None:
    card = make_card()
    append_ranking(tmp_path, card, ranking(card))
    late = ranking(card, data_fingerprint="0" * 32, made_at=WHEN + dt.timedelta(hours=1))
    append_ranking(tmp_path, card, late)
    kept = first_rankings(read_log(tmp_path))
    assert kept.height == 3
    assert kept["data_fingerprint"].unique().to_list() == ["f" * 32]


def test_models_of_returns_and_of_classes_share_a_log(tmp_path: Path) -> None:
    card = make_card()
    classes = make_card(mode="classification", classes=("down", "up"), name="other")
    append_ranking(tmp_path, card, ranking(card))
    append_ranking(tmp_path, classes, ranking(classes))
    log = read_log(tmp_path)
    assert log.filter(pl.col("mode") == "regression")["p_up"].null_count() == 3
    two = log.filter(pl.col("mode") == "classification")
    assert two["p_up"].to_list() == [0.6] * 3
    assert two["predicted_return"].null_count() == two["coverage"].null_count() == 3


def test_an_empty_ranking_and_an_empty_folder_leave_nothing(tmp_path: Path) -> None:
    card = make_card()
    nothing = dataclasses.replace(ranking(card), rows=ranking(card).rows.head(0))
    assert append_ranking(tmp_path / "log", card, nothing) is None
    assert not (tmp_path / "log").exists()
    assert read_log(tmp_path / "log").is_empty()


def test_a_write_that_breaks_off_leaves_the_old_file_and_says_why(tmp_path: Path) -> None:
    card = make_card()
    path = append_ranking(tmp_path, card, ranking(card))
    assert path is not None
    before = path.read_bytes()
    with (
        small_files(1000),
        pytest.raises(OmninmoError, match=r"File too large\..*predict\.log false"),
    ):
        append_ranking(tmp_path, card, ranking(card, alias="champion"))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "2024-01-01_x.parquet").write_text("no parquet")
    with pytest.raises(DataError, match=r"2024-01-01_x.parquet is no file of the prediction log"):
        read_log(tmp_path)


def test_another_table_and_a_newer_schema_are_refused(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="is no file of the prediction log"):
        read_log(tmp_path)
    pl.DataFrame({"schema_version": [3]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="schema version 3; this code reads up to 2"):
        read_log(tmp_path)


@pytest.mark.parametrize("kind", ["folder", "socket", "link to nothing"])
def test_what_is_no_regular_file_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    made = Path("x.parquet")
    if kind == "folder":
        made.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as held:
            held.bind(made.name)
    else:
        made.symlink_to("nowhere")
    with pytest.raises(DataError, match=r"x\.parquet .* not a regular file"):
        read_log(tmp_path)


def test_a_pipe_in_the_log_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.parquet")
    code = (
        "from pathlib import Path\n"
        "from src.v2.lifecycle.prediction_log import read_log\n"
        f"read_log(Path({str(tmp_path)!r}))\n"
    )
    # A process of its own, since one that waits hears no signal of Python's.
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, timeout=60, capture_output=True, text=True
    )
    assert "x.parquet is no file of the prediction log: it is not a regular file" in told.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pl.lit(None, pl.String).alias("model_id"), "model_id must have a value"),
        (pl.lit(None, pl.Int32).alias("schema_version"), "schema_version must have a value"),
        (pl.lit(None, pl.Date).alias("date"), "date must have a value"),
        (pl.lit(2**31 - 1, pl.Int32).cast(pl.Date).alias("date"), "date must lie between 1900"),
        (pl.lit(-(2**31), pl.Int32).cast(pl.Date).alias("date"), "date must lie between 1900"),
        (
            pl.lit(2**63 - 1, pl.Int64).cast(pl.Datetime("us", "UTC")).alias("made_at"),
            "made_at must lie between 1900",
        ),
    ],
)
def test_cells_that_no_ranking_has_make_a_file_damaged(
    tmp_path: Path, change: pl.Expr, words: str
) -> None:
    card = make_card()
    path = append_ranking(tmp_path, card, ranking(card))
    assert path is not None
    first = pl.int_range(pl.len()) == 0
    name = change.meta.output_name()
    pl.read_parquet(path).with_columns(
        pl.when(first | (name == "schema_version")).then(change).otherwise(name).alias(name)
    ).write_parquet(path)
    with pytest.raises(DataError, match=f"{path.name} .* it is damaged, {words}"):
        read_log(tmp_path)


def test_a_file_without_rows_is_damaged(tmp_path: Path) -> None:
    card = make_card()
    path = append_ranking(tmp_path, card, ranking(card))
    assert path is not None
    pl.read_parquet(path).head(0).write_parquet(path)
    with pytest.raises(DataError, match=f"{path.name} .* it is damaged, it has no rows"):
        read_log(tmp_path)


def test_what_another_process_is_writing_is_not_read(tmp_path: Path) -> None:
    card = make_card()
    append_ranking(tmp_path, card, ranking(card))
    (tmp_path / ".2024-03-05_x.parquet").write_text("half")
    (tmp_path / ".2024-03-05_x.parquet.77.part").write_text("half")
    assert read_log(tmp_path).height == 3


def test_a_file_of_the_first_schema_is_read_with_nulls_for_what_came_later(tmp_path: Path) -> None:
    card = make_card()
    path = append_ranking(tmp_path, card, ranking(card, registered="r", alias="champion"))
    assert path is not None
    old = pl.read_parquet(path).drop(SINCE_2).with_columns(schema_version=pl.lit(1, pl.Int32))
    old.write_parquet(path)
    log = read_log(tmp_path)
    assert log.schema == KINDS and log.select(SINCE_2).null_count().row(0) == (3,) * len(SINCE_2)
    assert rows_as(log, "r", "champion").height == 3
    assert rows_as(log, "r", "challenger").is_empty()
    # A file of this schema that lacks them is damaged.
    old.with_columns(schema_version=pl.lit(2, pl.Int32)).write_parquet(path)
    with pytest.raises(DataError, match="is no file of the prediction log"):
        read_log(tmp_path)


def test_who_a_version_was_when_it_forecast_stays_written(tmp_path: Path) -> None:
    scores = {"cv_rank_ic_pooled": 0.03, "cv_rank_ic_low": 0.01, "cv_dates": 900.0}
    card = make_card(out_of_sample=scores)
    asked = ranking(card, registered="r", version="2", roles=("challenger",), chosen="named")
    append_ranking(tmp_path, card, asked)
    later = WHEN + dt.timedelta(days=9)
    crowned = dataclasses.replace(asked, made_at=later, roles=("champion",), chosen="champion")
    append_ranking(tmp_path, card, crowned)
    log = read_log(tmp_path)
    for alias, when in (("challenger", WHEN), ("champion", later)):
        (made,) = rows_as(log, "r", alias)["made_at"].unique().to_list()
        assert made == when
    assert rows_as(log, "other", "champion").is_empty()
    assert first_rankings(log)["roles"].unique().to_list() == ["challenger"]
    first = log.row(0, named=True)
    assert (first["promised_rank_ic"], first["promised_low"]) == (0.03, 0.01)
    assert (first["promised_high"], first["promised_dates"]) == (None, 900.0)


def test_looking_back_later_does_not_spoil_a_forecast_made_in_time(tmp_path: Path) -> None:
    card = make_card()
    append_ranking(tmp_path, card, ranking(card))
    before = read_log(tmp_path)
    later = ranking(card, made_at=WHEN + dt.timedelta(days=40), hindsight=True)
    append_ranking(tmp_path, card, later)
    assert read_log(tmp_path).equals(before)


def test_many_writers_at_once_leave_whole_files_and_the_first_time(tmp_path: Path) -> None:
    card = make_card()

    def write(number: int) -> None:
        day = DAY + dt.timedelta(days=number % 3)
        made = WHEN + dt.timedelta(days=number % 3, seconds=number)
        append_ranking(tmp_path, card, ranking(card, day=day, made_at=made))

    write(0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(48)))
    log = read_log(tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".parquet"] * 3
    assert log.height == 9
    assert log.filter(date=DAY)["made_at"].unique().to_list() == [WHEN]


def test_what_a_killed_process_left_is_cleared_by_the_next_ranking(tmp_path: Path) -> None:
    card = make_card()
    half = tmp_path / ".2024-03-04_made_up_0.parquet.12345.part"
    half.write_bytes(b"PAR1 and no more")
    path = append_ranking(tmp_path, card, ranking(card))
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_file_of_the_same_call_is_named_and_kept(tmp_path: Path) -> None:
    card = make_card()
    path = append_ranking(tmp_path, card, ranking(card))
    assert path is not None
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=rf"{path.name} is no file of the prediction log"):
        append_ranking(tmp_path, card, ranking(card))
    assert path.read_bytes() == b"PAR1 and no more"
