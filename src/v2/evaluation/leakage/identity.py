"""Whether a feature already holds the label."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.v2.evaluation.leakage.finding import Finding, skipped, some_names
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.panel import Panel

ROWS_CORRELATED = 50_000
IDENTICAL = 0.5
"""Correlation with the label from which a feature is the label."""

TELLING = 0.2
CHANCE = 4.0
"""Standard errors that a correlation must stand out by before a limit counts."""

MIN_ROWS = 500
NEARLY_ONE = 0.95
"""Chance is never believed to reach this."""


def probe_label_in_features(
    panel: Panel, plan: LabelPlan, development_end: int, own: Sequence[str], seed: int
) -> Finding:
    """Correlate every feature with what it should forecast, on rows of the development sessions.

    A feature fails from 0.5 on, or where it equals a forward return; a warning starts at 0.2.
    A correlation counts only where it also stands out by four standard errors, overlapping
    labels and common moves of the tickers taken into account.

    Parameters
    ----------
    development_end
        First session of the holdout, which stays closed.
    own
        Names of the user's own features, named first.
    """
    places = development_rows(panel, development_end, seed)
    if len(places) < MIN_ROWS:
        return skipped(f"{len(places)} labelled development rows, {MIN_ROWS} are needed")
    future = panel.keys["forward_return"].to_numpy()[places].astype(np.float64)
    label = panel.labels()[places].astype(np.float64)
    columns = np.ascontiguousarray(np.asarray(panel.feature_rows[places]).T)
    session = panel.session[places]
    windows = len(np.unique(session)) / plan.config.span
    tickers = len(places) / len(np.unique(session))
    found: dict[str, tuple[_Correlation, ...]] = {}
    same: list[str] = []
    for position, name in enumerate(panel.names):
        values = columns[position].astype(np.float64)
        if np.isclose(values, future, rtol=1e-4, atol=1e-6).mean() > IDENTICAL:
            same.append(name)
        # What all tickers share, of a feature or of raw returns, is seen once a window.
        alike = _alike_within_dates(values, session) or not plan.cross_sectional
        each = windows * (1 if alike else max(tickers - 1, 1))
        found[name] = (
            _Correlation(abs(correlation(values, label)), CHANCE / math.sqrt(max(each, 1))),
            _Correlation(abs(correlation(values, future)), CHANCE / math.sqrt(max(windows, 1))),
        )
    return _correlated(found, same, own, len(places))


def development_rows(panel: Panel, development_end: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw at most 50,000 rows whose label was known before the holdout; rising positions."""
    may = (panel.label_end >= 0) & (panel.label_end <= development_end)
    places = np.flatnonzero(may)
    if len(places) > ROWS_CORRELATED:
        drawn = np.random.default_rng(seed).choice(places, ROWS_CORRELATED, replace=False)
        places = np.sort(drawn)
    return places


@dataclass(frozen=True, slots=True)
class _Correlation:
    """The size of a correlation, and what chance reaches."""

    size: float
    chance: float

    def above(self, limit: float) -> bool:
        """Say whether it is above a limit, and not by chance."""
        return self.size > max(limit, min(self.chance, NEARLY_ONE))


def _correlated(
    found: Mapping[str, tuple[_Correlation, ...]],
    same: Sequence[str],
    own: Sequence[str],
    rows: int,
) -> Finding:
    size = {name: max(one.size for one in pair) for name, pair in found.items()}
    names = sorted(found, key=lambda name: (name not in own, -size[name]))
    guilty = [n for n in names if n in same or any(one.above(IDENTICAL) for one in found[n])]
    telling = [n for n in names if n not in guilty and any(one.above(TELLING) for one in found[n])]
    top = max(found, key=lambda name: found[name][0].size)
    largest = found[top][0].size
    numbers = {
        "rows": rows,
        "features": len(found),
        "largest_correlation": largest,
        "guilty": len(guilty),
        "telling": len(telling),
    }
    shown = some_names([f"{name} ({size[name]:.2f})" for name in guilty or telling])
    if guilty:
        text = f"these features hold their label (|correlation|): {shown}."
        return Finding("fail", text, numbers)
    if telling:
        text = f"these features correlate with their label above {TELLING}: {shown}."
        return Finding("warn", text, numbers)
    text = f"largest |correlation| of {len(found)} features with the label: {largest:.3f} ({top})."
    return Finding("pass", text, numbers)


def _alike_within_dates(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    session: np.ndarray[tuple[int, ...], np.dtype[np.int32]],
) -> bool:
    """Say whether all tickers of a date share the value (rows sorted by session)."""
    next_to = (session[1:] == session[:-1]) & ~np.isnan(values[1:]) & ~np.isnan(values[:-1])
    return bool(next_to.any() and (values[1:] == values[:-1])[next_to].mean() > 0.99)


def correlation(
    some: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    others: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> float:
    """Pearson's correlation over the rows where both are known; 0 where one never changes."""
    both = ~(np.isnan(some) | np.isnan(others))
    if both.sum() < MIN_ROWS:
        return 0.0
    x, y = some[both] - some[both].mean(), others[both] - others[both].mean()
    length = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / length if length > 0 else 0.0
