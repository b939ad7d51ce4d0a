"""Connections that send nothing, or too slowly, are closed."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from src.v2.tracking import waiting
from src.v2.tracking.waiting import PatientProtocol

HEAD = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
SECONDS = 0.4


async def slow_answer(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer after longer than a head may take."""
    await asyncio.sleep(2 * SECONDS)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
    await send({"type": "http.response.body", "body": b"done"})


async def held(parts: list[bytes], pause: float, until: bytes = b"") -> tuple[float, bytes]:
    """Send parts with pauses, and say after how many seconds the server closed, and what came."""
    config = uvicorn.Config(slow_answer, lifespan="off", log_config=None, timeout_keep_alive=30)
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: PatientProtocol(config, state, {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        start = time.perf_counter()

        async def drip() -> None:
            for part in parts:
                writer.write(part)
                await asyncio.sleep(pause)

        sending = asyncio.create_task(drip())
        found = b""
        try:
            reading = reader.readuntil(until) if until else reader.read()
            found = await asyncio.wait_for(reading, 5)
        except TimeoutError:
            found = b"still open"
        finally:
            took = time.perf_counter() - start
            sending.cancel()
            writer.close()
            await asyncio.sleep(0.01)
    assert not state.connections or until
    return took, found


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "HEAD_SECONDS", SECONDS)


@pytest.mark.parametrize("parts", [[], [HEAD[:20]], [HEAD[at : at + 1] for at in range(len(HEAD))]])
def test_a_connection_without_a_complete_head_is_closed(parts: list[bytes]) -> None:
    took, found = asyncio.run(held(parts, 0.1))
    assert (found, SECONDS <= took + 0.01 < 4 * SECONDS) == (b"", True)


def test_an_answer_may_take_longer_than_a_head() -> None:
    took, found = asyncio.run(held([HEAD], 0, until=b"done"))
    assert found.startswith(b"HTTP/1.1 200")
    assert took > 2 * SECONDS - 0.01


def test_a_second_head_that_never_ends_is_closed_too() -> None:
    took, found = asyncio.run(held([HEAD, *[HEAD[at : at + 1] for at in range(38)]], 0.1))
    assert found.count(b"HTTP/1.1") == 1
    assert took < 3.5
