"""What a search may try."""

from __future__ import annotations

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.config import Config, ModelConfig, TuneConfig, ValidationConfig
from src.v2.config_sources import load_config
from src.v2.lifecycle.search_space import (
    KNOWN,
    Dimension,
    at_point,
    own_point,
    search_space,
    settings_at,
    space_print,
)

DEFAULT = Config.model_construct()


def _values(dimension: Dimension) -> st.SearchStrategy[float | int | None]:
    low, high = dimension.low, dimension.high
    if dimension.choices:
        return st.sampled_from(dimension.choices)
    if isinstance(low, int) and isinstance(high, int):
        return st.integers(low, high)
    return st.floats(low, high)


POINTS = st.fixed_dictionaries({each.name: _values(each) for each in KNOWN})


def test_the_point_of_the_configuration_is_the_configuration() -> None:
    space = search_space(DEFAULT)
    point = own_point(DEFAULT, space)
    assert at_point(DEFAULT, point, 50.0).fingerprint == DEFAULT.fingerprint
    for each in space:
        value = point[each.name]
        inside = value in each.choices if each.choices else each.low <= (value or 0) <= each.high
        assert inside, each.name


@settings(max_examples=25, deadline=None)
@given(POINTS)
def test_the_file_of_any_point_gives_its_configuration_to_the_bit(
    point: dict[str, float | int | None],
) -> None:
    config = at_point(DEFAULT, point, 50.0)
    tree = yaml.safe_load(yaml.safe_dump(settings_at(config, KNOWN)))
    again = load_config((), environ={}, overlay=tree, files=False)
    assert again.fingerprint == config.fingerprint


def test_a_leaf_is_a_multiple_of_the_default() -> None:
    assert at_point(DEFAULT, {"min_child_weight": 0.5}, 50.0).model.min_child_weight == 25.0


def test_ranges_widen_to_hold_a_configuration_of_ones_own() -> None:
    model = ModelConfig(learning_rate=0.001, max_depth=14, rate_drop=0.5, reg_lambda=0.0)
    rules = ValidationConfig(half_life_sessions=100.0)
    own = DEFAULT.model_copy(update={"model": model, "validation": rules})
    by_name = {each.name: each for each in search_space(own)}
    assert by_name["learning_rate"].low == 0.001
    assert by_name["max_depth"].high == 14
    assert 0.5 in by_name["rate_drop"].choices
    assert 100.0 in by_name["half_life_sessions"].choices
    assert (by_name["reg_lambda"].low, by_name["reg_lambda"].log) == (0.0, False)


def test_another_space_default_or_number_of_folds_is_another_study() -> None:
    space = search_space(DEFAULT)
    fewer = DEFAULT.model_copy(update={"tune": TuneConfig(parameters=("max_depth",))})
    seeded = DEFAULT.model_copy(update={"seed": 1})
    prints = {
        space_print(space, DEFAULT, 5),
        space_print(space, DEFAULT, 6),
        space_print(space, seeded, 5),
        space_print(search_space(fewer), fewer, 5),
    }
    assert len(prints) == 4
    longer = DEFAULT.model_copy(update={"tune": TuneConfig(n_trials=99)})
    assert space_print(search_space(longer), longer, 5) == space_print(space, DEFAULT, 5)
