"""Each kernel against a slow loop over every window, and what must not change its bits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from src.v2.features import alpha158_kernels, compiled, kernel_table, ticker_pass
from src.v2.features.alpha158 import alpha158_features
from src.v2.features.compute import compute_features
from src.v2.features.families import FAMILIES
from src.v2.features.kernel_columns import OUTPUTS, KernelCall
from src.v2.features.kernel_table import ROWWISE, WINDOWED, new_block, run_kernels
from src.v2.features.nulls import Numbers, from_array, from_series
from src.v2.features.placing import fill, place
from src.v2.features.registry import collect_features
from src.v2.features.scratch import SLAB, Scratch
from src.v2.features.shared import shared_columns
from src.v2.features.ticker_columns import reads_one_row
from src.v2.tests.features import probes
from src.v2.tests.features.references import Array

Window = Callable[[Array], tuple[float, ...]]

FEATURES = [*collect_features(FAMILIES, FAMILIES), *alpha158_features()]


def spread(part: Array) -> float:
    return float(part.std(ddof=1))


def line(part: Array) -> tuple[float, ...]:
    return float(part.mean()), spread(part), float(stats.linregress(range(len(part)), part).slope)


def shape(part: Array) -> tuple[float, ...]:
    if part.min() == part.max():
        return math.nan, math.nan
    return float(stats.skew(part)), float(stats.kurtosis(part))


def order(part: Array) -> tuple[float, ...]:
    low, high = np.quantile(part, [0.2, 0.8])
    return float(low), float(high), float(stats.rankdata(part)[-1])


def fall(part: Array) -> tuple[float, ...]:
    return (float(min(late - part[i] for i in range(len(part)) for late in part[i:])),)


def distance(part: Array) -> tuple[float, ...]:
    return (float(np.abs(part - part.mean()).mean()),)


SLOW: dict[str, tuple[Window, tuple[float, ...]]] = {
    "sums": (lambda part: (float(part.sum()), float(part.mean())), ()),
    "moments": (lambda part: (float(part.mean()), spread(part)), ()),
    "lines": (line, ()),
    "shapes": (shape, ()),
    "falls": (fall, ()),
    "distances": (distance, ()),
    "quantiles": (order, (0.2, 0.8)),
}


def rolled(values: Array, bounds: list[int], window: int, function: Window, count: int) -> Array:
    """Apply a function to each full window without a hole, ticker by ticker."""
    found = np.full((count, len(values)), np.nan)
    for start, stop in itertools.pairwise(bounds):
        for row in range(start + window - 1, stop):
            part = values[row - window + 1 : row + 1]
            if not np.isnan(part).any():
                found[:, row] = function(part)
    return found


def run(kernel: str, settings: tuple[float, ...], bounds: list[int], *sources: Array) -> Array:
    names = tuple(f"x{number}" for number in range(len(sources)))
    columns = dict(zip(names, sources, strict=True))
    call = KernelCall(kernel, names, settings)
    found: Array = new_block(call, bounds[-1], Scratch(), Scratch())
    run_kernels({call: found}, columns, np.array(bounds))
    return found


@st.composite
def tickers(draw: st.DrawFn) -> tuple[Array, list[int]]:
    """Values of one to four tickers, some of one row: levels, ties, holes and still stretches."""
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=4))
    bounds = [0, *np.cumsum(lengths).tolist()]
    kind = draw(st.sampled_from(["ties", "walk", "still"]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.integers(-2, 3, bounds[-1]).astype(np.float64)
    if kind == "walk":
        values = np.exp(np.cumsum(random.normal(0, 0.05, bounds[-1])))
    elif kind == "still":
        values = np.full(bounds[-1], 7.3)
    holes = random.random(bounds[-1]) < draw(st.sampled_from([0.0, 0.05]))
    return np.where(holes, np.nan, values), bounds


@pytest.mark.parametrize("kernel", SLOW)
@settings(max_examples=40, deadline=None)
@given(case=tickers(), window=st.integers(2, 45))
def test_a_window_equals_the_slow_loop(
    kernel: str, case: tuple[Array, list[int]], window: int
) -> None:
    values, bounds = case
    function, more = SLOW[kernel]
    wanted = rolled(values, bounds, window, function, len(OUTPUTS[kernel]))
    found = run(kernel, (window, *more), bounds, values)
    # A shape of almost equal values is all rounding, in both.
    atol = 1e-6 if kernel == "shapes" else 1e-11
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=atol)


@settings(max_examples=40, deadline=None)
@given(
    case=tickers(),
    window=st.integers(2, 45),
    sign=st.sampled_from([1, -1]),
    latest=st.booleans(),
)
def test_extremes_and_their_ages_are_exact(
    case: tuple[Array, list[int]], window: int, sign: int, latest: bool
) -> None:
    def extreme(part: Array) -> tuple[float, ...]:
        turned = sign * part
        oldest_first = len(part) - 1 - int(np.argmax(turned))
        newest_first = int(np.argmax(turned[::-1]))
        return sign * float(turned.max()), newest_first if latest else oldest_first

    values, bounds = case
    wanted = rolled(values, bounds, window, extreme, 2)
    np.testing.assert_array_equal(run("extremes", (window, sign, latest), bounds, values), wanted)


@settings(max_examples=40, deadline=None)
@given(case=tickers(), window=st.integers(2, 45), seed=st.integers(0, 1000))
def test_pairs_equal_the_slow_loop(case: tuple[Array, list[int]], window: int, seed: int) -> None:
    values, bounds = case
    other = np.random.default_rng(seed).normal(0, 1, len(values))

    def pair(rows: Array) -> tuple[float, ...]:
        left, right = values[rows.astype(int)], other[rows.astype(int)]
        covariance = float(np.cov(left, right)[0, 1])
        return float(left.mean()), float(right.mean()), spread(left), spread(right), covariance

    rows = np.where(np.isnan(values), np.nan, np.arange(len(values), dtype=np.float64))
    wanted = rolled(rows, bounds, window, pair, 5)
    found = run("pairs", (window,), bounds, values, other)
    # The right side has no holes of its own.
    for number in (0, 2, 4):
        np.testing.assert_allclose(found[number], wanted[number], rtol=1e-8, atol=1e-11)
    known = ~np.isnan(wanted)
    np.testing.assert_allclose(found[known], wanted[known], rtol=1e-8, atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(case=tickers(), window=st.integers(2, 30), least=st.integers(2, 10))
def test_known_values_are_enough_or_not(
    case: tuple[Array, list[int]], window: int, least: int
) -> None:
    values, bounds = case
    wanted = np.full((3, len(values)), np.nan)
    for start, stop in itertools.pairwise(bounds):
        for row in range(start + window - 1, stop):
            part = values[row - window + 1 : row + 1]
            part = part[~np.isnan(part)]
            if len(part) >= least:
                wanted[:, row] = part.sum(), part.mean(), spread(part)
    found = run("known_moments", (window, least), bounds, values)
    # Not differences from a value of the window: some rounding of the level is left.
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(case=tickers(), span=st.integers(2, 30))
def test_recursive_means_are_those_of_polars(case: tuple[Array, list[int]], span: int) -> None:
    values, bounds = case
    found = run("decaying_means", (span,), bounds, values)[0]
    for start, stop in itertools.pairwise(bounds):
        own = pl.Series(values[start:stop], nan_to_null=True)
        wanted = own.ewm_mean(span=span, adjust=False, ignore_nulls=False).fill_null(math.nan)
        wanted = pl.select(pl.when(own.is_not_null()).then(wanted)).to_series()
        wanted = wanted.fill_null(math.nan)
        np.testing.assert_allclose(found[start:stop], wanted.to_numpy(), rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(case=tickers(), window=st.integers(2, 14), first=st.integers(0, 3))
def test_wilders_mean_starts_at_a_plain_one(
    case: tuple[Array, list[int]], window: int, first: int
) -> None:
    values, bounds = case
    values = np.where(np.isnan(values), 0.5, values)
    begin = first + window - 1
    found = run("wilder_means", (window, begin, window), bounds, values)[0]
    for start, stop in itertools.pairwise(bounds):
        own, mean = values[start:stop], math.nan
        for row in range(stop - start):
            if row == begin:
                mean = float(own[row - window + 1 : row + 1].mean())
            elif row > begin:
                mean += (own[row] - mean) / window
            np.testing.assert_allclose(found[start + row], mean, rtol=1e-9, atol=1e-12)


@given(case=tickers(), rows=st.integers(0, 45))
def test_lags_and_totals_stay_inside_a_ticker(case: tuple[Array, list[int]], rows: int) -> None:
    values, bounds = case
    lagged, total = run("lags", (rows,), bounds, values)[0], run("totals", (), bounds, values)[0]
    for start, stop in itertools.pairwise(bounds):
        own = pl.Series(values[start:stop])
        np.testing.assert_array_equal(
            lagged[start:stop], own.shift(rows).fill_null(math.nan).to_numpy()
        )
        np.testing.assert_allclose(
            total[start:stop], np.cumsum(np.nan_to_num(values[start:stop])), atol=1e-12
        )


SETTINGS: dict[str, tuple[float, ...]] = {
    "known_moments": (7, 3),
    "extremes": (7, 1, True),
    "quantiles": (7, 0.2, 0.8),
    "wilder_means": (7, 6, 7),
    "totals": (),
}


@pytest.mark.parametrize("kernel", WINDOWED)
def test_neither_later_rows_nor_other_tickers_change_a_bit(kernel: str) -> None:
    random = np.random.default_rng(3)
    values = np.exp(np.cumsum(random.normal(0, 0.05, 90)))
    values[40] = np.nan
    sources = (values, random.normal(0, 1, 90)) if kernel == "pairs" else (values,)
    setting = SETTINGS.get(kernel, (7,))
    whole = run(kernel, setting, [0, 30, 90], *sources)
    for cut in range(31, 90, 6):
        shorter = run(kernel, setting, [0, 30, cut], *[item[:cut].copy() for item in sources])
        np.testing.assert_array_equal(shorter, whole[:, :cut])
    alone = run(kernel, setting, [0, 60], *[item[30:].copy() for item in sources])
    np.testing.assert_array_equal(alone, whole[:, 30:])


def test_a_huge_value_leaves_nothing_behind_once_it_is_out_of_the_window() -> None:
    values = np.random.default_rng(0).normal(0, 1e-6, 60)
    calm = run("moments", (10,), [0, 60], values)
    values[20] = 1e9
    struck = run("moments", (10,), [0, 60], values)
    np.testing.assert_allclose(struck[:, 30:], calm[:, 30:], rtol=1e-9)


def test_what_is_constant_has_a_deviation_of_exactly_zero() -> None:
    for level in (0.1, 7.3, 1e9 / 3):
        values = np.full(50, level)
        assert (run("moments", (9,), [0, 50], values)[1, 8:] == 0).all()
        assert (run("lines", (9,), [0, 50], values)[1:, 8:] == 0).all()


def test_every_kernel_has_its_outputs_and_every_column_a_kernel() -> None:
    assert OUTPUTS.keys() == WINDOWED.keys() | ROWWISE.keys()
    assert alpha158_kernels.TINY == 1e-6


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return probes.make_bars(tickers=12, sessions=300, late=40, gap=150)


def test_neither_threads_nor_the_grouping_of_tickers_change_a_bit(
    bars: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = compute_features(bars, FEATURES).frame
    for threads, rows in ((1, 1), (4, 700), (3, 10**9)):
        monkeypatch.setattr(pl, "thread_pool_size", lambda count=threads: count)
        monkeypatch.setattr(ticker_pass, "ROWS_AT_ONCE", rows)
        found = compute_features(bars, FEATURES).frame
        assert found.equals(wanted, null_equal=True), (threads, rows)


def test_each_kernel_is_compiled_for_one_kind_of_arrays(bars: pl.DataFrame) -> None:
    compute_features(bars, FEATURES)
    others = {"place": place, "fill": fill}
    for name, kernel in (*WINDOWED.items(), *ROWWISE.items(), *others.items()):
        assert len(kernel.signatures) <= 1, name  # type: ignore[attr-defined]


def test_no_feature_of_ours_needs_groups_of_polars() -> None:
    rolling = [
        name
        for name, column in shared_columns().items()
        if isinstance(column, pl.Expr) and not reads_one_row(column)
    ]
    assert rolling == []
    of_ticker = [item for item in FEATURES if item.scope == "ticker"]
    assert [item.name for item in of_ticker if not reads_one_row(item.expression)] == []


def placed(numbers: Numbers) -> tuple[list[float | None], int]:
    """Write a feature of two tickers, of four and three rows and a look-back of one."""
    column = np.zeros(9, dtype=np.float32)
    places = np.array([0, 2, 4, 6, 1, 3, 5])
    kept = (numbers.values, numbers.known, numbers.first)
    wrong = place(*kept, np.array([0, 4, 7]), 1, places, column)
    return pl.Series(column).fill_nan(None).to_list(), wrong


def test_a_part_is_written_to_its_places_without_what_is_early_or_infinite() -> None:
    values = np.array([9, 1, np.inf, np.nan, np.inf, 4, -np.inf], dtype=np.float32)
    assert placed(from_array(values)) == ([None, None, 1, 4, None, None, None, 0, 0], 2)


@pytest.mark.parametrize("before", [0, 1, 8, 13])
def test_an_undefined_value_counts_as_wrong_and_a_missing_one_does_not(before: int) -> None:
    values = [math.nan, 1, math.nan, None, None, 4, -math.inf]
    found = pl.Series([None] * before + values, dtype=pl.Float32)[before:]
    assert placed(from_series(found)) == ([None, None, 1, 4, None, None, None, 0, 0], 2)


def test_a_column_without_nulls_is_written_too() -> None:
    found = pl.Series([5, 1, 2, 3, 6, 4, math.nan], dtype=pl.Float32)
    assert placed(from_series(found)) == ([None, None, 1, 4, 2, None, 3, 0, 0], 1)


@given(
    st.lists(st.none() | st.floats(width=64, allow_nan=False), min_size=1, max_size=40),
    st.integers(0, 39),
)
def test_kernels_read_what_polars_holds_with_nan_for_null(
    values: list[float | None], cut: int
) -> None:
    column = pl.Series(values, dtype=pl.Float64)[cut % len(values) :]
    numbers, out = from_series(column), np.zeros(len(column))
    fill(numbers.values, numbers.known, numbers.first, out)
    np.testing.assert_array_equal(out, column.fill_null(math.nan).to_numpy())


def test_scratch_gives_the_same_memory_again_and_never_one_piece_twice() -> None:
    scratch = Scratch()
    shapes = [(2, 100, np.float64), (3, 7, np.float32), (1, SLAB, np.float32), (5, 400, np.float64)]
    for _ in range(2):
        scratch.restart()
        blocks = [scratch.block(*shape) for shape in shapes]
        for number, block in enumerate(blocks):
            assert block.flags.c_contiguous and block.flags.aligned
            block[:] = number
        assert [(*block.shape, block.dtype) for block in blocks] == shapes
        assert all((block == number).all() for number, block in enumerate(blocks))
    held = [block.ctypes.data for block in blocks]
    scratch.restart()
    assert [scratch.block(*shape).ctypes.data for shape in shapes] == held


def test_nothing_of_one_part_is_left_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticker_pass, "ROWS_AT_ONCE", 1)
    bars = probes.make_bars(tickers=3, sessions=200)
    alone = bars.filter(pl.col("ticker") == bars["ticker"].max())
    wanted = [item for item in FEATURES if item.scope == "ticker" and item.family != "market"]
    together = compute_features(bars, wanted).frame.filter(pl.col("ticker") == alone["ticker"][0])
    assert together.equals(compute_features(alone, wanted).frame, null_equal=True)


def test_where_nothing_can_be_kept_on_disk_a_kernel_still_compiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = numba.njit

    def refusing(**options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(numba, "njit", refusing)

    def twice(value: float) -> float:
        return 2 * value

    assert compiled.compiled(twice)(2.5) == 5


def test_a_kernel_is_run_for_all_its_outputs_at_once() -> None:
    values = np.arange(10.0)
    calls = [KernelCall("sums", ("x",), (3,)), KernelCall("lags", ("x",), (2,))]
    working = Scratch()
    found = {call: new_block(call, 10, working, Scratch()) for call in calls}
    kernel_table.run_kernels(found, {"x": values}, np.array([0, 10]))
    assert found[calls[0]].shape == (2, 10)
    np.testing.assert_array_equal(found[calls[1]][0, 2:], values[:-2])
