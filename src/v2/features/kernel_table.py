"""The kernels by name, and how one is run. Importing this imports numba."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.v2.features import alpha158_kernels, recursions, window_order, window_sums
from src.v2.features.compiled import Bounds
from src.v2.features.kernel_columns import OUTPUTS, KernelCall
from src.v2.features.scratch import Scratch

Kernel = Callable[..., None]

WINDOWED: Mapping[str, Kernel] = MappingProxyType(
    {
        "sums": window_sums.sums,
        "moments": window_sums.moments,
        "known_moments": window_sums.known_moments,
        "lines": window_sums.lines,
        "pairs": window_sums.pairs,
        "shapes": window_sums.shapes,
        "extremes": window_order.extremes,
        "falls": window_order.falls,
        "quantiles": window_order.quantiles,
        "distances": window_order.distances,
        "lags": recursions.lags,
        "totals": recursions.totals,
        "decaying_means": recursions.decaying_means,
        "wilder_means": recursions.wilder_means,
    }
)
"""Kernels that read other rows of the ticker: columns, bounds, settings, 64-bit output."""

ROWWISE: Mapping[str, Kernel] = MappingProxyType(
    {
        "alpha_levels": alpha158_kernels.levels,
        "alpha_extremes": alpha158_kernels.extremes,
        "alpha_ranges": alpha158_kernels.ranges,
        "alpha_orders": alpha158_kernels.orders,
        "alpha_counts": alpha158_kernels.counts,
        "alpha_movements": alpha158_kernels.movements,
        "alpha_correlations": alpha158_kernels.correlations,
        "alpha_amounts": alpha158_kernels.amounts,
    }
)
"""Kernels that read one row at a time and make finished features: 32-bit output, no bounds."""


def new_block(call: KernelCall, rows: int, working: Scratch, finished: Scratch) -> NDArray[Any]:
    """Return memory for the outputs of a call: one row each, in the order of `OUTPUTS`."""
    outputs = len(OUTPUTS[call.kernel])
    if call.kernel in ROWWISE:
        return finished.block(outputs, rows, np.float32)
    return working.block(outputs, rows)


def run_kernels(
    blocks: Mapping[KernelCall, NDArray[Any]],
    columns: Mapping[str, NDArray[np.float64]],
    bounds: Bounds,
) -> None:
    """Run some kernels one after the other.

    Parameters
    ----------
    blocks
        What each call fills, from `new_block`.
    columns
        Holds their sources, whole tickers in date order, NaN where missing.
    bounds
        First row of each ticker, and the number of rows at the end.
    """
    for call, block in blocks.items():
        sources = [columns[name] for name in call.sources]
        if call.kernel in ROWWISE:
            ROWWISE[call.kernel](*sources, *call.settings, block)
        else:
            WINDOWED[call.kernel](*sources, bounds, *call.settings, block)
