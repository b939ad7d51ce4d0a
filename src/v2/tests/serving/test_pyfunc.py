"""The package as MLflow loads it into a process, and the guard before its server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from src.v2.serving import guard
from src.v2.serving.answers import Scorer
from src.v2.tests.serving.conftest import Served

JSON = {"content-type": "application/json"}


def complaint(loaded: Any, rows: pd.DataFrame) -> dict[str, str]:
    with pytest.raises(MlflowException) as caught:
        loaded.predict(rows)
    error: Any = caught.value
    told: dict[str, str] = json.loads(error.serialize_as_json())
    return told


def test_the_package_holds_no_pickle_and_no_trace_of_tests(served: Served) -> None:
    files = [path for path in served.package.rglob("*") if path.is_file()]
    assert len(files) > 100
    assert {path.suffix for path in files} <= {
        *(".py", ".json", ".ubj", ".parquet", ".yaml", ".txt", ""),
        *(".html", ".css", ".j2", ".md", ".csv"),
    }
    assert not any(path.read_bytes()[:1] == b"\x80" for path in files)
    assert not any("tests" in path.relative_to(served.package).parts for path in files)
    assert "python_model" not in (served.package / "MLmodel").read_text()


def test_mlflow_answers_as_the_scorer_does(served: Served, loaded: Any) -> None:
    rows = served.rows("T002", "T011")
    answer = loaded.predict(rows.to_pandas())
    expected = served.scorer.answer(rows)
    assert list(answer.columns) == expected.columns
    assert answer["score"].tolist() == expected["score"].to_list()
    assert answer["reasons"].tolist() == expected["reasons"].to_list()
    assert answer["date"].tolist() == ["2014-03-21"] * 2
    earlier = loaded.predict(rows.to_pandas(), params={"as_of": "2014-03-20"})
    assert earlier["date"].tolist() == ["2014-03-20"] * 2


def test_a_wrong_request_has_a_code_and_no_traceback(served: Served, loaded: Any) -> None:
    rows = served.rows("T002").to_pandas()
    listed = rows.assign(ticker=pd.Series([["x"]], dtype=object))
    for wrong in (rows.assign(close=float("nan")), rows.iloc[:0], listed):
        told = complaint(loaded, wrong)
        assert told["error_code"] == "INVALID_PARAMETER_VALUE"
        assert "stack_trace" not in told
        assert "Traceback" not in told["message"]


def test_what_is_unforeseen_is_told_by_an_id_alone(
    served: Served, loaded: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("a secret path")

    monkeypatch.setattr(Scorer, "answer", fail)
    told = complaint(loaded, served.rows("T002").to_pandas())
    assert told["error_code"] == "INTERNAL_ERROR"
    assert "secret" not in json.dumps(told)
    number = told["message"].rstrip(".").rsplit(" ", 1)[1]
    assert f"request {number} failed" in caplog.text
    assert "a secret path" in caplog.text


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that gives back what it is sent, or fails as it is told."""
    body = (await receive())["body"]
    if body == b"fail":
        raise ZeroDivisionError("a secret path")
    if body == b"deep":
        raise RecursionError
    if body == b"long":
        int("1" * 5000)
    status = 400 if body.startswith(b"{") else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


def ask(
    parts: list[bytes],
    path: str = "/invocations",
    method: str = "POST",
    headers: Mapping[str, str] = JSON,
) -> tuple[int, str]:
    sent: list[Any] = []
    waiting = list(parts)

    async def receive() -> Any:
        if not waiting:
            return {"type": "http.disconnect"}
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    names = {"host": "127.0.0.1:5001"} | dict(headers)
    scope = {
        "type": "http",
        "path": path,
        "method": method,
        "headers": [(name.encode(), value.encode()) for name, value in names.items()],
    }
    answer: Any = guard.guarded(echo)(scope, receive, send)
    asyncio.run(answer)
    return sent[0]["status"], sent[1]["body"].decode()


def test_the_guard_lets_a_good_request_through_whole() -> None:
    assert ask([b"a", b"b" * 100, b""]) == (200, "a" + "b" * 100)
    for host in ("localhost:5001", "127.0.0.1", "127.0.0.1:80"):
        assert ask([b""], "/ping", "GET", {"host": host}) == (200, "")


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (403, {"headers": JSON | {"host": "evil.example"}}),
        (403, {"headers": JSON | {"host": "127.0.0.1.evil.example:5001"}}),
        (403, {"headers": JSON | {"host": "127.0.0.1:evil.example"}}),
        (403, {"headers": JSON | {"host": "127.0.0.1:"}}),
        (403, {"headers": JSON | {"host": "127.0.0.1:5001:5001"}}),
        (403, {"headers": JSON | {"host": "127.0.0.1:\u0663"}}),
        (403, {"headers": JSON | {"host": "127x0.0.1"}}),
        (404, {"path": "/docs"}),
        (404, {"path": "/openapi.json"}),
        (405, {"method": "GET"}),
        (405, {"path": "/ping"}),
        (413, {"headers": JSON | {"content-length": "99999999999"}}),
        (413, {"headers": JSON | {"content-length": "-1"}}),
        (415, {"headers": {}}),
        (415, {"headers": {"content-type": "application/vnd.apache.parquet"}}),
    ],
)
def test_the_guard_refuses_by_the_head(status: int, request_: dict[str, Any]) -> None:
    found, text = ask([b"x"], **request_)
    assert found == status
    assert set(json.loads(text)) == {"error_code", "message"}


def test_a_body_over_the_limit_is_read_and_refused_whether_or_not_it_says_so() -> None:
    parts = [b"x" * 2**20] * 10
    for headers in (JSON, JSON | {"content-length": str(10 * 2**20)}):
        status, text = ask(parts, headers=headers)
        assert status == 413
        assert "8,388,608 bytes" in json.loads(text)["message"]
    assert ask([b"x" * 2**20] * 8)[0] == 200


def test_a_refusal_loses_its_traceback_and_what_was_sent() -> None:
    told = {
        "error_code": "BAD",
        "message": "Failed to predict data 'my secret'. \nError: No \x1b[31mdate.",
        "stack_trace": "Traceback ...",
    }
    status, text = ask([json.dumps(told).encode()], headers={"content-type": "text/csv"})
    assert (status, json.loads(text)) == (400, {"error_code": "BAD", "message": "No [31mdate."})
    assert len(ask([b"{" + b"x" * 9000])[1]) < 1200


def test_a_failing_application_is_told_by_an_id(caplog: pytest.LogCaptureFixture) -> None:
    status, text = ask([b"fail"])
    assert status == 500
    assert "secret" not in text
    assert "a secret path" in caplog.text
    status, text = ask([b"deep"])
    assert (status, json.loads(text)["message"]) == (400, "The body is nested too deeply.")
    status, text = ask([b"long"])
    assert (status, json.loads(text)["message"]) == (
        400,
        "A number of the body has too many digits.",
    )


def test_a_connection_that_ends_early_is_no_failure() -> None:
    assert ask([])[0] == 400
