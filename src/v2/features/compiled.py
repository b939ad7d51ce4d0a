"""How the kernels are compiled: once a machine, without Python's lock, NaN kept as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Out = NDArray[Any]
"""One row an output."""

Bounds = NDArray[np.int64]
"""First row of each ticker, and the number of rows at the end."""


def compiled[F: Callable[..., Any]](function: F) -> F:
    """Compile a function at its first call, and keep the result on disk where a folder allows it.

    Parameters
    ----------
    function
        Over arrays that can be written to: read-only ones would be compiled for once more.
    """
    try:
        return cast(F, numba.njit(nogil=True, cache=True, error_model="numpy")(function))
    except RuntimeError:  # neither the source's folder nor the user's own can be written to
        return cast(F, numba.njit(nogil=True, error_model="numpy")(function))
