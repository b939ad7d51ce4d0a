"""Columns that come from a compiled kernel rather than from a Polars expression.

A record names a call of a kernel and one of its outputs; records of the same call share it.
Nothing here compiles anything: `src.v2.features.kernel_table` holds the kernels themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

OUTPUTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sums": ("sum", "mean"),
        "moments": ("mean", "deviation"),
        "known_moments": ("sum", "mean", "deviation"),
        "lines": ("mean", "deviation", "slope"),
        "pairs": ("mean", "other_mean", "deviation", "other_deviation", "covariance"),
        "shapes": ("skewness", "kurtosis"),
        "extremes": ("extreme", "age"),
        "falls": ("fall",),
        "quantiles": ("low", "high", "rank"),
        "distances": ("distance",),
        "lags": ("value",),
        "totals": ("total",),
        "decaying_means": ("mean",),
        "wilder_means": ("mean",),
        "alpha_levels": ("roc", "ma", "std", "beta", "rsqr", "resi"),
        "alpha_extremes": ("extreme", "time"),
        "alpha_ranges": ("rsv", "imxd"),
        "alpha_orders": ("qtlu", "qtld", "rank"),
        "alpha_counts": ("cntp", "cntn", "cntd"),
        "alpha_movements": ("p", "n", "d"),
        "alpha_correlations": ("corr",),
        "alpha_amounts": ("vma", "vstd", "wvma"),
    }
)
"""The outputs of each kernel, in the order in which it fills them."""


@dataclass(frozen=True, slots=True)
class KernelCall:
    """One run of a kernel over the rows of whole tickers.

    Parameters
    ----------
    kernel
        One of `OUTPUTS`.
    sources
        Columns that it reads.
    settings
        What follows them: most often a window in rows.
    """

    kernel: str
    sources: tuple[str, ...]
    settings: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class KernelColumn:
    """One output of a call."""

    call: KernelCall
    output: int


def kernel_columns(call: KernelCall, **names: str) -> dict[str, KernelColumn]:
    """Name outputs of a call.

    Parameters
    ----------
    call
        Shared by all the columns.
    **names
        For each output wanted, the name of its column.

    Examples
    --------
    >>> call = KernelCall("moments", ("return",), (20,))
    >>> kernel_columns(call, deviation="deviation_20")["deviation_20"].output
    1
    """
    order = OUTPUTS[call.kernel]
    return {name: KernelColumn(call, order.index(output)) for output, name in names.items()}
