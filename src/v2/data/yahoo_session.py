"""The client of Yahoo Finance, made quiet, and held to our time limits."""

from __future__ import annotations

import atexit
import functools
import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

from src.v2.run_folders import temporary_folder

_LOG = logging.getLogger(__name__)


@contextmanager
def quiet_yfinance() -> Iterator[ModuleType]:
    """Import yfinance, make it raise, and keep its remarks in our debug log."""
    logger = logging.getLogger("yfinance")
    handler = _ToDebugLog()
    with warnings.catch_warnings():
        import yfinance

        # After the import, which sets filters of its own.
        warnings.simplefilter("ignore")
        yfinance.set_tz_cache_location(_private_folder())
        hidden, passed_on = yfinance.config.debug.hide_exceptions, logger.propagate
        yfinance.config.debug.hide_exceptions = False
        logger.propagate = False
        logger.addHandler(handler)
        try:
            yield yfinance
        finally:
            logger.removeHandler(handler)
            logger.propagate = passed_on
            yfinance.config.debug.hide_exceptions = hidden


class _ToDebugLog(logging.Handler):
    """Passes another library's remarks on, all as debug messages."""

    def emit(self, record: logging.LogRecord) -> None:
        _LOG.debug("yfinance: %s", record.getMessage())


@functools.cache
def _private_folder() -> str:
    """Make a folder for yfinance's caches, removed at the end.

    Its cookie cache is a pickle, so no folder that others can write to will do.
    """
    kept = ExitStack()
    folder = kept.enter_context(temporary_folder("omninmo-yfinance-"))
    atexit.register(kept.close)
    return str(folder)


def cap_timeouts(session: Any, most: float) -> None:
    """Hold the requests that yfinance makes on its own to our time limit as well."""
    request = session.request

    def capped(*args: Any, **kwargs: Any) -> Any:
        asked = kwargs.get("timeout")
        kwargs["timeout"] = min(asked, most) if isinstance(asked, int | float) else most
        return request(*args, **kwargs)

    session.request = capped


def forget_answers() -> None:
    """Clear yfinance's memory, which keeps failed answers too."""
    from yfinance.data import YfData

    YfData.cache_get.cache_clear()
