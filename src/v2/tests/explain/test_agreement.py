"""Whether importance agrees between folds, and skill and importance by cohort."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from src.v2.evaluation_records import Interval
from src.v2.explain.agreement import agreement, fold_agreement
from src.v2.explain.direction import explained
from src.v2.explanation_records import Agreement, Cohort
from src.v2.records import ShapSample
from src.v2.tests.explanations import make_detail
from src.v2.tests.synthetic import weekdays

Array = np.ndarray[Any, Any]

FEATURES = 15
SESSIONS = 780
DATES = weekdays(SESSIONS, dt.date(2018, 1, 1))
REGIMES = pl.DataFrame(
    {
        "date": DATES,
        "regime": [None] * 60
        + [("stormy", "calm", "middle")[place // 21 % 3] for place in range(SESSIONS - 60)],
    },
    schema={"date": pl.Date, "regime": pl.String},
)

JUDGED = tuple(
    dataclasses.replace(each, rank_ic=Interval(0.01 * place, -0.1, 0.1, 7))
    for place, each in enumerate(make_detail(np.random.default_rng(0), ()).regimes)
)


def make_walked(tickers: int = 24, *, sessions: int = SESSIONS, seed: int = 0) -> pl.DataFrame:
    """Forecasts that order the tickers a little, and better in 2019."""
    rng = np.random.default_rng(seed)
    date = np.repeat(np.arange(sessions), tickers)
    score = rng.normal(size=len(date))
    skilled = np.array([day.year == 2019 for day in DATES])[date]
    returns = rng.normal(size=len(date)) + np.where(skilled, 0.8, 0.0) * score
    return pl.DataFrame(
        {
            "date": [DATES[place] for place in date],
            "ticker": [f"T{place:02d}" for place in range(tickers)] * sessions,
            "fold": (date // 260 + 1).astype(np.int32),
            "part": "walk_forward",
            "score": score,
            "forward_return": returns,
        },
        schema_overrides={"date": pl.Date},
    )


def make_sample(walked: pl.DataFrame, rows: int = 700, outputs: int = 1) -> ShapSample:
    """Explain some rows by made-up values, in which the first feature grows with the year."""
    rng = np.random.default_rng(9)
    chosen = np.sort(rng.choice(walked.height, min(rows, walked.height), replace=False))
    keys = walked[chosen].select("date", "ticker", "fold")
    values = rng.normal(size=(keys.height, outputs, FEATURES)) / np.arange(1, FEATURES + 1)
    values[..., 0] *= 1 + keys["date"].dt.year().to_numpy()[:, None] - 2018
    names = tuple(f"<b>feature {place}</b>" for place in range(FEATURES))
    features = rng.normal(size=(keys.height, FEATURES)).astype(np.float32)
    kinds = tuple(f"c{place}" for place in range(outputs))
    base = np.zeros((keys.height, outputs), dtype=np.float32)
    return ShapSample(keys, features, values.astype(np.float32), base, kinds, names)


def run(
    walked: pl.DataFrame,
    sample: ShapSample,
    sectors: Mapping[str, str] | None = None,
    regimes: pl.DataFrame = REGIMES,
) -> Agreement:
    return agreement(sample, walked, regimes, JUDGED, sectors or {}, 63, seed=3)


def cohorts_of(found: Agreement, kind: str) -> dict[str, Cohort]:
    return {cohort.name: cohort for cohort in found.cohorts if cohort.kind == kind}


def tau_by_counting(left: Array, right: Array) -> float:
    """Kendall's tau-b, by looking at every pair of features."""
    both = [
        (np.sign(left[i] - left[j]), np.sign(right[i] - right[j]))
        for i, j in combinations(range(len(left)), 2)
    ]
    size = [sum(pair[side] != 0 for pair in both) for side in (0, 1)]
    total = sum(one * other for one, other in both)
    return float(total / (size[0] * size[1]) ** 0.5) if size[0] * size[1] else float("nan")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=5, max_size=5), min_size=1, max_size=5))
def test_tau_equals_counting_pairs_of_features(rows: list[list[int]]) -> None:
    size, fold = np.array(rows, dtype=np.float64), np.arange(len(rows)) * 3
    numbers, kendall = fold_agreement(size, fold)
    assert numbers.tolist() == fold.tolist()
    for i in range(len(rows)):
        for j in range(len(rows)):
            wanted = tau_by_counting(size[i], size[j])
            assert kendall[i, j] == pytest.approx(wanted, nan_ok=True)


@pytest.mark.parametrize("outputs", [1, 5])
def test_folds_are_compared_by_the_mean_size_of_the_signed_values(outputs: int) -> None:
    walked = make_walked()
    sample = make_sample(walked, outputs=outputs)
    found = run(walked, sample)
    size, fold = np.abs(explained(sample)), sample.rows["fold"].to_numpy()
    assert found.folds == (1, 2, 3)
    means = [size[fold == number].mean(axis=0) for number in found.folds]
    pairs = []
    for i, j in combinations(range(3), 2):
        wanted = stats.kendalltau(means[i], means[j]).statistic
        assert found.kendall[i][j] == found.kendall[j][i] == pytest.approx(wanted)
        pairs.append(wanted)
    assert found.mean_kendall == pytest.approx(np.mean(pairs))
    assert all(found.kendall[place][place] == 1.0 for place in range(3))


def test_one_fold_has_no_mean_agreement() -> None:
    walked = make_walked(sessions=100)
    found = run(walked, make_sample(walked, rows=3))
    assert found.folds == (1,)
    assert found.kendall == ((1.0,),)
    assert np.isnan(found.mean_kendall)


def test_a_fold_without_any_effect_is_left_out_of_the_mean() -> None:
    walked = make_walked()
    sample = make_sample(walked)
    sample.values[sample.rows["fold"].to_numpy() == 2] = 0.0
    found = run(walked, sample)
    assert np.isnan(found.kendall[1]).all()
    assert found.mean_kendall == found.kendall[0][2]


def test_the_top_holds_the_twelve_largest_features() -> None:
    walked = make_walked()
    sample = make_sample(walked)
    size = np.abs(sample.values[:, 0]).mean(axis=0)
    wanted = sorted(range(FEATURES), key=lambda place: -size[place])[:12]
    assert run(walked, sample).top == tuple(sample.feature_names[place] for place in wanted)


def test_cohorts_hold_the_rows_dates_and_shares_that_a_loop_finds() -> None:
    walked = make_walked()
    sample = make_sample(walked)
    sectors = {f"T{place:02d}": ("Energy", "Tech & <i>")[place % 2] for place in range(24)}
    found = run(walked, sample, sectors)
    regime = dict(REGIMES.iter_rows())
    rules: dict[str, Any] = {
        "year": lambda date, ticker: str(date.year),
        "volatility": lambda date, ticker: regime[date],
        "sector": lambda date, ticker: sectors[ticker],
    }
    order = [sample.feature_names.index(name) for name in found.top]
    seen = 0
    for kind, rule in rules.items():
        names = [rule(*row[:2]) for row in sample.rows.iter_rows()]
        assert set(cohorts_of(found, kind)) == set(names) - {None}
        for name, cohort in cohorts_of(found, kind).items():
            rows = [place for place, other in enumerate(names) if other == name]
            size = np.abs(sample.values[rows, 0].astype(np.float64))
            share = size.mean(axis=0) / size.mean(axis=0).sum()
            assert cohort.rows == len(rows)
            assert cohort.dates == len({sample.rows["date"][place] for place in rows})
            assert cohort.shares == pytest.approx(share[order].tolist())
            seen += 1
    assert seen == len(found.cohorts) == 3 + 3 + 2
    years = [cohort.name for cohort in found.cohorts if cohort.kind == "year"]
    assert years == ["2018", "2019", "2020"]
    first = {name: cohort.shares[0] for name, cohort in cohorts_of(found, "year").items()}
    assert first["2018"] < first["2019"] < first["2020"]


def test_skill_is_of_every_forecast_row_of_the_cohort() -> None:
    walked = make_walked()
    sectors = {f"T{place:02d}": "Energy" if place < 11 else "Tech" for place in range(24)}
    found = run(walked, make_sample(walked, rows=60), sectors)
    regime = dict(REGIMES.iter_rows())
    daily: dict[str, list[float]] = {}
    for (date,), rows in walked.group_by("date", maintain_order=True):
        assert isinstance(date, dt.date)
        parts = {
            str(date.year): rows,
            str(regime[date]): rows,
            "Energy": rows.filter(pl.col("ticker") < "T11"),
            "Tech": rows.filter(pl.col("ticker") >= "T11"),
        }
        for name, part in parts.items():
            ic = stats.spearmanr(part["score"], part["forward_return"]).statistic
            daily.setdefault(name, []).append(ic)
    for cohort in found.cohorts:
        if cohort.kind == "volatility":
            continue
        assert cohort.rank_ic.mean == pytest.approx(np.mean(daily[cohort.name]))
        assert cohort.rank_ic.low < cohort.rank_ic.mean < cohort.rank_ic.high
    years = cohorts_of(found, "year")
    assert years["2019"].rank_ic.low > 0.3
    assert years["2018"].rank_ic.low < 0 < years["2018"].rank_ic.high


def test_windows_count_the_blocks_that_hold_dates_of_the_cohort() -> None:
    walked = make_walked()
    found = run(walked, make_sample(walked))
    for name, cohort in cohorts_of(found, "year").items():
        days = [place for place, day in enumerate(DATES) if str(day.year) == name]
        assert cohort.rank_ic.windows == len({place // 63 for place in days}) <= 6


def test_too_few_blocks_give_a_mean_without_bounds() -> None:
    walked = make_walked(sessions=180)
    (year,) = cohorts_of(run(walked, make_sample(walked)), "year").values()
    assert year.rank_ic.windows == 3
    assert np.isfinite(year.rank_ic.mean)
    assert np.isnan(year.rank_ic.low) and np.isnan(year.rank_ic.high)


@pytest.mark.parametrize("tickers", [1, 9])
def test_few_tickers_give_shares_without_skill(tickers: int) -> None:
    walked = make_walked(tickers)
    found = run(walked, make_sample(walked), {"T00": "Energy"})
    assert {cohort.kind for cohort in found.cohorts} == {"year", "volatility", "sector"}
    for cohort in found.cohorts:
        if cohort.kind != "volatility":
            assert np.isnan(cohort.rank_ic.mean) and np.isnan(cohort.rank_ic.low)
            assert cohort.rank_ic.windows == 0
        assert np.isfinite(cohort.shares).all()


def test_the_skill_of_a_state_is_the_one_that_was_judged() -> None:
    walked = make_walked()
    states = cohorts_of(run(walked, make_sample(walked)), "volatility")
    for judged in JUDGED:
        assert states[judged.name].rank_ic == judged.rank_ic
    nothing = agreement(make_sample(walked), walked, REGIMES, (), {}, 63, seed=3)
    assert np.isnan(
        [each.rank_ic.mean for each in cohorts_of(nothing, "volatility").values()]
    ).all()


def test_states_run_from_calm_to_stormy_and_unknown_ones_are_left_out() -> None:
    walked = make_walked()
    sample = make_sample(walked)
    states = cohorts_of(run(walked, sample), "volatility")
    assert list(states) == ["calm", "middle", "stormy"]
    known = sample.rows.filter(pl.col("date") >= DATES[60]).height
    assert sum(cohort.rows for cohort in states.values()) == known < sample.rows.height
    nowhere = REGIMES.with_columns(regime=pl.lit(None, dtype=pl.String))
    assert not cohorts_of(run(walked, sample, regimes=nowhere), "volatility")
    assert not cohorts_of(run(walked, sample, regimes=REGIMES[:0]), "volatility")


def test_without_sectors_none_is_listed() -> None:
    walked = make_walked()
    sample = make_sample(walked)
    assert not cohorts_of(run(walked, sample), "sector")
    assert not cohorts_of(run(walked, sample, {"of another market": "Energy"}), "sector")


def test_small_sectors_and_unknown_tickers_are_one_other() -> None:
    walked = make_walked(60)
    # 17 sectors of three tickers, of which the last two are short of rows; 9 tickers of none.
    sectors = {f"T{place:02d}": f"sector {place // 3:02d}" for place in range(51)}
    late = pl.col("ticker").is_in(["T02", "T10"])
    walked = walked.filter(~late | (pl.col("date") > DATES[400]))
    found = cohorts_of(run(walked, make_sample(walked, 4000), sectors), "sector")
    kept = [f"sector {place:02d}" for place in range(17) if place not in (0, 3)]
    assert list(found) == [*kept, "other"]
    assert sum(cohort.rows for cohort in found.values()) == 4000
    assert np.isnan(found["sector 01"].rank_ic.mean)
    assert np.isfinite(found["other"].rank_ic.mean)


def test_rows_without_a_known_return_are_explained_and_not_scored() -> None:
    walked = make_walked()
    sample = make_sample(walked)
    gone = walked.with_columns(
        forward_return=pl.when(pl.col("ticker") == "T03").then(None).otherwise("forward_return")
    )
    with_all, without = run(walked, sample), run(gone, sample)
    only = run(walked.filter(pl.col("ticker") != "T03"), sample)
    for whole, part, other in zip(with_all.cohorts, without.cohorts, only.cohorts, strict=True):
        assert (part.rows, part.shares) == (whole.rows, whole.shares)
        assert part.rank_ic == other.rank_ic
        assert (part.rank_ic != whole.rank_ic) == (part.kind != "volatility")


def test_cohorts_without_contributions_have_no_shares() -> None:
    walked = make_walked()
    sample = make_sample(walked)
    sample.values[:] = 0.0
    found = run(walked, sample)
    assert np.isnan(found.mean_kendall)
    assert len(found.top) == 12
    assert all(np.isnan(cohort.shares).all() for cohort in found.cohorts)


def test_the_order_of_forecasts_does_not_matter() -> None:
    walked = make_walked()
    sample = make_sample(walked)
    shuffled = walked.sample(fraction=1.0, shuffle=True, seed=4)
    for one, other in zip(run(walked, sample).cohorts, run(shuffled, sample).cohorts, strict=True):
        assert one.shares == other.shares
        assert one.rank_ic.low == pytest.approx(other.rank_ic.low)
    assert run(walked, sample) == run(walked, sample)
