"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from src.v2.tests.workplace import Workplace

# Read by OpenMP when it is first loaded; waiting threads that spin slow parallel tests down.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A make that a test starts would take itself for one inside `make test`, and print its folders.
for name in [name for name in os.environ if name.startswith("MAKE") or name == "MFLAGS"]:
    del os.environ[name]

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def make_workplace(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Workplace]:
    """Make workplaces whose paths hold a space."""
    from src.v2.tests.workplace import Workplace

    return lambda: Workplace(tmp_path_factory.mktemp("a workplace"))


@pytest.fixture(scope="session")
def noise_workplace(make_workplace: Callable[[], Workplace]) -> Workplace:
    """Give a workplace with one regression and one classification run on random walks.

    The second is registered, as version 1, and asks to be champion.
    """
    from src.v2.tests.synthetic import random_walk_bars

    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(24, 1100, 11, ohlcv=True))
    assert place.train(bars) == 0
    assert place.train(bars, "--mode", "classification", "--register") == 0
    return place
