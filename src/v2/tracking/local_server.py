"""A server of this process on this machine only, which ends calmly when it is interrupted."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, override

from src.v2.errors import ConfigError, Interrupted
from src.v2.tracking.complaints import quiet_libraries

HOST = "127.0.0.1"
MOST_CONNECTIONS = 64
"""Connections open at once; further ones are answered with 503."""

_BACKLOG = 128
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
"""What ASGI calls an application."""


@contextlib.contextmanager
def ended_by_the_user() -> Iterator[None]:
    """Take Ctrl-C for the ordinary end; uvicorn raises the signal again once it is down."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as error:
        if isinstance(error, Interrupted) and error.exit_code != 128 + signal.SIGINT:
            raise
        sys.stderr.write("stopped.\n")


def bind_port(port: int, setting: str, target: str) -> socket.socket:
    """Take the port before the slow start, so that a taken one is told at once.

    Parameters
    ----------
    setting, target
        Setting of the port, and the make target that takes another as PORT, for the error.

    Raises
    ------
    ConfigError
        When the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        other = port + 1 if port < 65535 else 5000
        raise ConfigError(
            f"{setting} must be free on {HOST}; {port} is in use or not allowed ({error.strerror})."
            f" Try {target} PORT={other}."
        ) from error
    return listener


def run_application(
    application: Application,
    listener: socket.socket,
    welcome: str,
    most_connections: int | None = None,
) -> None:
    """Serve until a signal comes; the signal is then raised again as usual.

    A connection without a complete head is closed, see `src.v2.tracking.waiting`.

    Parameters
    ----------
    listener
        From `bind_port`.
    welcome
        Line that is shown once the application answers.
    most_connections
        Open at once; further ones are answered with 503. None for no limit.
    """
    import uvicorn

    from src.v2.tracking.waiting import PatientProtocol

    class Server(uvicorn.Server):
        """A server that tells its address once it answers."""

        @override
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                say(welcome)

    settings = uvicorn.Config(
        application,
        http=PatientProtocol,
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=1,
        access_log=False,
        limit_concurrency=most_connections,
    )
    server = Server(settings)
    with quiet_libraries():
        server.run(sockets=[listener])


def say(line: str) -> None:
    """Tell the user something, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
