"""Connections that wait for their client: closed when no complete head of a request comes.

uvicorn waits for a first head for ever, and a connection that is open counts against the limit of
connections: some dozens that send nothing would keep everyone else out.
"""

from __future__ import annotations

import asyncio
from typing import override

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""Time in which a complete head must have come."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection on which no answer is being made for too long."""

    _end: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_end()

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._set_end()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget_end()

    def _set_end(self) -> None:
        """Start the time once, and stop it while an answer is being made."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_end()
        elif self._end is None:
            self._end = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _forget_end(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None
