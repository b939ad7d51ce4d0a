"""Drift against training: slow references, and features whose drift is planted."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal, stats

from src.v2.config import MonitorConfig
from src.v2.explain.drift import sorted_psi
from src.v2.explain.drift_reference import (
    WINDOW_SESSIONS,
    benjamini_hochberg,
    drift_reference,
    measure_drift,
    usual_distance,
)
from src.v2.lifecycle.state_checks import check_drift
from src.v2.modeling.panel import Panel
from src.v2.tests.lifecycle.made_up import make_card

Values = npt.NDArray[np.float64]
NAMES = ("market", "rank", "own")
TICKERS = 8
TRAINED = 1000
"""Sessions fitted on; every fifth of them has rows, as a stride leaves them."""


def panel(values: npt.NDArray[Any], session: npt.NDArray[Any], names: tuple[str, ...]) -> Panel:
    """Make what the reference reads of a panel."""
    made = SimpleNamespace(session=session, feature_rows=values.astype(np.float32), names=names)
    return cast(Panel, made)


def persistent(rng: np.random.Generator, carried: float, shape: tuple[int, int]) -> Values:
    """Make series that carry a share of their last value on; their spread is 1."""
    steps = rng.normal(size=shape)
    steps[1:] *= (1 - carried**2) ** 0.5
    return np.asarray(signal.lfilter([1.0], [1.0, -carried], steps, axis=0))


@functools.cache
def features(seed: int) -> Values:
    """Make a slow value of the market, a rank, and slow values of tickers of their own level."""
    rng = np.random.default_rng(seed)
    sessions = TRAINED + 100
    market = np.repeat(persistent(rng, 0.97, (sessions, 1)), TICKERS, axis=1)
    own = persistent(rng, 0.9, (sessions, TICKERS)) + rng.normal(size=TICKERS)
    return np.stack([market, rng.random((sessions, TICKERS)), own], axis=2)


@functools.cache
def reference_of(seed: int) -> pl.DataFrame:
    """Describe the training rows of a panel."""
    trained = np.arange(0, TRAINED, 5)
    rows = features(seed)[trained].reshape(-1, len(NAMES))
    window = panel(rows, np.repeat(trained, TICKERS), NAMES)
    return drift_reference(window, {"market": 0.5, "rank": 0.3, "own": 0.2})


def newest(seed: int) -> Values:
    """Give the newest quarter of the same panel."""
    return features(seed)[-WINDOW_SESSIONS:].copy()


def drifted(seed: int, values: Values, **changes: Any) -> tuple[str, set[str]]:
    """Look at newest values: the outcome, and the features named."""
    rows = pl.DataFrame(values.reshape(-1, len(NAMES)), schema=list(NAMES)).with_columns(
        pl.Series("date", np.repeat(np.arange(len(values)), TICKERS)).cast(pl.Date)
    )
    card = make_card(features=NAMES)
    check, moves = check_drift(reference_of(seed), rows, card, MonitorConfig(**changes))
    return check.outcome, {move.feature for move in moves if move.drifted}


def test_what_has_not_drifted_raises_no_alarm_in_95_of_100_panels() -> None:
    found = [drifted(seed, newest(seed))[0] for seed in range(200)]
    assert set(found) <= {"ok", "alarm"}
    assert found.count("alarm") <= 10


def test_the_index_alone_would_have_raised_one_in_nearly_every_panel() -> None:
    psi = []
    for seed in range(20):
        values = newest(seed).reshape(-1, len(NAMES)).astype(np.float32)
        psi.append(measure_drift(reference_of(seed), values, np.arange(len(values)))["psi"])
    assert np.mean([each[0] > 0.25 for each in psi]) > 0.8


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("place", "name"), [(1, "rank"), (2, "own")])
def test_a_feature_that_drifted_is_named(seed: int, place: int, name: str) -> None:
    values = newest(seed)
    values[..., place] = values[..., place] ** 3 if name == "rank" else values[..., place] + 4
    assert drifted(seed, values) == ("alarm", {name})


def test_a_feature_that_went_missing_is_named() -> None:
    values = newest(1)
    values[..., 2] = np.nan
    assert drifted(1, values) == ("alarm", {"own"})


def test_a_feature_that_does_not_matter_raises_nothing() -> None:
    values = newest(1)
    values[..., 2] += 4
    assert drifted(1, values, importance=0.25) == ("ok", set())


def test_too_short_a_training_window_cannot_tell() -> None:
    rng = np.random.default_rng(1)
    session = np.repeat(np.arange(300), 4)
    window = panel(rng.normal(size=(1200, 1)), session, ("a",))
    reference = drift_reference(window, {"a": 1.0})
    assert reference["distances"].list.len().to_list() == [4]
    rows = pl.DataFrame({"a": rng.normal(5, 1, 252), "date": [0] * 252}).cast({"date": pl.Date})
    check, (move,) = check_drift(reference, rows, make_card(features=("a",)), MonitorConfig())
    assert check.outcome == "too early" and "too few quarters" in check.evidence
    words = "1 of the model's 1 features have at least 1.0% of the trees' gain in the walk-forward"
    assert words in check.evidence
    assert move.psi > 1 and np.isnan(move.p)


def test_a_model_without_a_reference_says_so() -> None:
    rows = pl.DataFrame({"a": [1.0], "b": [2.0], "date": [0]}).cast({"date": pl.Date})
    check, moves = check_drift(None, rows, make_card(), MonitorConfig())
    assert check.outcome == "too early" and "train again" in check.evidence
    assert moves == ()


def test_distances_are_those_of_plain_distribution_functions() -> None:
    values = features(7)[:TRAINED, :, 2].ravel().astype(np.float32)
    values[::11] = np.nan
    session = np.repeat(np.arange(TRAINED), TICKERS)
    reference = drift_reference(panel(values[:, None], session, ("own",)), {})
    known = np.where(np.isnan(values), 1e9, values)
    found = reference["distances"][0].to_list()
    assert len(found) == TRAINED // WINDOW_SESSIONS
    for block, distance in enumerate(found):
        inside = (TRAINED - 1 - session) // WINDOW_SESSIONS == block
        exact = stats.ks_2samp(known[inside], known[~inside]).statistic
        assert distance == pytest.approx(exact, abs=0.012)
        assert distance <= exact + 1e-12


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_the_index_is_that_of_the_report(seed: int, few: bool) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=2000).astype(np.float32)
    later = rng.normal(0.3, 1.2, 500).astype(np.float32)
    if few:
        values, later = values.round(), later.round()
    values[rng.random(2000) < 0.1] = np.nan
    reference = drift_reference(panel(values[:, None], np.arange(2000) // 4, ("a",)), {})
    found = measure_drift(reference, later[:, None], np.arange(500))
    assert found["psi"][0] == pytest.approx(sorted_psi(np.sort(values), np.sort(later)))


@given(st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), min_size=1, max_size=30))
def test_adjusted_chances_are_those_of_scipy(chances: list[float]) -> None:
    p = np.array(chances)
    known = np.isfinite(p)
    found = benjamini_hochberg(p)
    assert np.isnan(found[~known]).all()
    if known.any():
        assert found[known] == pytest.approx(stats.false_discovery_control(p[known]))


def test_a_usual_distance_has_an_even_chance() -> None:
    known = np.exp(np.random.default_rng(1).normal(size=20))
    usual, p = usual_distance(float(np.exp(np.log(known).mean())), known)
    assert usual == pytest.approx(np.exp(np.log(known).mean()))
    assert p == pytest.approx(0.5)
    assert usual_distance(1e3, known)[1] < 0.001
    assert np.isnan(usual_distance(0.5, known[:7])[1])


def test_the_reference_survives_a_file_bit_by_bit(tmp_path: Any) -> None:
    reference = reference_of(3)
    reference.write_parquet(tmp_path / "r.parquet")
    again = pl.read_parquet(tmp_path / "r.parquet")
    assert again.equals(reference)
    values = newest(3).reshape(-1, len(NAMES)).astype(np.float32)
    day = np.repeat(np.arange(WINDOW_SESSIONS), TICKERS)
    assert measure_drift(again, values, day).equals(measure_drift(reference, values, day))
