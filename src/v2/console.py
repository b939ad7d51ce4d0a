"""What every command shares: the log, progress, signals and the way errors are shown."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from src.v2.errors import Interrupted, OmninmoError

log = logging.getLogger("src.v2")

LOG_NAME = "train.log"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a command in good order, with exit codes 130, 143 and 129."""


def let_waiting_threads_sleep() -> None:
    """Let threads of XGBoost and scikit-learn sleep while they wait.

    By spinning they take a core each from whatever else runs: a fit on a busy machine took 10
    times as long. Read when such a library is first loaded, so it does nothing after that; a
    value of the user's own stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def run_command(command: Callable[[Sequence[str]], int], argv: Sequence[str] | None = None) -> int:
    """Run a command and turn its end into an exit code.

    An error of ours is one line on stderr and its own code; any other error is one line and
    code 1; both leave their traceback in the log file. Ctrl-C gives 130, SIGTERM 143.
    """
    let_waiting_threads_sleep()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    received: list[Interrupted] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(Interrupted(signal.Signals(number).name, 128 + number))
        if len(received) == 1:
            raise received[0]

    previous = {
        number: signal.signal(number, interrupt)
        for number in SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        code = command(sys.argv[1:] if argv is None else argv)
    except BaseException as error:
        # A library may have turned the interrupt into an error of its own.
        code = _exit_code(received[0] if received else error)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return code


def _exit_code(error: BaseException) -> int:
    """Show how a command ended, and give its exit code."""
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, OmninmoError):
        show_error(_with_notes(error))
        return error.exit_code
    if isinstance(error, Interrupted):
        show_error(f"{_with_notes(error)}; what was not finished is removed.")
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        # The reader is gone; a second complaint when Python flushes its streams helps nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    show_error(f"unexpected {type(error).__name__}: {_with_notes(error)}")
    return 1


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Hold interrupts back until the block is done.

    For calls into libraries that call Python back and would swallow the exception: the run
    would then go on with a part of its data.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, _: held.append(number))
        for number in SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    for received in held:
        signal.raise_signal(received)


def show_error(text: str) -> None:
    """Show one line on stderr."""
    print(f"error: {printable(mask_secrets(text))}", file=sys.stderr)  # noqa: T201


def unsigned_zero(number: str) -> str:
    """Take the sign from a written number that is rounded to 0.

    Examples
    --------
    >>> unsigned_zero("-0.00%"), unsigned_zero("-0.01%")
    ('0.00%', '-0.01%')
    """
    return number if set(number) & set("123456789in") else number.lstrip("+-")


STEERING = r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
"""Control characters, and those that turn the direction of the text after them."""


def printable(text: str) -> str:
    r"""Put a text on one line and leave out what would steer a terminal.

    Examples
    --------
    >>> printable("two\nlines \x1b[31mred")
    'two lines [31mred'
    """
    return re.sub(STEERING, "", " ".join(text.split()))


def show_note(text: str) -> None:
    """Show one line on stderr that is no error."""
    print(f"note: {printable(mask_secrets(text))}", file=sys.stderr)  # noqa: T201


def mask_secrets(text: str) -> str:
    """Replace user names, passwords and tokens of addresses in a text.

    Examples
    --------
    >>> mask_secrets("http://ann:secret@host:5000/a?token=x&b=1")
    'http://***@host:5000/a?token=***&b=1'
    """
    text = re.sub(r"(://)[^\s'\"]+@", r"\1***@", text)
    return re.sub(r"(?i)([?&](?:password|passwd|token|secret|api_key)=)[^&\s'\"]+", r"\1***", text)


class _MaskingFormatter(logging.Formatter):
    """Writes records, tracebacks included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_secrets(super().format(record))


class _LogFile(logging.FileHandler):
    """A log file whose disk may fill up: that is said once, and stops no command."""

    refused = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.refused:
            show_note(f"the log {self.baseFilename} takes no more: {sys.exception()}.")
        self.refused = True

    def close(self) -> None:
        with suppress(OSError):
            super().close()


class RunLog:
    """What this run wrote to the log, besides the file that all runs share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stream = io.StringIO()

    def text(self) -> str:
        """Everything logged so far."""
        return self.stream.getvalue()


@contextmanager
def log_to(folder: Path) -> Iterator[RunLog]:
    """Write the log of `src.v2` to ``train.log`` in a folder, from debug upward.

    Raises
    ------
    OmninmoError
        When the file cannot be written.
    """
    run_log = RunLog(folder / LOG_NAME)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _LogFile(run_log.path, encoding="utf-8")
    except OSError as error:
        raise OmninmoError(
            f"The log {run_log.path} cannot be written: {error.strerror}. "
            "Name another folder with --paths.logs-dir."
        ) from error
    handlers: tuple[logging.Handler, ...] = (file, logging.StreamHandler(run_log.stream))
    form = _MaskingFormatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
    for handler in handlers:
        handler.setFormatter(form)
        log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        yield run_log
    except BaseException as error:
        log.debug("ended by an error", exc_info=True)
        if isinstance(error, Exception) and not isinstance(error, OmninmoError):
            error.add_note(f"the traceback is in {run_log.path}")
        raise
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


class Stages:
    """Wall seconds by stage of a run, in order.

    Parameters
    ----------
    live
        Show the running stage on a terminal's last line, and wipe it when the stage ends.
    """

    def __init__(self, *, live: bool = False) -> None:
        self.seconds: dict[str, float] = {}
        self._running = ""
        self._live = live and sys.stderr.isatty()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; a name used twice adds up."""
        start = time.perf_counter()
        self._running = f"{name} …"
        self._show(self._running)
        try:
            yield
        finally:
            self._running = ""
            self._show("")
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            log.info("%s took %.2f s", name, spent)

    def note(self, text: str) -> None:
        """Show a note on a line of its own, above the running stage."""
        self._show("")
        show_note(text)
        self._show(self._running)

    def _show(self, text: str) -> None:
        if self._live:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()


Track = Callable[[Iterable[object], str, int], Iterable[object]]
"""Shows progress over an iterable: (steps, description, how many)."""


def no_progress[T](steps: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Show nothing."""
    return steps


def progress_bar[T](steps: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Show a bar on stderr that vanishes at the end, and nothing without a terminal."""
    if not sys.stderr.isatty():
        yield from steps
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(
        steps,
        description=description,
        total=total,
        transient=True,
        console=Console(stderr=True),
    )


def _with_notes(error: BaseException) -> str:
    notes = getattr(error, "__notes__", [])
    return " ".join([str(error) or type(error).__name__, *(f"({note})" for note in notes)])
