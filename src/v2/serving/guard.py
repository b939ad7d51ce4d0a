"""What stands before MLflow's scoring server: whom and what it lets through, and how it says no.

Pages of the web may not ask (a foreign ``Host``), a body ends at `MOST_BYTES` and holds what
`src.v2.serving.bodies` lets through, few are read at once, and every refusal is
``{"error_code": ..., "message": ...}`` without a traceback and without what was sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from src.v2.console import printable
from src.v2.serving.bodies import MOST_COLUMNS, TYPES, BodyError, check_body, readable_type

if TYPE_CHECKING:
    from src.v2.tracking.local_server import Application, Receive, Scope, Send

log = logging.getLogger(__name__)

PATHS = {"/invocations": "POST", "/ping": "GET", "/health": "GET", "/version": "GET"}
HOSTS = ("127.0.0.1", "localhost")
MOST_AT_ONCE = 4
"""Bodies that are read and answered at once: each takes some hundred MB at worst."""

QUEUE_SECONDS = 300.0
"""Time in which it must be a body's turn."""

MOST_BYTES = 8 * 2**20
"""Longest body of a request."""

DRAINED_BYTES = 8 * MOST_BYTES
"""A body up to this length is read before it is refused: its sender then hears why."""

BODY_SECONDS = 30.0
"""Time in which a body must have come."""

MESSAGE_LENGTH = 1000
_HOST = re.compile(rf"(?:{'|'.join(map(re.escape, HOSTS))})(?::[0-9]{{1,5}})?")
_PREFIX = "Failed to "
_TOO_MANY_DIGITS = "for integer string conversion"
"""Python's words for an integer longer than it turns from text."""

_JSON = (b"content-type", b"application/json")
_BAD, _LARGE, _INTERNAL = "BAD_REQUEST", "REQUEST_LIMIT_EXCEEDED", "INTERNAL_ERROR"
_BUSY = "TEMPORARILY_UNAVAILABLE"


class Refused(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def guarded(application: Application, most_columns: int = MOST_COLUMNS) -> Application:
    """Put the guard before an ASGI application.

    Parameters
    ----------
    most_columns
        Columns that a request may name.
    """
    places = asyncio.Semaphore(MOST_AT_ONCE)

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        try:
            _check_head(scope)
            body = await asyncio.wait_for(_whole_body(scope, receive), BODY_SECONDS)
            if scope["method"] == "POST":
                status, headers, answer = await _in_turn(
                    places, application, scope, body, most_columns
                )
            else:
                status, headers, answer = await _asked(application, scope, body)
            if status >= 400:
                code, message = _told(answer)
                raise Refused(status, code, message)
        except Refused as refusal:
            status, headers, answer = _refusal(refusal.status, refusal.code, str(refusal))
        except BodyError as error:
            status, headers, answer = _refusal(400, _BAD, clean_message(str(error)))
        except RecursionError:
            status, headers, answer = _refusal(400, _BAD, "The body is nested too deeply.")
        except TimeoutError:
            status, headers, answer = _refusal(
                408, _BAD, f"The body must have come within {BODY_SECONDS:.0f} seconds."
            )
        except Exception as error:
            status, headers, answer = _failure(error)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return guard


def clean_message(text: str) -> str:
    r"""Take from MLflow's message what it says, without what was sent.

    Examples
    --------
    >>> clean_message("Failed to predict data '   close\n0  1.0'. \nError: No date is given.")
    'No date is given.'
    >>> clean_message("No valid JSON.\nInput: \n{secret")
    'No valid JSON.'
    """
    text = text.split("\nInput:")[0]
    if text.startswith(_PREFIX) and "Error: " in text:
        text = text.rsplit("Error: ", 1)[1]
    text = printable(text)
    return text if len(text) <= MESSAGE_LENGTH else f"{text[:MESSAGE_LENGTH]}…"


def _check_head(scope: Scope) -> None:
    """Refuse what can be refused by method, path and headers alone."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    if not _HOST.fullmatch(headers.get(b"host", b"").decode("latin-1")):
        raise Refused(403, "PERMISSION_DENIED", f"The server answers for {HOSTS[0]} only.")
    method = PATHS.get(scope["path"])
    if method is None:
        raise Refused(404, "NOT_FOUND", f"There are {', '.join(PATHS)}, and nothing else.")
    if scope["method"] != method:
        raise Refused(405, _BAD, f"{scope['path']} takes {method}.")
    if method == "POST" and not readable_type(_content_type(scope)):
        raise Refused(415, _BAD, f"The content-type must be {' or '.join(TYPES)}.")
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > DRAINED_BYTES:
        raise _too_large()


def _content_type(scope: Scope) -> str:
    found = [value for name, value in scope["headers"] if name.lower() == b"content-type"]
    return found[0].decode("latin-1") if len(found) == 1 else ""


def _too_large() -> Refused:
    return Refused(413, _LARGE, f"A body may have {MOST_BYTES:,} bytes; cut it into several.")


async def _whole_body(scope: Scope, receive: Receive) -> bytes:
    """Read a body up to the limit, also one that does not say how long it is."""
    parts: list[bytes] = []
    read, more = 0, scope["method"] == "POST"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, _BAD, "The connection ended before the body did.")
        part = message.get("body", b"")
        read += len(part)
        if read > DRAINED_BYTES:
            raise _too_large()
        if read <= MOST_BYTES:
            parts.append(part)
        else:
            parts.clear()
        more = message.get("more_body", False)
    if read > MOST_BYTES:
        raise _too_large()
    return b"".join(parts)


async def _in_turn(
    places: asyncio.Semaphore, application: Application, scope: Scope, body: bytes, most: int
) -> tuple[int, Sequence[tuple[bytes, bytes]], bytes]:
    """Check a body and ask the application, when few others are at it."""
    try:
        await asyncio.wait_for(places.acquire(), QUEUE_SECONDS)
    except TimeoutError:
        raise Refused(503, _BUSY, "The server has too much to do; ask again later.") from None
    try:
        # A thread keeps the server answering meanwhile.
        await asyncio.to_thread(check_body, body, _content_type(scope), most)
        return await _asked(application, scope, body)
    finally:
        places.release()


async def _asked(
    application: Application, scope: Scope, body: bytes
) -> tuple[int, Sequence[tuple[bytes, bytes]], bytes]:
    """Ask the application, and keep its answer."""
    kept: list[Any] = []
    given = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Scope:
        if given:
            return given.pop()
        # The application may listen for the end of the connection while it works.
        return await asyncio.Future()

    async def send(message: Scope) -> None:
        kept.append(message)

    await application(scope, receive, send)
    answer = b"".join(message.get("body", b"") for message in kept[1:])
    return int(kept[0]["status"]), kept[0].get("headers", []), answer


def _told(answer: bytes) -> tuple[str, str]:
    """Read the code and the message of a refusal, whatever its form."""
    text = answer.decode("utf-8", "replace")
    try:
        found = json.loads(text)
        return str(found.get("error_code", _BAD)), clean_message(str(found["message"]))
    except (ValueError, KeyError, AttributeError, RecursionError):
        return _BAD, clean_message(text)


def _failure(error: Exception) -> tuple[int, Sequence[tuple[bytes, bytes]], bytes]:
    """Refuse what JSON cannot be read of; put what was not foreseen into the log."""
    if isinstance(error, ValueError) and _TOO_MANY_DIGITS in str(error):
        return _refusal(400, _BAD, "A number of the body has too many digits.")
    number = uuid.uuid4().hex[:8]
    log.exception("request %s failed", number)
    text = f"Something unforeseen went wrong; the server's log has it as {number}."
    return _refusal(500, _INTERNAL, text)


def _refusal(
    status: int, code: str, message: str
) -> tuple[int, Sequence[tuple[bytes, bytes]], bytes]:
    text = json.dumps({"error_code": code, "message": message}).encode()
    return status, [_JSON, (b"content-length", str(len(text)).encode())], text
