"""Alpha158 in pandas as people write it: groupby of the ticker, rolling, column after column.

Only the least-squares line is numpy's. A value is null before its window is full.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

WINDOWS = (5, 10, 20, 30, 60)


def pandas_factors(frame: Any) -> Any:
    """Return the frame's keys and the 158 factors, null before a full window."""
    pandas: Any = import_module("pandas")
    frame = frame.sort_values(["ticker", "date"]).reset_index(drop=True)
    groups = frame.groupby("ticker", sort=False)
    frame["last"] = groups["close"].shift(1)
    frame["move"] = frame["close"] - frame["last"]
    frame["volume_move"] = groups["volume"].diff()
    frame["weighted"] = (frame["close"] / frame["last"] - 1).abs() * frame["volume"]
    frame["log_volume"] = np.log(frame["volume"] + 1)
    frame["price_ratio"] = frame["close"] / frame["last"]
    frame["volume_ratio"] = np.log(frame["volume"] / groups["volume"].shift(1) + 1)
    columns = _bar(frame)
    for window in WINDOWS:
        for name, values in _window(frame, window).items():
            columns[f"{name}{window}"] = values
    return pandas.concat([frame[["date", "ticker"]], pandas.DataFrame(columns)], axis=1)


def _bar(frame: Any) -> dict[str, Any]:
    """Return the factors of one bar."""
    start, high, low, close = (frame[name] for name in ("open", "high", "low", "close"))
    bar = high - low + 1e-12
    top, bottom = np.maximum(start, close), np.minimum(start, close)
    parts = {"MID": close - start, "UP": high - top, "LOW": bottom - low}
    parts["SFT"] = 2 * close - high - low
    columns = {"KLEN": (high - low) / start}
    for name, part in parts.items():
        columns |= {f"K{name}": part / start, f"K{name}2": part / bar}
    prices = {"OPEN0": start, "HIGH0": high, "LOW0": low, "VWAP0": frame["vwap"]}
    return columns | {name: price / close for name, price in prices.items()}


def _window(frame: Any, window: int) -> dict[str, Any]:
    """Return the rolling factors of one window."""
    pandas: Any = import_module("pandas")
    close, volume = frame["close"], frame["volume"]

    def rolling(values: Any) -> Any:
        return values.groupby(frame["ticker"], sort=False).rolling(window)

    def of(values: Any, what: str, *words: Any, **named: Any) -> Any:
        return getattr(rolling(values), what)(*words, **named).reset_index(level=0, drop=True)

    def when(values: Any, what: str) -> Any:
        found = of(values, "apply", lambda part: getattr(part, what)() + 1.0, raw=True)
        return found / window

    def together(left: str, right: str) -> Any:
        groups = frame.groupby("ticker", sort=False)
        parts = [part[left].rolling(window).corr(part[right]) for _, part in groups]
        return pandas.concat(parts)

    line = _line(frame, window)
    high, low = of(frame["high"], "max"), of(frame["low"], "min")
    found = {
        "ROC": frame.groupby("ticker", sort=False)["close"].shift(window) / close,
        "MA": of(close, "mean") / close,
        "STD": of(close, "std") / close,
        "BETA": line["slope"] / close,
        "RSQR": line["fit"],
        "RESI": line["rest"] / close,
        "MAX": high / close,
        "MIN": low / close,
        "QTLU": of(close, "quantile", 0.8) / close,
        "QTLD": of(close, "quantile", 0.2) / close,
        "RANK": of(close, "rank", pct=True),
        "RSV": (close - low) / (high - low + 1e-12),
        "IMAX": when(frame["high"], "argmax"),
        "IMIN": when(frame["low"], "argmin"),
        "CORR": together("close", "log_volume"),
        "CORD": together("price_ratio", "volume_ratio"),
        "VMA": of(volume, "mean") / (volume + 1e-12),
        "VSTD": of(volume, "std") / (volume + 1e-12),
        "WVMA": of(frame["weighted"], "std") / (of(frame["weighted"], "mean") + 1e-12),
    }
    found["IMXD"] = found["IMAX"] - found["IMIN"]
    up, down = ((sign * frame["move"] > 0).where(frame["move"].notna()) for sign in (1, -1))
    found["CNTP"], found["CNTN"] = (of(side.astype(float), "mean") for side in (up, down))
    found["CNTD"] = found["CNTP"] - found["CNTN"]
    for name, move in (("SUM", frame["move"]), ("VSUM", frame["volume_move"])):
        whole = of(move.abs(), "sum") + 1e-12
        rises, falls = of(move.clip(lower=0), "sum"), of((-move).clip(lower=0), "sum")
        found |= {f"{name}P": rises / whole, f"{name}N": falls / whole}
        found[f"{name}D"] = (rises - falls) / whole
    return found


def _line(frame: Any, window: int) -> Any:
    """Return slope, R2 and last residual of the line through each window of closes."""
    pandas: Any = import_module("pandas")
    time_axis = np.arange(window) - (window - 1) / 2

    def of_ticker(close: Any) -> Any:
        table = pandas.DataFrame(np.nan, close.index, ["slope", "fit", "rest"])
        if len(close) >= window:
            views = np.lib.stride_tricks.sliding_window_view(close.to_numpy(), window)
            slope = views @ time_axis / (time_axis @ time_axis)
            mean = views.mean(axis=1)
            fit = slope**2 * (time_axis @ time_axis) / (window * views.var(axis=1))
            rest = views[:, -1] - mean - slope * time_axis[-1]
            table.iloc[window - 1 :] = np.column_stack([slope, fit, rest])
        return table

    parts = [of_ticker(part) for _, part in frame.groupby("ticker", sort=False)["close"]]
    return pandas.concat(parts)
