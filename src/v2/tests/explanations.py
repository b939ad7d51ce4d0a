"""Made-up explanations and details of skill, from a generator."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import polars as pl

from src.v2.case_records import Case, CaseKind, NewestRanking, Part, RankedTicker
from src.v2.detail_records import (
    Decay,
    ForecastBin,
    Memory,
    MonthSkill,
    QuantileReturn,
    RegimeSkill,
    SkillDetail,
    WorstRow,
)
from src.v2.evaluation_records import Interval
from src.v2.explanation_records import (
    Agreement,
    Cohort,
    CohortKind,
    Drift,
    Effect,
    Explanation,
    FamilyImportance,
    FeatureImportance,
    Importance,
    Interactions,
    NoiseKind,
    NoiseLine,
    Pair,
    TrustCheck,
)

DAY = dt.date(2020, 1, 1)
QUANTITY = {
    "regression": "excess return",
    "binary": "log-odds of up",
    "rating": "log-odds of higher over lower classes",
}
KINDS: tuple[CaseKind, ...] = (
    *("best", "worst", "long", "short", "median", "latest long", "latest short"),
)


def around(value: float, half: float, windows: int = 40) -> Interval:
    """Make an interval."""
    return Interval(value, value - half, value + half, windows)


def make_explanation(
    rng: np.random.Generator,
    names: tuple[str, ...],
    families: Mapping[str, str],
    folds: int,
    kind: str = "regression",
) -> Explanation:
    """Make an explanation of features whose importance falls in their order."""
    scale = 0.002 if kind == "regression" else 0.05
    shares = np.exp(-0.12 * np.arange(len(names)))
    shares /= shares.sum()
    by_fold = shares * rng.uniform(0.6, 1.4, (folds, len(names)))
    features = tuple(
        FeatureImportance(
            name,
            families[name],
            around(scale * share, 0.2 * scale * share, 30),
            float(share),
            around(0.02 * share - 0.0004, 0.0008),
            float(shares.mean()),
            float(rng.uniform(-1, 1)),
            float(rng.uniform(0.5, 1)),
            folds,
            tuple(by_fold[:, place].tolist()),
            float(0.9 * share),
            bool(0.9 * share > 0.02),
        )
        for place, (name, share) in enumerate(zip(names, shares, strict=True))
    )
    kinds = list(dict.fromkeys(families[name] for name in names))
    groups = tuple(
        FamilyImportance(
            family,
            sum(families[name] == family for name in names),
            around(scale * 0.5 / (1 + place), scale * 0.05, 30),
            1 / len(kinds),
            around(0.004 - 0.001 * place, 0.002),
        )
        for place, family in enumerate(kinds)
    )
    below = tuple(feature.name for feature in features if not feature.better_than_noise)
    reached = {
        "one a row": 0.012,
        "one a ticker": 0.02,
        "one a date": 0.008,
        "a slow walk a ticker": 0.015,
    }
    chance = tuple(
        NoiseKind(name, 0.7 * high, 0.4 * high, high, 0.0001) for name, high in reached.items()
    )
    chosen = tuple(dict.fromkeys((1, (folds + 1) // 2, folds)))
    noise = NoiseLine(chosen, 20, chance, 0.02, below)
    quantity = QUANTITY[kind]
    importance = Importance(
        quantity, "rank IC", 0.02, 2000, 700, 10_000, 500, 63, 14, features, groups, noise
    )
    top = names[: min(12, len(names))]
    matrix = rng.uniform(0, 0.3 * scale / len(names), (len(top), len(top)))
    matrix = matrix + matrix.T + np.diag(scale * shares[: len(top)])
    pairs = tuple(
        Pair(top[0], name, scale / (10 + place), 0.05 / (1 + place))
        for place, name in enumerate(top[1:11])
    )
    return Explanation(
        importance=importance,
        agreement=make_agreement(rng, top, shares, folds),
        effects=tuple(_effect(rng, name, names, scale) for name in names[:8]),
        interactions=Interactions(
            200, 0.3, top, tuple(tuple(row) for row in matrix.tolist()), pairs
        ),
        cases=tuple(_case(rng, each, names, scale) for each in KINDS),
        newest=NewestRanking(
            DAY,
            3,
            tuple(
                RankedTicker(rank, f"T{rank}", 0.01 / rank, 0.01 / rank, (f"{names[0]}: +0.10%",))
                for rank in (1, 2, 3)
            ),
        ),
        drift=tuple(Drift(name, folds, 0.3 / (1 + place), 0.1) for place, name in enumerate(names)),
        checks=(
            TrustCheck("additivity", "Do the parts add up?", "Within 1e-7.", True, {"error": 1e-7}),
            TrustCheck("missing", "How much is missing?", "2% of cells.", None, {"share": 0.02}),
        ),
    )


def make_agreement(
    rng: np.random.Generator, top: tuple[str, ...], shares: np.ndarray, folds: int
) -> Agreement:
    """Make an agreement of folds, with cohorts of each kind."""
    tau = np.clip(0.6 + 0.1 * rng.normal(size=(folds, folds)), -1, 1)
    tau = (tau + tau.T) / 2
    np.fill_diagonal(tau, 1.0)
    cohorts: list[tuple[CohortKind, str]] = [("year", str(year)) for year in (2020, 2021)]
    cohorts += [("volatility", name) for name in ("calm", "middle", "stormy")]
    cohorts += [("sector", name) for name in ("Energy", "Health Care")]
    return Agreement(
        tuple(range(1, folds + 1)),
        tuple(tuple(row) for row in tau.tolist()),
        float(tau[np.triu_indices(folds, 1)].mean()) if folds > 1 else float("nan"),
        top,
        tuple(
            Cohort(
                kind,
                name,
                500,
                200,
                around(float(rng.normal(0.01, 0.02)), 0.03),
                tuple((shares[: len(top)] * rng.uniform(0.7, 1.3, len(top))).tolist()),
            )
            for kind, name in cohorts
        ),
    )


def _effect(rng: np.random.Generator, name: str, names: tuple[str, ...], scale: float) -> Effect:
    edges = np.sort(rng.normal(size=21))
    effect = scale * np.tanh(edges)
    return Effect(
        name,
        names[(names.index(name) + 1) % len(names)],
        scale / 10,
        tuple(edges.tolist()),
        tuple(effect.tolist()),
        tuple((effect - scale / 5).tolist()),
        tuple((effect + scale / 5).tolist()),
        (20,) * 20,
    )


def _case(rng: np.random.Generator, kind: CaseKind, names: tuple[str, ...], scale: float) -> Case:
    sizes = np.sort(np.abs(rng.normal(0, scale, min(8, len(names)))))[::-1]
    values = sizes * rng.choice([-1, 1], len(sizes))
    parts = tuple(
        Part(
            names[place],
            float(rng.normal()),
            float(value),
            float(rng.uniform()),
            f"{names[place]} in the top 5% of the market: {value:+.2%}",
        )
        for place, value in enumerate(values)
    )
    total = float(values.sum()) + 0.1 * scale
    latest = kind.startswith("latest")
    return Case(
        kind,
        DAY,
        "T1",
        0 if latest else 2,
        total,
        total,
        1,
        20,
        0,
        float("nan") if latest else 0.03,
        0.0,
        total,
        parts,
        0.1 * scale,
        9,
    )


def make_detail(rng: np.random.Generator, classes: tuple[str, ...], days: int = 400) -> SkillDetail:
    """Make the details of a run's skill."""
    dates = [DAY + dt.timedelta(days=number) for number in range(days)]
    volatility = 0.15 + 0.05 * rng.random(days)
    names = np.array(["calm", "middle", "stormy"])
    third = np.searchsorted(np.quantile(volatility, [1 / 3, 2 / 3]), volatility)
    daily = pl.DataFrame(
        {
            "date": dates,
            "rank_ic": rng.normal(0.02, 0.15, days),
            "volatility": volatility,
            "regime": names[third],
        }
    )
    months = daily.group_by(
        pl.col("date").dt.year().alias("year"), pl.col("date").dt.month().alias("month")
    ).agg(pl.len().alias("dates"), pl.col("rank_ic").mean())
    paths = pl.DataFrame({"date": dates}).with_columns(
        pl.Series(f"q{place}", np.cumsum(rng.normal((place - 3) * 1e-4, 1e-3, days)))
        for place in range(1, 6)
    )
    return SkillDetail(
        daily=daily,
        months=tuple(MonthSkill(*row) for row in months.sort("year", "month").iter_rows()),
        decay=tuple(Decay(days, around(0.02 - days / 5000, 0.02)) for days in (1, 5, 21, 30, 60)),
        quantiles=tuple(
            QuantileReturn(place, 1000, around((place - 3) * 0.001, 0.003)) for place in range(1, 6)
        ),
        quantile_paths=paths,
        memory=tuple(Memory(lag, 0.95 / lag**0.2, 0.05 * lag**0.5) for lag in (1, 5, 21, 63)),
        bins=()
        if classes
        else tuple(
            ForecastBin(0.01 * place - 0.04, around(0.002 * place, 0.01), 1000)
            for place in range(10)
        ),
        regimes=tuple(
            RegimeSkill(
                name,
                days // 3,
                0.1 + 0.05 * place,
                0.15 + 0.05 * place,
                around(0.01 * place, 0.03),
                0.05 + 0.02 * place,
                -0.001 * place,
                -0.001 * place - 0.004,
                -0.001 * place + 0.004,
            )
            for place, name in enumerate(names.tolist())
        ),
        worst=tuple(
            WorstRow(DAY, f"T{place}", 2, 0.02, -0.3 + 0.01 * place) for place in range(20)
        ),
    )
