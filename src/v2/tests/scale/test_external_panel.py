"""A panel on disk is the panel in memory, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.v2.config import Config
from src.v2.config_sources import load_config
from src.v2.console import Stages
from src.v2.data.context import Context
from src.v2.data.universe import MEMBER
from src.v2.errors import NotEnoughData
from src.v2.features.compute import FeatureTable, compute_features
from src.v2.features.families import active_features
from src.v2.modeling.labels import plan_label
from src.v2.modeling.panel import Panel, build_panel
from src.v2.scale.engine import PanelInputs
from src.v2.scale.external import ExternalPanel, build_external
from src.v2.tests.synthetic import ragged, random_walk_bars

TICKERS = 22
FEW = {"families": ["momentum", "market", "cross_section"]}


def _bars(seed: int = 0, sessions: int = 330) -> pl.DataFrame:
    """Tickers that start late, stop early, halt and miss sessions, with some odd values."""
    bars = ragged(random_walk_bars(TICKERS, sessions, seed, ohlcv=True), seed)
    odd = pl.int_range(pl.len()) % 97 == 5
    rng = np.random.default_rng(seed)
    return bars.with_columns(
        pl.when(odd).then(None).otherwise(pl.col("volume")).alias("volume"),
        pl.when(odd.shift(3)).then(pl.col("close")).otherwise(pl.col("high")).alias("high"),
        pl.Series("mood", rng.normal(size=bars.height)),
        pl.Series("bar", rng.normal(size=bars.height)),
    )


def _config(**sections: dict[str, Any]) -> Config:
    features = {"min_history": 40} | sections.pop("features", {})
    label = {"forward_days": 7} | sections.pop("label", {})
    overlay = {"features": features, "label": label}
    return load_config((), environ={}, overlay=overlay, files=False)


def _in_memory(
    bars: pl.DataFrame,
    config: Config,
    market: pl.DataFrame | None = None,
    context: Context | None = None,
) -> tuple[Panel, int, FeatureTable]:
    features = active_features(config.features, context.series if context else ())
    table = compute_features(bars, features, market, context)
    plan = plan_label(config.label, TICKERS)
    return *build_panel(bars, table.frame, plan, config.features.min_history), table


def _on_disk(
    bars: pl.DataFrame | pl.LazyFrame,
    config: Config,
    folder: Path,
    rows_at_once: int,
    market: pl.DataFrame | None = None,
    context: Context | None = None,
) -> ExternalPanel:
    inputs = PanelInputs(
        bars,
        market,
        context or Context(),
        active_features(config.features, context.series if context else ()),
        plan_label(config.label, TICKERS),
        config.features.min_history,
    )
    return build_external(inputs, folder, rows_at_once, Stages())


def _assert_equal(found: ExternalPanel, wanted: tuple[Panel, int, FeatureTable]) -> None:
    panel, stretched, table = wanted
    assert found.panel.names == panel.names
    assert found.panel.sessions == panel.sessions
    assert found.panel.keys.schema == panel.keys.schema
    assert found.panel.keys.equals(panel.keys)
    for name in ("session", "label_end", "ticker", "bar"):
        some, other = getattr(found.panel, name), getattr(panel, name)
        assert some.dtype == other.dtype
        np.testing.assert_array_equal(some, other, err_msg=name)
    bits, others = (each.features.view(np.uint32) for each in (found.panel, panel))
    np.testing.assert_array_equal(bits, others)
    assert found.stretched == stretched
    assert found.left_out == table.left_out
    assert list(found.infinite.items()) == list(table.infinite.items())


@pytest.fixture(scope="module")
def everything() -> tuple[pl.DataFrame, Config, tuple[Panel, int, FeatureTable]]:
    bars = _bars()
    config = _config(features={"columns": {"mood": 3, "bar": 0}})
    return bars, config, _in_memory(bars, config)


@pytest.mark.parametrize("rows_at_once", [700, 2_500, 10**7])
def test_every_feature_and_label_equals_that_in_memory(
    everything: tuple[pl.DataFrame, Config, tuple[Panel, int, FeatureTable]],
    tmp_path: Path,
    rows_at_once: int,
) -> None:
    bars, config, wanted = everything
    found = _on_disk(bars, config, tmp_path, rows_at_once)
    assert {"mood", "bar"} < set(found.panel.names)
    assert len(found.panel.names) > 180
    assert (found.blocks == 1) == (rows_at_once > bars.height)
    _assert_equal(found, wanted)


def test_one_ticker_a_chunk_and_one_date_a_block_change_nothing(tmp_path: Path) -> None:
    bars, config = _bars(1, 100), _config(features=FEW)
    found = _on_disk(bars, config, tmp_path, 1)
    assert found.blocks == bars["date"].n_unique()
    _assert_equal(found, _in_memory(bars, config))


@pytest.mark.parametrize("rows_at_once", [1, 1_500])
def test_members_sectors_and_series_give_the_same_panel(tmp_path: Path, rows_at_once: int) -> None:
    bars, config = _bars(4, 160), _config(features=FEW)
    dates, tickers = (bars[name].unique().sort() for name in ("date", "ticker"))
    # No member at first, one ticker that never is one, and others that come and go.
    number = pl.col("ticker").replace_strict(tickers, range(len(tickers)), return_dtype=pl.Int64)
    month = pl.col("date").dt.month().cast(pl.Int64)
    inside = (pl.col("date") >= dates[30]) & (number > 0) & ((month + number) % 4 > 0)
    mood = pl.DataFrame({"date": dates, "value": np.sin(np.arange(len(dates)) / 5)})
    context = Context({"vix": mood}, {name: name[-1] for name in tickers})
    config = config.model_copy(
        update={
            "features": config.features.model_copy(
                update={"families": (*config.features.families, "context")}
            )
        }
    )
    marked = bars.with_columns(inside.alias(MEMBER))
    found = _on_disk(marked, config, tmp_path, rows_at_once, context=context)
    assert found.panel.sessions[0] == dates[30]
    assert any("vix" in name for name in found.panel.names)
    assert any("sector" in name for name in found.panel.names)
    _assert_equal(found, _in_memory(marked, config, context=context))


def test_files_in_any_order_give_the_same_panel(tmp_path: Path) -> None:
    bars, config = _bars(2, 200), _config(features=FEW)
    shuffled = bars.sample(fraction=1.0, shuffle=True, seed=3)
    (tmp_path / "files").mkdir()
    (tmp_path / "panel").mkdir()
    for number, part in enumerate(shuffled.iter_slices(900)):
        part.write_parquet(tmp_path / "files" / f"{number}.parquet")
    scan = pl.scan_parquet(tmp_path / "files" / "*.parquet")
    found = _on_disk(scan, config, tmp_path / "panel", 1_000)
    _assert_equal(found, _in_memory(bars, config))
    left = {path.name for path in (tmp_path / "panel").iterdir()}
    assert left == {"blocks", "keys"}


def test_a_shuffled_table_gives_the_same_panel(tmp_path: Path) -> None:
    bars, config = _bars(3, 200), _config(features=FEW)
    shuffled = bars.sample(fraction=1.0, shuffle=True, seed=4)
    _assert_equal(_on_disk(shuffled, config, tmp_path, 1_300), _in_memory(bars, config))


@pytest.mark.parametrize("lacking", ["absent", "null"])
def test_features_of_columns_that_the_bars_lack_are_left_out(tmp_path: Path, lacking: str) -> None:
    bars = _bars(4, 200)
    if lacking == "absent":
        bars = bars.drop("volume", "high")
    else:
        bars = bars.with_columns(volume=pl.lit(None, pl.Float64), high=pl.lit(np.nan))
    config = _config(features={"families": ["volume", "range", "momentum"]})
    found = _on_disk(bars, config, tmp_path, 900)
    assert found.left_out
    _assert_equal(found, _in_memory(bars, config))


def test_a_column_that_few_tickers_have_counts_for_all(tmp_path: Path) -> None:
    last = pl.col("ticker") == pl.col("ticker").max()
    bars = _bars(5, 200).with_columns(pl.when(last).then(pl.col("volume")).alias("volume"))
    config = _config(features={"families": ["volume", "momentum"]})
    found = _on_disk(bars, config, tmp_path, 500)
    assert not found.left_out
    _assert_equal(found, _in_memory(bars, config))


def test_the_market_may_have_bars_of_its_own(tmp_path: Path) -> None:
    bars, config = _bars(6, 200), _config(features=FEW)
    market = bars.filter(pl.col("ticker") == "T000").select("date", "close")
    # Sessions that the universe lacks, and none on some that it has.
    market = market.filter(pl.int_range(pl.len()) % 9 > 0)
    early = market.with_columns(pl.col("date") - pl.duration(days=900))
    market = pl.concat([early.head(40), market])
    found = _on_disk(bars, config, tmp_path, 900, market)
    _assert_equal(found, _in_memory(bars, config, market))


LABELS = (
    {"target": "return"},
    {"target": "excess"},
    {"target": "rank"},
    {"mode": "classification", "binary_rule": "median"},
    {"mode": "classification", "binary_rule": "sign"},
    {"mode": "classification", "classes": "rating", "rating_rule": "quintile"},
    {"mode": "classification", "classes": "rating", "rating_rule": "fixed"},
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    seed=st.integers(0, 1_000),
    label=st.sampled_from(LABELS),
    lag=st.integers(0, 3),
    rows_at_once=st.integers(150, 4_000),
)
def test_labels_of_every_kind_equal_those_in_memory(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    label: dict[str, Any],
    lag: int,
    rows_at_once: int,
) -> None:
    bars = _bars(seed, 120)
    config = _config(features={"families": ["momentum"]}, label=label | {"entry_lag": lag})
    found = _on_disk(bars, config, tmp_path_factory.mktemp("panel"), rows_at_once)
    _assert_equal(found, _in_memory(bars, config))


def test_too_short_a_history_is_refused_as_in_memory(tmp_path: Path) -> None:
    bars, config = _bars(7, 120), _config(features=FEW | {"min_history": 119})
    with pytest.raises(NotEnoughData) as told:
        _on_disk(bars, config, tmp_path, 900)
    with pytest.raises(NotEnoughData) as before:
        _in_memory(bars, config)
    assert str(told.value) == str(before.value)


def test_progress_is_told_for_both_passes(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    def track(steps: Any, description: str, total: int) -> Any:
        done = 0
        for step in steps:
            done += 1
            yield step
        told.append((description, total, done))

    bars, config = _bars(8, 120), _config(features=FEW)
    features, plan = active_features(config.features), plan_label(config.label, TICKERS)
    stages = Stages()
    inputs = PanelInputs(bars, None, Context(), features, plan, 40)
    build_external(inputs, tmp_path, 600, stages, track)
    assert [name for name, _, _ in told] == ["features by ticker", "panel by date"]
    assert all(total == done > 1 for _, total, done in told)
    assert list(stages.seconds) == ["features", "panel"]


def test_the_disk_that_a_panel_needs_is_told_before_it_is_taken(tmp_path: Path) -> None:
    from src.v2.scale.external import bytes_needed
    from src.v2.scale.passes import PanelPlan

    bars, config = _bars(9, 330), _config(features=FEW)
    features = tuple(active_features(config.features))
    dates = bars.group_by("date").len("rows").sort("date")
    plan = PanelPlan(features, pl.DataFrame(), dates["date"], plan_label(config.label, TICKERS), 40)
    days = dates["date"].to_list()
    first_year = sum(day.year == days[0].year for day in days)
    whole = [(days[0], days[-1])]
    halves = [(days[0], days[first_year - 1]), (days[first_year], days[-1])]
    rows = bars.height
    piece, block = 48 + 4 * len(plan.ticker_names), 48 + 4 * len(features)
    assert bytes_needed(dates, whole, plan) == rows * (piece + block)
    early = int(dates["rows"][:first_year].sum())
    wanted = max(rows * piece + early * block, (rows - early) * piece + rows * block)
    assert bytes_needed(dates, halves, plan) == wanted
    found = _on_disk(bars, config, tmp_path, 10**6)
    assert found.disk_bytes < rows * (piece + block)
