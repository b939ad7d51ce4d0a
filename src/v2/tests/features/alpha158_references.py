"""Slow, obvious twins of the factors of Alpha158, from qlib's formulas."""

from __future__ import annotations

import numpy as np
from scipy import stats

from src.v2.tests.features.references import (
    Array,
    Reference,
    correlation,
    lagged,
    line,
    mean,
    rolling,
    std,
)

Columns = dict[str, Array]
EPSILON = 1e-12
WINDOWS = (5, 10, 20, 30, 60)


def bar_references() -> dict[str, Reference]:
    """Return the factors of one bar."""
    return {
        "kmid": lambda c: (c["close"] - c["open"]) / c["open"],
        "klen": lambda c: (c["high"] - c["low"]) / c["open"],
        "kmid2": lambda c: (c["close"] - c["open"]) / _range(c),
        "kup": lambda c: (c["high"] - np.maximum(c["open"], c["close"])) / c["open"],
        "kup2": lambda c: (c["high"] - np.maximum(c["open"], c["close"])) / _range(c),
        "klow": lambda c: (np.minimum(c["open"], c["close"]) - c["low"]) / c["open"],
        "klow2": lambda c: (np.minimum(c["open"], c["close"]) - c["low"]) / _range(c),
        "ksft": lambda c: (2 * c["close"] - c["high"] - c["low"]) / c["open"],
        "ksft2": lambda c: (2 * c["close"] - c["high"] - c["low"]) / _range(c),
        "open_0": lambda c: c["open"] / c["close"],
        "high_0": lambda c: c["high"] / c["close"],
        "low_0": lambda c: c["low"] / c["close"],
    }


def rolling_references(window: int) -> dict[str, Reference]:
    """Return the factors of a window."""
    return _of_prices(window) | _of_places(window) | _of_flows(window)


def _range(c: Columns) -> Array:
    return c["high"] - c["low"] + EPSILON


def _of_prices(w: int) -> dict[str, Reference]:
    def over_close(function: Reference) -> Reference:
        return lambda c: function(c) / c["close"]

    def residual(part: Array) -> float:
        time = np.arange(len(part))
        slope, start = np.polyfit(time, part, 1)
        return float(part[-1] - start - slope * time[-1])

    return {
        "roc": over_close(lambda c: lagged(c["close"], w)),
        "ma": over_close(lambda c: mean(c["close"], w)),
        "std": over_close(lambda c: std(c["close"], w)),
        "beta": over_close(lambda c: rolling(w, lambda part: line(part)[0], c["close"])),
        "rsqr": lambda c: rolling(w, lambda part: line(part)[1], c["close"]),
        "resi": over_close(lambda c: rolling(w, residual, c["close"])),
        "max": over_close(lambda c: rolling(w, np.max, c["high"])),
        "min": over_close(lambda c: rolling(w, np.min, c["low"])),
        "qtlu": over_close(lambda c: rolling(w, lambda part: np.quantile(part, 0.8), c["close"])),
        "qtld": over_close(lambda c: rolling(w, lambda part: np.quantile(part, 0.2), c["close"])),
    }


def _of_places(w: int) -> dict[str, Reference]:
    def rank(part: Array) -> float:
        return float(stats.rankdata(part)[-1] / len(part))

    def place(high: Array, low: Array, close: Array) -> float:
        return float((close[-1] - low.min()) / (high.max() - low.min() + EPSILON))

    def of_high(c: Columns) -> Array:
        return rolling(w, lambda part: (np.argmax(part) + 1) / w, c["high"])

    def of_low(c: Columns) -> Array:
        return rolling(w, lambda part: (np.argmin(part) + 1) / w, c["low"])

    return {
        "rank": lambda c: rolling(w, rank, c["close"]),
        "rsv": lambda c: rolling(w, place, c["high"], c["low"], c["close"]),
        "imax": of_high,
        "imin": of_low,
        "imxd": lambda c: of_high(c) - of_low(c),
    }


def _of_flows(w: int) -> dict[str, Reference]:
    def moves(name: str, weight_up: int, weight_down: int) -> Reference:
        def part_of(change: Array) -> float:
            up, down = np.maximum(change, 0).sum(), np.maximum(-change, 0).sum()
            return float((weight_up * up + weight_down * down) / (np.abs(change).sum() + EPSILON))

        return lambda c: rolling(w, part_of, c[name] - lagged(c[name], 1))

    def counts(weight_up: int, weight_down: int) -> Reference:
        def part_of(change: Array) -> float:
            return float(np.mean(weight_up * (change > 0) + weight_down * (change < 0)))

        return lambda c: rolling(w, part_of, c["close"] - lagged(c["close"], 1))

    def weighted(part: Array) -> float:
        return float(part.std(ddof=1) / (part.mean() + EPSILON))

    def together(c: Columns) -> Array:
        volumes = np.log(c["volume"] / lagged(c["volume"], 1) + 1)
        return rolling(w, correlation, c["close"] / c["last"], volumes)

    return {
        "corr": lambda c: rolling(w, correlation, c["close"], np.log(c["volume"] + 1)),
        "cord": together,
        "cntp": counts(1, 0),
        "cntn": counts(0, 1),
        "cntd": counts(1, -1),
        "sump": moves("close", 1, 0),
        "sumn": moves("close", 0, 1),
        "sumd": moves("close", 1, -1),
        "vma": lambda c: mean(c["volume"], w) / (c["volume"] + EPSILON),
        "vstd": lambda c: std(c["volume"], w) / (c["volume"] + EPSILON),
        "wvma": lambda c: rolling(w, weighted, np.abs(c["close"] / c["last"] - 1) * c["volume"]),
        "vsump": moves("volume", 1, 0),
        "vsumn": moves("volume", 0, 1),
        "vsumd": moves("volume", 1, -1),
    }
