"""A feature written otherwise passes, one that says something else is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest

from src.v2.config import FeaturesConfig
from src.v2.features import code_check
from src.v2.features.code_check import changed_features, code_hash, feature_numbers, made_up_bars
from src.v2.features.families import FAMILIES, OPTIONAL_FAMILIES, active_features
from src.v2.features.registry import Feature

EVERY = FeaturesConfig(
    families=tuple({**FAMILIES, **OPTIONAL_FAMILIES}), columns={"mood": 2, "vwap": 0}
)
SOME = FeaturesConfig(families=("momentum",))
NAMES = tuple(feature.name for feature in active_features(SOME))
Change = Callable[[pl.Expr], pl.Expr]


@pytest.mark.parametrize("with_market", [False, True])
def test_every_feature_has_a_number_of_its_own(with_market: bool) -> None:
    series = ("vix", "credit")
    names = tuple(feature.name for feature in active_features(EVERY, series))
    sized = code_check._numbers(EVERY, names, with_market, series)
    assert set(sized) == set(names)
    assert [name for name, (_, size) in sized.items() if not size > 0] == []
    # Far enough from 0 that a formula on another scale cannot pass for the same one.
    close = [name for name, (number, size) in sized.items() if abs(number) < 0.5 * size]
    assert close == []


def test_the_same_code_gives_the_same_numbers() -> None:
    known = feature_numbers(EVERY, ("return_20", "mood", "return_1_rank"), with_market=False)
    assert set(known) == {"return_20", "mood", "return_1_rank"}
    assert feature_numbers(EVERY, tuple(known), with_market=False) == known
    assert changed_features(EVERY, known, with_market=False) == []


def test_files_of_the_users_own_are_not_run() -> None:
    settings = SOME.model_copy(update={"modules": ("nowhere.py",)})
    numbers = feature_numbers(settings, ("return_20", "my_return_3"), with_market=False)
    assert set(numbers) == {"return_20"}


def test_made_up_bars_are_bars() -> None:
    bars = made_up_bars(("mood",))
    assert bars.select("date", "ticker").is_duplicated().any() is False
    sound = (pl.col("low") <= pl.min_horizontal("open", "close")) & (
        pl.max_horizontal("open", "close") <= pl.col("high")
    )
    assert bars.select((sound & (pl.col("low") > 0) & (pl.col("volume") > 0)).all()).item()
    assert bars["date"].dt.weekday().max() == 5
    assert bars["mood"].null_count() == 0


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        pytest.param(lambda x: x * 3 / 3, False, id="written otherwise"),
        pytest.param(lambda x: x + x.abs() * 1e-7, False, id="rounded otherwise"),
        pytest.param(lambda x: x * 100, True, id="percent in place of a fraction"),
        pytest.param(lambda x: x.shift(1), True, id="a session late"),
        pytest.param(lambda x: -x, True, id="other sign"),
        pytest.param(lambda x: x.clip(upper_bound=x.max() * 0.9), True, id="largest clipped"),
        pytest.param(
            lambda x: pl.when(pl.int_range(pl.len()) != 200).then(x), True, id="one row missing"
        ),
    ],
)
def test_only_another_formula_is_noticed(
    monkeypatch: pytest.MonkeyPatch, change: Change, noticed: bool
) -> None:
    known = feature_numbers(SOME, NAMES, with_market=False)

    def altered(settings: FeaturesConfig, series: Sequence[str]) -> list[Feature]:
        return [
            dataclasses.replace(feature, expression=change(feature.expression))
            if feature.name == "return_20"
            else feature
            for feature in active_features(settings)
        ]

    monkeypatch.setattr(code_check, "active_features", altered)
    # Nothing else of this family reads that feature.
    wanted = ["return_20"] if noticed else []
    assert changed_features(SOME, known, with_market=False) == wanted


def test_a_feature_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = feature_numbers(SOME, NAMES, with_market=False)
    less = SOME.model_copy(update={"exclude": ("return_20",)})
    assert changed_features(less, known, with_market=False) == ["return_20"]


def test_the_hash_of_the_code_changes_with_any_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(code_check, "__file__", str(tmp_path / "code_check.py"))
    hashes = {code_hash()}
    for name, text in (("a.py", "x = 1"), ("a.py", "x = 2"), ("b.py", ""), ("c.txt", "")):
        (tmp_path / name).write_text(text)
        hashes.add(code_hash())
    assert len(hashes) == 4
