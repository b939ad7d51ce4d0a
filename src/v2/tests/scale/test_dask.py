"""A run on a real cluster of two processes, beside the same run in this one."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from src.v2.data.context import Context
from src.v2.data.universe import MEMBER
from src.v2.errors import ClusterError
from src.v2.explain.folds import explain_folds
from src.v2.modeling.feature_rows import Matrix, StoredRows
from src.v2.modeling.walk_forward import FoldFit
from src.v2.scale import cluster_opening
from src.v2.scale.cluster import Cluster
from src.v2.scale.cluster_bins import Columns, lowest_of_bins, quantile_cuts
from src.v2.scale.cluster_opening import open_cluster
from src.v2.scale.cluster_shares import share_evenly, share_rows
from src.v2.scale.dask_engine import DaskEngine, date_edges, ticker_slices
from src.v2.scale.engine import BuiltPanel, LocalEngine
from src.v2.tests.scale.dask_clusters import build, small_bars, small_config, trainer_of


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    config = small_config()
    with open_cluster(config.scale, config.model) as found:
        yield found


@pytest.fixture(scope="module")
def built(cluster: Cluster) -> BuiltPanel:
    return build(DaskEngine(cluster), small_bars(), small_config())


@pytest.fixture(scope="module")
def local() -> BuiltPanel:
    return build(LocalEngine(), small_bars(), small_config())


def test_a_panel_from_a_cluster_equals_the_local_one_to_the_bit(
    built: BuiltPanel, local: BuiltPanel
) -> None:
    store = built.panel.feature_rows
    assert isinstance(store, StoredRows)
    assert len(store.store.starts) > 8, "several blocks on each worker"
    _assert_equal(built, local)


def test_members_sectors_and_series_give_the_same_panel_on_a_cluster(cluster: Cluster) -> None:
    families = ["momentum", "market", "cross_section", "context"]
    config, bars = small_config(features={"families": families}), small_bars()
    dates, tickers = (bars[name].unique().sort() for name in ("date", "ticker"))
    # No member at first, and others that come and go by the month.
    number = pl.col("ticker").replace_strict(tickers, range(len(tickers)), return_dtype=pl.Int64)
    month = pl.col("date").dt.month().cast(pl.Int64)
    inside = (pl.col("date") >= dates[120]) & ((month + number) % 4 > 0)
    series = pl.DataFrame({"date": dates, "value": np.sin(np.arange(len(dates)) / 5)})
    context = Context({"vix": series}, {name: name[-1] for name in tickers})
    marked = bars.with_columns(inside.alias(MEMBER))
    wanted = build(LocalEngine(), marked, config, context)
    assert wanted.panel.sessions[0] == dates[120]
    assert any("sector" in name for name in wanted.panel.names)
    _assert_equal(build(DaskEngine(cluster), marked, config, context), wanted)


def _assert_equal(built: BuiltPanel, local: BuiltPanel) -> None:
    here, there = local.panel, built.panel
    assert there.names == here.names
    assert there.features.tobytes() == here.features.tobytes()
    assert there.keys.equals(here.keys)
    assert there.sessions == here.sessions
    for name in ("session", "label_end", "ticker", "bar"):
        np.testing.assert_array_equal(getattr(there, name), getattr(here, name))
        assert getattr(there, name).dtype == getattr(here, name).dtype
    assert (built.stretched, built.left_out, built.infinite) == (
        local.stretched,
        local.left_out,
        local.infinite,
    )


def test_a_fold_on_a_cluster_forecasts_what_a_local_one_does(
    cluster: Cluster, built: BuiltPanel, local: BuiltPanel
) -> None:
    config = small_config()
    ours, schedule = trainer_of(built, DaskEngine(cluster), config)
    plain, _ = trainer_of(local, LocalEngine(), config)
    fold = schedule.folds[-1]
    here = plain.fold(fold, schedule.holdout_start)
    there = ours.fold(fold, schedule.holdout_start)
    assert there.test.keys.equals(here.test.keys)
    assert (there.train, there.train_rows, there.purged_rows) == (
        here.train,
        here.train_rows,
        here.purged_rows,
    )
    assert spearmanr(there.forecast, here.forecast).statistic >= 0.99
    assert abs(rank_ic(there) - rank_ic(here)) <= 0.002
    # One model explains rows on the workers as it does here, to the bit.
    mine, theirs = (
        explain_folds([dataclasses.replace(there, test=test)], plain.plan, 200, 0)
        for test in (here.test, there.test)
    )
    assert mine.values.tobytes() == theirs.values.tobytes()
    assert mine.base.tobytes() == theirs.base.tobytes()


def rank_ic(fit: FoldFit) -> float:
    """Mean over the dates of the rank correlation of forecast and future."""
    table = fit.test.keys.select("date", "forward_return").with_columns(
        pl.Series("score", fit.forecast)
    )
    each = (
        table.drop_nulls()
        .group_by("date")
        .agg(pl.corr("score", "forward_return", method="spearman").alias("ic"))
    )
    mean = each["ic"].mean()
    assert isinstance(mean, float)
    return mean


def test_work_comes_to_the_rows_and_its_results_come_in_order(
    built: BuiltPanel, local: BuiltPanel
) -> None:
    stored, matrix = built.panel.feature_rows, local.panel.features
    assert isinstance(stored, StoredRows)
    chosen = np.sort(np.random.default_rng(0).choice(len(matrix), 500, replace=False))
    found = np.concatenate(list(stored[chosen].map_blocks(first_column)))
    np.testing.assert_array_equal(found, matrix[chosen, 0])
    np.testing.assert_array_equal(np.asarray(stored[chosen[::-1]]), matrix[chosen[::-1]])


def first_column(rows: Matrix) -> Matrix:
    return rows[:, 0].copy()


def test_what_work_raises_on_a_worker_is_raised_here(built: BuiltPanel) -> None:
    stored = built.panel.feature_rows
    assert isinstance(stored, StoredRows)
    with pytest.raises(ZeroDivisionError, match="of rows"):
        list(stored[:10].map_blocks(refuse))


def refuse(rows: Matrix) -> None:
    raise ZeroDivisionError(f"of rows {len(rows)}")


def test_no_service_of_a_local_cluster_is_open_to_other_machines(cluster: Cluster) -> None:
    psutil: Any = pytest.importorskip("psutil")
    own = psutil.Process()
    pids = {own.pid, *(child.pid for child in own.children(recursive=True))}
    open_ports = {
        connection.laddr.ip
        for pid in pids
        for connection in psutil.Process(pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert open_ports == {"127.0.0.1"}
    assert cluster.own


def test_without_a_scheduler_the_error_names_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_opening, "CONNECT_SEC", 1)
    config = small_config(scale={"scheduler": "tcp://127.0.0.1:9"})
    with (
        pytest.raises(ClusterError, match=r"tcp://127\.0\.0\.1:9 within 1 sec.*dask scheduler"),
        open_cluster(config.scale, config.model),
    ):
        pass


def test_a_worker_with_other_code_is_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = cluster.client.scheduler_info(n_workers=-1)["address"]
    other = {**cluster_opening.identity_of_code(), "code of omninmo": "another"}
    monkeypatch.setattr(cluster_opening, "own_identity", lambda: other)
    config = small_config(scale={"scheduler": address})
    with (
        pytest.raises(ClusterError, match=r"code of omninmo .*, here it is another"),
        open_cluster(config.scale, config.model),
    ):
        pass


def test_a_cluster_that_is_already_running_can_be_joined(cluster: Cluster) -> None:
    address = cluster.client.scheduler_info(n_workers=-1)["address"]
    config = small_config(scale={"scheduler": address})
    with open_cluster(config.scale, config.model) as joined:
        assert joined.workers() == cluster.workers()
        assert not joined.own
        assert address in joined.describe()
    assert len(cluster.workers()) == 2, "workers of others are left alone"


@settings(deadline=None, max_examples=50)
@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=30),
    most=st.integers(1, 200),
    least=st.integers(1, 10),
)
def test_chunks_hold_whole_tickers_and_every_row_once(
    lengths: list[int], most: int, least: int
) -> None:
    names = [f"T{number:02d}" for number, length in enumerate(lengths) for _ in range(length)]
    tickers = pl.Series(names)
    parts = ticker_slices(tickers, most, least)
    assert [row for part in parts for row in range(part.start, part.stop)] == list(
        range(len(names))
    )
    seen = [set(names[part]) for part in parts]
    assert sum(map(len, seen)) == len(lengths), "no ticker in two chunks"
    assert all(part.stop - part.start <= most or len(set(names[part])) == 1 for part in parts)


@settings(deadline=None, max_examples=50)
@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=40),
    most=st.integers(1, 200),
    least=st.integers(1, 10),
)
def test_blocks_hold_whole_dates_in_order(counts: list[int], most: int, least: int) -> None:
    sessions = pl.date_range(
        pl.date(2020, 1, 1), pl.date(2020, 1, 1).dt.offset_by(f"{len(counts) - 1}d"), eager=True
    )
    dates = sessions[np.repeat(np.arange(len(counts)), counts)]
    edges = date_edges(dates.shuffle(1), sessions, most, least)
    assert edges[0] == 0 and edges[-1] == len(counts)
    assert all(start < stop for start, stop in itertools.pairwise(edges))
    for start, stop in itertools.pairwise(edges):
        assert sum(counts[start:stop]) <= most or stop == start + 1


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=8), st.integers(1, 4))
def test_every_row_is_fitted_on_by_one_worker(lengths: list[int], workers: int) -> None:
    names = [f"tcp://{number}" for number in range(workers)]
    picks = [
        (block, slice(3, 3 + length) if block % 2 else np.arange(0, 2 * length, 2))
        for block, length in enumerate(lengths)
    ]
    wanted = [(block, row) for block, rows in picks for row in _rows(rows)]
    for share in (share_rows, share_evenly):
        found = share(picks, names)
        each = [
            (place, (item.block, row))
            for items in found.values()
            for item in items
            for place, row in zip(item.places, _rows(item.rows), strict=True)
        ]
        assert [row for _, row in sorted(each)] == wanted
    if sum(lengths) >= workers and max(lengths) >= workers:
        assert len(share_evenly(picks, names)) == workers, "no worker without rows"


def _rows(rows: slice | np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    return list(range(rows.start, rows.stop)) if isinstance(rows, slice) else rows.tolist()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 99), distinct=st.integers(1, 2000), missing=st.floats(0, 1))
def test_values_binned_anywhere_give_xgboosts_own_bins(
    seed: int, distinct: int, missing: float
) -> None:
    import xgboost as xgb

    rng = np.random.default_rng(seed)
    features = rng.choice(rng.standard_normal(distinct), (3000, 3)).astype(np.float32)
    features[rng.random(features.shape) < missing] = np.nan
    features[0] = 0
    weight = rng.random(3000).astype(np.float32)
    label = rng.random(3000).astype(np.float32)
    order = np.arange(3000)
    parts = [Columns(features[order % 2 == odd], order[order % 2 == odd]) for odd in (1, 0)]
    binned = lowest_of_bins(features, quantile_cuts(parts, weight, 64))
    assert max(len(np.unique(column[~np.isnan(column)])) for column in binned.T) <= 65
    models = [
        xgb.train(
            {"max_bin": 64, "max_depth": 4, "nthread": 1},
            xgb.QuantileDMatrix(rows, label, weight=weight, max_bin=64),
            5,
        )
        for rows in (features, binned)
    ]
    ours, theirs = (model.inplace_predict(features) for model in models)
    np.testing.assert_array_equal(ours, theirs)
