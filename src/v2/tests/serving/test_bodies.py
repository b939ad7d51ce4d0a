"""What a body may hold, before MLflow makes a frame of it."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.v2.serving import guard
from src.v2.serving.bodies import MOST_COLUMNS, BodyError, check_body
from src.v2.serving.requests import MOST_ROWS

JSON, CSV = "application/json", "text/csv"
ROW = {"date": "2024-01-31", "ticker": "AAPL", "close": 1.5}
SPLIT = {"columns": list(ROW), "data": [list(ROW.values())]}


def records(rows: Any) -> dict[str, Any]:
    return {"dataframe_records": rows}


def split(**changed: Any) -> dict[str, Any]:
    return {"dataframe_split": SPLIT | changed}


WIDE = {f"c{number}": 1 for number in range(MOST_COLUMNS + 1)}
REFUSED: dict[str, tuple[Any, str]] = {
    "a column of its own in each record": (
        records([{name: 1} for name in WIDE]),
        "may name 64 columns",
    ),
    "the same as inputs": ({"inputs": [{name: 1} for name in WIDE]}, "may name 64 columns"),
    "the same as instances": ({"instances": [{name: 1} for name in WIDE]}, "64 columns"),
    "many lists": ({"inputs": {name: [1] for name in WIDE}}, "may name 64 columns"),
    "objects as columns": ({"inputs": {"a": {"x": 1}, "b": {"y": 1}}}, "'a' must be a list"),
    "many names": (split(columns=list(WIDE), data=[]), "may name 64 columns"),
    "a long row without names": (split(columns=[], data=[[1] * 1000]), "list of 0 cells"),
    "no names": ({"dataframe_split": {"data": [[1] * 1000]}}, "columns must be a list"),
    "objects as rows of a split": (split(data=[{"a": 1}, {"b": 1}]), "row 1 must be a list"),
    "an object as data": (split(data={"a": {"x": 1}}), "data must be a list"),
    "too many records": (records([{}] * (MOST_ROWS + 1)), "1 to 50,000 rows"),
    "too many rows": (split(data=[[1, 2, 3]] * (MOST_ROWS + 1)), "1 to 50,000 rows"),
    "too many cells": ({"inputs": {"a": [1] * (MOST_ROWS + 1)}}, "1 to 50,000 rows"),
    "a conversation": ({"messages": 1, "a": {"x": 1}, "b": {"y": 1}}, "must hold one of"),
    "two forms": (records([ROW]) | {"inputs": [ROW]}, "must hold one of"),
    "a number": ({"inputs": 5}, "inputs must be a list of rows"),
    "a name twice": (split(columns=["date", "close", "close"]), "'close' stands several times"),
    "a list as a cell": (records([ROW | {"close": [1]}]), "'close' of row 1 is not"),
    "a long text": ({"inputs": {"x": ["a", "b" * 65]}}, "may have 64 letters; 'x' of row 2"),
    "lists as an index": (split(index=[[1]]), "'index' of row 1 is not"),
    "a long index": (split(index=[1, 2]), "index must be a list with a cell for each row"),
    "true for a price": (records([ROW, ROW | {"close": True}]), "'close' of row 2 is not"),
    "false in a split": (split(data=[["2024-01-31", "AAPL", False]]), "'close' of row 1 is not"),
    "true in a list": ({"inputs": {"close": [1.0, True]}}, "'close' of row 2 is not"),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_a_body_is_refused_before_a_frame_is_made_of_it(what: str) -> None:
    body, why = REFUSED[what]
    with pytest.raises(BodyError) as caught:
        check_body(json.dumps(body).encode(), JSON)
    assert why in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_name_twice_in_a_record_is_refused() -> None:
    text = '{"dataframe_records": [{"close": 1, "ticker": "A", "close": 2}]}'
    with pytest.raises(BodyError, match="'close' stands several times"):
        check_body(text.encode(), JSON)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (",".join(WIDE) + "\n1\n", "may name 64 columns"),
        ("date,ticker,close,close\n2024-01-31,A,1,2\n", "'close' stands several times"),
        ("date,close\n" + ",".join(["1"] * 1000), "Row 1 has more cells"),
        ('date,close\n1,"' + '\n",1,"' * 70 + '"', "Row 1 has more cells"),
        ("close\n" + "1\n" * (MOST_ROWS + 1), "1 to 50,000 rows"),
        ("close\r" + "1\r" * (MOST_ROWS + 1), "1 to 50,000 rows"),
        ("close\n" + "1" * 200_000, "must be CSV"),
        ("date,ticker,close\nx,TRUE,1\nx,A,True\n", "'close' of row 2 is not"),
        ("close,volume\n1,false\n", "'volume' of row 1 is not"),
    ],
)
def test_a_csv_is_counted_before_a_frame_is_made_of_it(text: str, why: str) -> None:
    with pytest.raises(BodyError) as caught:
        check_body(text.encode(), f"{CSV}; charset=utf-8")
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        records([ROW] * 3),
        records([{name: 1 for name in list(WIDE)[:MOST_COLUMNS]}]),
        split(index=[0]),
        split() | {"params": {"as_of": "2024-01-31"}},
        {"inputs": [ROW]},
        {"inputs": {name: [cell] for name, cell in ROW.items()}},
        records([]),
        records([{}] * MOST_ROWS),
        [ROW],
        5,
    ],
)
def test_a_good_body_passes_and_so_does_what_mlflow_makes_no_frame_of(body: Any) -> None:
    check_body(json.dumps(body).encode(), JSON)


def test_a_good_csv_passes() -> None:
    for text in ("date,ticker,close\n2024-01-31,TRUE,1.5\n", '"date","close"\r\n"a",1\r\n', ""):
        check_body(text.encode(), CSV)
        check_body(b"\xef\xbb\xbf" + text.encode(), CSV)
    for body in (b"{close", b"\xff\xfe", b""):
        check_body(body, JSON)
    check_body(b"\xff\xfe", CSV)


def test_a_model_that_knows_more_columns_may_be_sent_them() -> None:
    check_body(json.dumps(records([WIDE])).encode(), JSON, len(WIDE))
    with pytest.raises(BodyError):
        check_body(json.dumps(records([WIDE])).encode(), JSON, len(WIDE) - 1)


@given(
    st.lists(
        st.dictionaries(st.sampled_from([f"c{number}" for number in range(80)]), st.just(1)),
        max_size=6,
    )
)
def test_records_pass_exactly_when_their_names_together_are_few(rows: list[dict[str, int]]) -> None:
    body = json.dumps(records(rows)).encode()
    if len({name for row in rows for name in row}) <= 20:
        check_body(body, JSON, 20)
    else:
        with pytest.raises(BodyError):
            check_body(body, JSON, 20)


def scope_of(kind: str) -> dict[str, Any]:
    headers = [(b"host", b"localhost"), (b"content-type", kind.encode())]
    return {"type": "http", "path": "/invocations", "method": "POST", "headers": headers}


async def sent_to(door: Any, body: bytes, kind: str = JSON) -> tuple[int, Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await door(scope_of(kind), receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_the_guard_does_not_pass_on_what_it_refuses() -> None:
    async def fail(*_: Any) -> None:
        raise AssertionError

    door = guard.guarded(fail)
    body = json.dumps(records([{name: 1} for name in WIDE])).encode()
    status, told = asyncio.run(sent_to(door, body))
    assert (status, told["error_code"]) == (400, "BAD_REQUEST")
    assert "64 columns" in told["message"]
    status, told = asyncio.run(sent_to(door, b"PAR1", "application/vnd.apache.parquet"))
    assert status == 415


async def _answer_ok(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"1"})


def test_few_bodies_are_read_at_once_and_the_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    async def count(_scope: Any, _receive: Any, send: Any) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        await asyncio.sleep(0.02)
        inside -= 1
        await _answer_ok(send)

    async def all_at_once() -> list[tuple[int, Any]]:
        door = guard.guarded(count)
        return await asyncio.gather(*(sent_to(door, b"") for _ in range(12)))

    assert {status for status, _ in asyncio.run(all_at_once())} == {200}
    assert most == guard.MOST_AT_ONCE
    monkeypatch.setattr(guard, "QUEUE_SECONDS", 0.005)
    answers = asyncio.run(all_at_once())
    assert sorted({status for status, _ in answers}) == [200, 503]
