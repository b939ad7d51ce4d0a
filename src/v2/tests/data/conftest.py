"""Yahoo, played by a local server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from src.v2.tests.data.yahoo_server import YahooServer, redirect


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[YahooServer]:
    """Send every request for a host of Yahoo to the local server."""
    local = YahooServer()
    redirect(local.url, monkeypatch.setattr)
    yield local
    local.close()
