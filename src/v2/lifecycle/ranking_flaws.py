"""What no file of the prediction log can hold unless it was damaged or made by another hand."""

from __future__ import annotations

import datetime as dt

import polars as pl

ALWAYS = (
    *("schema_version", "made_at", "model", "model_id", "mode", "forward_days", "entry_lag"),
    *("data_fingerprint", "in_sample", "hindsight", "date", "rank", "ticker"),
)
"""Columns that have a value in every row."""

SPAN = dt.date(1900, 1, 1), dt.date(2200, 1, 1)
"""Between which days dates can be; Python has no date for many others that a file can hold."""


def find_flaw(part: pl.DataFrame) -> str | None:
    """Say what no ranking that was logged can have.

    Parameters
    ----------
    part
        A file's rows, with the columns and types of `src.v2.lifecycle.prediction_log.KINDS`.

    Returns
    -------
    str or None
        The first flaw in words: no rows, a null where a value always is, or a date outside
        `SPAN`. None without a flaw.
    """
    if part.is_empty():
        return "it has no rows"
    for name in ALWAYS:
        if part[name].null_count():
            return f"{name} must have a value in every row"
    for name in ("date", "made_at"):
        if not part[name].cast(pl.Date).is_between(*SPAN).all():
            return f"{name} must lie between {SPAN[0]} and {SPAN[1]}"
    return None
