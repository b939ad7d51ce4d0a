"""Made-up training results for the pictures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from src.v2.records import TrainingResult
from src.v2.tests.results import make_result


@pytest.fixture(scope="session")
def result_of() -> Callable[..., TrainingResult]:
    """Give the maker of made-up results."""
    return make_result
