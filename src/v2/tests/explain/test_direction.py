"""The one quantity that is explained: a weighted sum of margins, and how it is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.v2.config import LabelConfig
from src.v2.explain.direction import quantity_name, signed_values, write_contribution
from src.v2.modeling.labels import plan_label


@given(st.integers(2, 9), st.integers(0, 10_000))
def test_weights_rise_evenly_sum_to_0_and_those_above_0_to_1(outputs: int, seed: int) -> None:
    found = signed_values(np.eye(outputs))
    assert np.ptp(np.diff(found)) < 1e-12 and found[-1] > 0
    assert found.sum() == pytest.approx(0, abs=1e-12)
    assert found[found > 0].sum() == pytest.approx(1)
    values = np.random.default_rng(seed).normal(size=(4, outputs, 3))
    got = signed_values(values)
    assert got.shape == (4, 3)
    np.testing.assert_allclose(got, np.einsum("rof,o->rf", values, found), atol=1e-12)


@given(st.integers(2, 9), st.floats(-1e3, 1e3))
def test_what_all_margins_share_does_not_count(outputs: int, shift: float) -> None:
    margins = np.random.default_rng(outputs).normal(size=(5, outputs))
    np.testing.assert_allclose(signed_values(margins + shift), signed_values(margins), atol=1e-9)
    assert (signed_values(np.full((2, outputs), np.float32(shift))) == 0).all()


def test_five_classes_are_two_thirds_of_the_ends_and_one_third_of_their_neighbours() -> None:
    margins = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    found = signed_values(margins)
    assert found.dtype == np.float32
    ends, inner = margins[:, 4] - margins[:, 0], margins[:, 3] - margins[:, 1]
    np.testing.assert_allclose(found, (2 * ends + inner) / 3, rtol=1e-5, atol=1e-6)


def test_one_margin_and_two_stand_as_they_are() -> None:
    values = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(signed_values(values[:, :1]), values[:, 0])
    np.testing.assert_array_equal(signed_values(values), values[:, 1] - values[:, 0])


def test_classes_have_a_quantity_that_names_all_of_them() -> None:
    plan = plan_label(LabelConfig(mode="classification", classes="rating"), 50)
    assert quantity_name(plan) == "log-odds of higher over lower classes"
    assert write_contribution(0.25, quantity_name(plan)) == "+0.250 log-odds"


@pytest.mark.parametrize("quantity", ["excess return", "log-odds of up", "rank within the date"])
def test_a_contribution_that_is_rounded_to_nothing_has_no_sign(quantity: str) -> None:
    for value in (-1e-6, 1e-6, -0.0):
        assert write_contribution(value, quantity)[0] == "0"
    assert write_contribution(-0.01, quantity)[0] == "-"
