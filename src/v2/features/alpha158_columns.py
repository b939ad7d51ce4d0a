"""The columns of Alpha158: what its kernels read, each worked out once, and what they make.

They stand beside those of `src.v2.features.shared`, for the family `alpha158` alone. A window
in sessions stands at the end of a name; a name without one is about a single row.
"""

from __future__ import annotations

import polars as pl

from src.v2.features.kernel_columns import KernelCall, KernelColumn, kernel_columns
from src.v2.features.rolling_columns import Columns

ALPHA_WINDOWS = (5, 10, 20, 30, 60)


def alpha_columns() -> Columns:
    """Return the columns by name; one may read another.

    Returns
    -------
    dict
        Expressions over single rows, and outputs of kernels. The ratio of volumes is null
        where the last one is zero.
    """
    volume, last_volume = pl.col("volume"), pl.col("volume_lag_1")
    columns: Columns = {
        "alpha_change": pl.col("close") - pl.col("last_close"),
        "alpha_volume_change": volume - last_volume,
        "alpha_weighted_move": pl.col("absolute_return") * volume,
        "alpha_log_volume": volume.log1p(),
        "alpha_log_volume_ratio": pl.when(last_volume > 0).then(volume / last_volume).log1p(),
    }
    for name in ("alpha_change", "alpha_volume_change"):
        columns[f"{name}_gain"] = pl.col(name).clip(lower_bound=0)
        columns[f"{name}_move"] = pl.col(name).abs()
    for window in ALPHA_WINDOWS:
        columns |= _of_closes(window) | _of_ranges(window) | _of_volumes(window)
        for name, change in (("sum", "alpha_change"), ("vsum", "alpha_volume_change")):
            columns |= _of_movements(name, change, window)
    return columns


def _of_closes(window: int) -> Columns:
    """Return the factors of closes alone."""
    line = [f"alpha_line_{part}_{window}" for part in ("mean", "deviation", "slope")]
    places = [f"alpha_close_{part}_{window}" for part in ("low", "high", "rank")]
    shares = [f"rise_share_{window}", f"fall_share_{window}"]
    lines = KernelCall("lines", ("close",), (window,))
    order = KernelCall("quantiles", ("close",), (window, 0.2, 0.8))
    levels = KernelCall("alpha_levels", ("close", f"close_lag_{window}", *line), (window,))
    orders = KernelCall("alpha_orders", (*places, "close"), (window,))
    return {
        **kernel_columns(lines, mean=line[0], deviation=line[1], slope=line[2]),
        **kernel_columns(order, low=places[0], high=places[1], rank=places[2]),
        **_factors(levels, window, "roc", "ma", "std", "beta", "rsqr", "resi"),
        **_factors(orders, window, "qtlu", "qtld", "rank"),
        **_factors(KernelCall("alpha_counts", tuple(shares)), window, "cntp", "cntn", "cntd"),
    }


def _of_ranges(window: int) -> Columns:
    """Return the factors of highs and lows; of equal extremes the first counts."""
    columns: Columns = {}
    read: list[str] = []
    for price, sign, name in (("high", 1, "max"), ("low", -1, "min")):
        found = [f"alpha_{price}_{window}", f"alpha_{price}_age_{window}"]
        call = KernelCall("extremes", (price,), (window, sign, False))
        columns |= kernel_columns(call, extreme=found[0], age=found[1])
        extremes = KernelCall("alpha_extremes", (*found, "close"), (window,))
        names = {"extreme": f"alpha_{name}_{window}", "time": f"alpha_i{name}_{window}"}
        columns |= kernel_columns(extremes, **names)
        read += found
    ranges = KernelCall("alpha_ranges", (*read, "close"), (window,))
    return columns | _factors(ranges, window, "rsv", "imxd")


def _of_volumes(window: int) -> Columns:
    """Return the factors that read the volume, but those of its changes."""
    columns: Columns = {}
    outputs = ("mean", "deviation", "other_deviation", "covariance")
    for name, left, right in (
        ("corr", "close", "alpha_log_volume"),
        ("cord", "return", "alpha_log_volume_ratio"),
    ):
        read = [f"alpha_{name}_{part}_{window}" for part in outputs]
        both = KernelCall("pairs", (left, right), (window,))
        columns |= kernel_columns(both, **dict(zip(outputs, read, strict=True)))
        found = KernelCall("alpha_correlations", tuple(read), (name == "corr",))
        columns |= kernel_columns(found, corr=f"alpha_{name}_{window}")
    read = ["volume"]
    for source in ("volume", "alpha_weighted_move"):
        call = KernelCall("moments", (source,), (window,))
        names = [f"alpha_of_{source}_{part}_{window}" for part in ("mean", "deviation")]
        columns |= kernel_columns(call, mean=names[0], deviation=names[1])
        read += names
    amounts = KernelCall("alpha_amounts", tuple(read))
    return columns | _factors(amounts, window, "vma", "vstd", "wvma")


def _of_movements(name: str, change: str, window: int) -> Columns:
    """Return the shares of rises and falls in all movement."""
    columns: Columns = {}
    read = [f"{change}_{part}_{window}" for part in ("gain", "move")]
    for part, column in zip(("gain", "move"), read, strict=True):
        call = KernelCall("sums", (f"{change}_{part}",), (window,))
        columns |= kernel_columns(call, sum=column)
    parts = {part: f"alpha_{name}{part}_{window}" for part in ("p", "n", "d")}
    return columns | kernel_columns(KernelCall("alpha_movements", tuple(read)), **parts)


def _factors(call: KernelCall, window: int, *names: str) -> dict[str, KernelColumn]:
    """Name outputs of a kernel that are factors."""
    return kernel_columns(call, **{name: f"alpha_{name}_{window}" for name in names})
