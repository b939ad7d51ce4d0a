"""Which run a page is about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """The run, its code and its libraries.

    Parameters
    ----------
    model
        Name of the model's folder.
    run_id
        Of MLflow; None where the run is not kept there.
    timestamp
        When the run began; the page knows no other clock.
    commit
        Of the code; None outside a repository.
    versions
        Of the libraries that decide the numbers, by name.
    """

    model: str
    run_id: str | None
    timestamp: dt.datetime
    commit: str | None
    versions: Mapping[str, str]
