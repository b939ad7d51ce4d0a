"""A model meets its own features, or is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from src.v2.config import FeaturesConfig
from src.v2.errors import ModelError
from src.v2.features.code_check import code_hash, feature_numbers
from src.v2.modeling.code_match import check_feature_code
from src.v2.tests.modeling.test_model_file import CARD

SETTINGS = FeaturesConfig(families=("momentum",))
NUMBERS = feature_numbers(SETTINGS, ("return_5", "return_20"), with_market=False)
OTHER = {**NUMBERS, "return_20": NUMBERS["return_20"] * 1.001}


def _check(**changes: Any) -> None:
    kept = {"feature_check": NUMBERS, "code_hash": "of other sources", **changes}
    check_feature_code(SETTINGS, dataclasses.replace(CARD, **kept))


def test_sources_that_differ_but_compute_the_same_are_welcome(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _check()
    assert capsys.readouterr().err == ""


def test_equal_sources_need_no_computing() -> None:
    _check(code_hash=code_hash(), feature_check=OTHER)


@pytest.mark.parametrize(
    ("commit", "remedy"),
    [("abc123", "Train again, or .*git checkout abc123"), (None, "its card names no commit")],
)
def test_a_changed_formula_is_refused_by_name(commit: str | None, remedy: str) -> None:
    with pytest.raises(ModelError, match=rf"1 of 2 features .*\(return_20\).*{remedy}"):
        _check(feature_check=OTHER, git_commit=commit)


def test_a_feature_that_is_gone_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"1 of 3 features .*\(once_was\)"):
        _check(feature_check={**NUMBERS, "once_was": 1.0})


def test_an_older_card_is_used_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    _check(feature_check={}, code_hash="")
    assert "does not say which code" in capsys.readouterr().err
