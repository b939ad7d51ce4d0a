"""One side of the features benchmark, in a process of its own.

    python -m benchmarks.features_side SIDE BARS.parquet [OUT.parquet]

The last line is JSON: wall and CPU seconds from bars in memory to finished columns, the peak
memory of the process (GiB) and the number of columns. Imports, conversions and compilation are
not counted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from benchmarks.measure import CORES, peak_gib, timed, versions

Found = tuple[pl.DataFrame | None, dict[str, float], int]
LIBRARIES = {
    "limit": ("numba",),
    "pandas": ("pandas",),
    "mlforecast": ("mlforecast", "coreforecast"),
    "qlib": ("pyqlib",),
}
"""What a side is made of, beside the libraries that all share."""


def main(argv: Sequence[str]) -> dict[str, Any]:
    """Measure a side, and write what it found where a file is named."""
    side, source, *out = argv
    bars = pl.read_parquet(source)
    if side.startswith("qlib"):
        found, seconds, columns = _qlib(side, bars)
    else:
        found, seconds, columns = SIDES[side](bars)
    peak = peak_gib()
    if out and found is not None:
        found.write_parquet(out[0])
    made_of = versions(LIBRARIES.get(side.split("-")[0], ()))
    return {**seconds, "peak": peak, "columns": columns, "versions": made_of}


def _ours(bars: pl.DataFrame) -> Found:
    """Compute the family alpha158 as training does."""
    from src.v2.features.alpha158 import alpha158_features, qlib_name
    from src.v2.features.compute import compute_features

    features = alpha158_features()
    compute_features(bars.head(200), features)
    table, seconds = timed(lambda: compute_features(bars, features))
    names = {item.name: qlib_name(item.name) for item in features}
    return table.frame.rename(names), seconds, len(features)


def _default(bars: pl.DataFrame) -> Found:
    """Compute the default families as training does."""
    from src.v2.config import FeaturesConfig
    from src.v2.features.compute import compute_features
    from src.v2.features.families import active_features

    features = active_features(FeaturesConfig())
    compute_features(bars.head(200), features)
    table, seconds = timed(lambda: compute_features(bars, features))
    return None, seconds, table.frame.width - 2


def _limit(bars: pl.DataFrame) -> Found:
    """Run the kernel that was written for the set."""
    import numpy as np

    from benchmarks.alpha158_limit import alpha158_limit
    from src.v2.features.alpha158 import alpha158_features, qlib_name

    bars = bars.sort("ticker", "date")
    fields = bars.select("open", "high", "low", "close", "volume", "vwap").cast(pl.Float64)
    arrays = np.ascontiguousarray(fields.to_numpy().T)
    counts = bars["ticker"].rle().struct.field("len").to_numpy()
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    alpha158_limit(arrays[:, : offsets[1]].copy(), offsets[:2])
    found, seconds = timed(lambda: alpha158_limit(arrays, offsets))
    names = [qlib_name(item.name) for item in alpha158_features()]
    columns = [pl.Series(name, values) for name, values in zip(names, found, strict=True)]
    return bars.select("date", "ticker").hstack(columns), seconds, len(names)


def _pandas(bars: pl.DataFrame) -> Found:
    """Compute the factors with pandas' groupby and rolling."""
    from benchmarks.features_pandas import pandas_factors

    frame = bars.cast({pl.Float32: pl.Float64}).to_pandas()
    table, seconds = timed(lambda: pandas_factors(frame))
    found = pl.from_pandas(table).with_columns(pl.col("date").cast(pl.Date))
    return found, seconds, found.width - 2


def _mlforecast(bars: pl.DataFrame) -> Found:
    """Compute the factors that mlforecast can express."""
    from benchmarks.features_mlforecast import EXPRESSIBLE, mlforecast_factors

    mlforecast_factors(bars.head(200), 1)
    cores = min(CORES, len(os.sched_getaffinity(0)))
    found, seconds = mlforecast_factors(bars, cores)
    return found, seconds, EXPRESSIBLE


def _qlib(side: str, bars: pl.DataFrame) -> Found:
    """Compute the factors with qlib: ``qlib-expressions-2`` is its engine on 2 kernels."""
    from benchmarks.features_qlib import qlib_factors

    _, what, kernels = side.split("-")
    found, seconds = qlib_factors(bars, int(kernels), handler=what == "handler")
    return found, seconds, 158


SIDES: dict[str, Callable[[pl.DataFrame], Found]] = {
    "ours": _ours,
    "default": _default,
    "limit": _limit,
    "pandas": _pandas,
    "mlforecast": _mlforecast,
}

if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
