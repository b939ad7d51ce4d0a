"""What every command shares: the log, progress, signals and the way errors are shown."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from src.v2.errors import Interrupted, OmninmoError

log = logging.getLogger("src.v2")

LOG_NAME = "train.log"


def run_command(command: Callable[[Sequence[str]], int], argv: Sequence[str] | None = None) -> int:
    """Run a command and turn its end into an exit code.

    An error of ours is one line on stderr and its own code; any other error is one line and
    code 1; both leave their traceback in the log file. Ctrl-C gives 130, SIGTERM 143.
    """
    # Threads of XGBoost that wait by spinning take a core each from whatever else runs: a
    # fit on a busy machine took 10 times as long. Read when the library is first loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return command(sys.argv[1:] if argv is None else argv)
    except OmninmoError as error:
        show_error(_with_notes(error))
        return error.exit_code
    except KeyboardInterrupt:
        show_error("interrupted; nothing half-written is left behind.")
        return 130
    except Interrupted as error:
        show_error(f"{error}; nothing half-written is left behind.")
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        show_error(f"unexpected {type(error).__name__}: {_with_notes(error)}")
        return 1
    finally:
        signal.signal(signal.SIGTERM, previous)


def show_error(text: str) -> None:
    """Show one line on stderr."""
    print(f"error: {' '.join(text.split())}", file=sys.stderr)  # noqa: T201


def show_note(text: str) -> None:
    """Show one line on stderr that is no error."""
    print(f"note: {' '.join(text.split())}", file=sys.stderr)  # noqa: T201


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
        file = logging.FileHandler(run_log.path, encoding="utf-8")
    except OSError as error:
        raise OmninmoError(
            f"The log {run_log.path} cannot be written: {error.strerror}. "
            "Name another folder with --paths.logs-dir."
        ) from error
    handlers: tuple[logging.Handler, ...] = (file, logging.StreamHandler(run_log.stream))
    form = logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
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
    """Wall seconds by stage of a run, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; a name used twice adds up."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            log.info("%s took %.2f s", name, spent)


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


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted(signal.Signals(number).name, 128 + number)


def _with_notes(error: BaseException) -> str:
    notes = getattr(error, "__notes__", [])
    return " ".join([str(error) or type(error).__name__, *(f"({note})" for note in notes)])
