"""Loaded by workers started on this machine: what XGBoost prints there is of use to nobody.

Errors of tasks travel to the main process by themselves, and are shown there.
"""

from __future__ import annotations

import os
from typing import Any


def dask_setup(worker: Any) -> None:
    """Send what the worker prints to nowhere; Dask calls this when the worker starts."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
