"""The sections about the explanation say the numbers of their records, and what they mean."""

from __future__ import annotations

import dataclasses
import re
import string
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from src.v2.case_records import CaseKind
from src.v2.evaluation_records import Interval
from src.v2.explain.direction import explained
from src.v2.explanation_records import Cohort, Effect, Explanation, Importance
from src.v2.page.effect_words import effect_path
from src.v2.page.panels import Fact, Panel, Section, Table
from src.v2.page.sections import appendix, cases, drivers, shape, stability
from src.v2.records import ShapSample, TrainingResult
from src.v2.summary_text import stability_line
from src.v2.tests.results import make_result

pytestmark = pytest.mark.filterwarnings("error")

NAN = float("nan")
UNKNOWN = Interval(NAN, NAN, NAN, 0)
SECTIONS = (drivers, shape, stability, cases)
HOSTILE = ("<script>alert(1)</script>", "{first} {x!r:>9}", "a\nb\x00c", "}{", "$\\bad{")


@pytest.fixture(scope="module")
def run() -> TrainingResult:
    return make_result(rows=200, missing=0.05)


def panel(part: ModuleType, result: TrainingResult, name: str) -> Panel:
    section: Section = part.section(result)
    return next(each for each in section.content if each.name == name and isinstance(each, Panel))


def table(part: ModuleType, result: TrainingResult, name: str) -> Table:
    section: Section = part.section(result)
    return next(each for each in section.content if each.name == name and isinstance(each, Table))


def value(found: Panel, name: str) -> object:
    return found.answer.facts[name].value


def explained_by(result: TrainingResult, **changes: object) -> TrainingResult:
    """Change parts of the explanation."""
    return dataclasses.replace(
        result,
        explanation=dataclasses.replace(result.explanation, **changes),  # type: ignore[arg-type]
    )


def with_importance(result: TrainingResult, **changes: object) -> TrainingResult:
    importance: Importance = dataclasses.replace(
        result.explanation.importance,
        **changes,  # type: ignore[arg-type]
    )
    return explained_by(result, importance=importance)


def with_drops(result: TrainingResult, lows: list[float]) -> TrainingResult:
    """Give the features permutation drops with such lower bounds."""
    features = tuple(
        dataclasses.replace(each, permutation=Interval(low + 1, low, low + 2, 9))
        for each, low in zip(result.explanation.importance.features, lows, strict=False)
    )
    return with_importance(result, features=features)


def bare(result: TrainingResult) -> TrainingResult:
    """Take away everything that may be absent: one fold, one row, no pair, no case."""
    story = result.explanation
    first = dataclasses.replace(
        story.importance.features[0], permutation=UNKNOWN, null_share=NAN, direction=NAN,
        agreement=NAN, fold_shares=(1.0,), share=1.0, folds_used=0,
        shap=dataclasses.replace(story.importance.features[0].shap, low=NAN, high=NAN),
    )  # fmt: skip
    noise = dataclasses.replace(story.importance.noise, kinds=(), limit=NAN, below=())
    importance = dataclasses.replace(
        story.importance, features=(first,), families=(), noise=noise, skill=NAN
    )
    agreement = dataclasses.replace(
        story.agreement, folds=(1,), kendall=((1.0,),), mean_kendall=NAN, top=(first.name,),
        cohorts=(),
    )  # fmt: skip
    pairs = dataclasses.replace(
        story.interactions, names=(first.name,), matrix=((0.0,),), pairs=(), share=0.0
    )
    sample = result.shap
    small = ShapSample(
        sample.rows[:1], np.full((1, 1), np.nan, np.float32), np.zeros((1, 1, 1)),
        np.zeros((1, 1)), ("forecast",), (first.name,),
    )  # fmt: skip
    told = Explanation(importance, agreement, (), pairs, (), story.newest, (), ())
    found = dataclasses.replace(result.evaluation.stability, phi=NAN, phi_null=NAN, phi_pair=NAN)
    evaluation = dataclasses.replace(result.evaluation, stability=found, ranking=None)
    return dataclasses.replace(result, explanation=told, shap=small, evaluation=evaluation)


def check(section: Section) -> None:
    """Hold what every section must be."""
    names = [part.name for part in section.content]
    assert len(set(names)) == len(names)
    for part in section.content:
        assert re.fullmatch("[a-z0-9][a-z0-9-]*", part.name)
        if isinstance(part, Table):
            assert all(len(row) == len(part.head) for row in part.rows)
            continue
        asked = {name for _, name, _, _ in string.Formatter().parse(part.answer.template) if name}
        assert asked <= set(part.answer.facts)
        assert part.question.endswith("?")
        assert part.answer.text.strip()
        assert "nan" not in part.answer.text.lower().replace("finance", "")
        assert bool(part.draw) == bool(part.alt)
        if part.draw:
            assert part.draw().axes


@pytest.mark.parametrize("kind", ["regression", "binary", "rating"])
@pytest.mark.parametrize("part", SECTIONS)
def test_every_question_is_answered_for_every_kind_of_run(kind: str, part: ModuleType) -> None:
    check(part.section(make_result(kind, rows=60, missing=0.1)))


@pytest.mark.parametrize("part", SECTIONS)
def test_a_run_that_can_tell_nothing_says_so(run: TrainingResult, part: ModuleType) -> None:
    section = part.section(bare(run))
    check(section)
    words = " ".join(each.answer.text for each in section.content if isinstance(each, Panel))
    assert re.search("cannot be told|so nothing|No |None ", words)


def test_names_from_outside_stay_facts() -> None:
    plain = make_result().features.names
    result = make_result(names=(*HOSTILE, *plain[len(HOSTILE) :]), rows=40)
    story = result.explanation
    case = dataclasses.replace(
        story.cases[0],
        ticker="{ticker}</p>",
        parts=(dataclasses.replace(story.cases[0].parts[0], reason="{rank} <i>"),),
    )
    cohort = dataclasses.replace(story.agreement.cohorts[-1], name="{worst}")
    cohorts = (*story.agreement.cohorts[:-1], cohort)
    result = explained_by(
        result, cases=(case,), agreement=dataclasses.replace(story.agreement, cohorts=cohorts)
    )
    for part in SECTIONS:
        check(part.section(result))
    assert HOSTILE[0] in panel(drivers, result, "drivers-top").answer.text
    assert "{ticker}</p>" in panel(cases, result, "case-best").answer.text
    for part in SECTIONS:
        for each in part.section(result).content:
            if isinstance(each, Panel):
                assert not [name for name in HOSTILE if name in each.answer.template]


def test_the_first_feature_is_told_with_its_numbers(run: TrainingResult) -> None:
    found = panel(drivers, run, "drivers-top")
    importance = run.explanation.importance
    first = importance.features[0]
    assert value(found, "first") == first.name
    assert value(found, "size") == pytest.approx(1e4 * first.shap.mean)
    assert value(found, "low") == pytest.approx(1e4 * first.shap.low)
    assert value(found, "high") == pytest.approx(1e4 * first.shap.high)
    assert value(found, "drop") == first.permutation.mean
    assert value(found, "drop_low") == first.permutation.low
    assert value(found, "compactness") == importance.compactness
    assert value(found, "above") == sum(
        each.better_than_noise is True for each in importance.features
    )
    useful = sum(each.permutation.low > 0 for each in importance.features[:20])
    assert value(found, "useful") == useful > 0
    assert "basis points of excess return" in found.answer.text
    assert "does not" not in found.note
    assert "not what helps" in found.note


@pytest.mark.parametrize(
    ("useful", "words"),
    [
        (0, "For none of the 20 largest is it shown that it helps"),
        (1, "1 of the 20 largest helps"),
        (2, "2 of the 20 largest help:"),
        (20, "20 of the 20 largest help:"),
    ],
)
def test_a_few_useful_features_are_put_down_to_luck(
    run: TrainingResult, useful: int, words: str
) -> None:
    result = with_drops(run, [0.5] * useful + [-0.5] * (30 - useful))
    text = panel(drivers, result, "drivers-top").answer.text
    assert words in text
    assert ("About 1 of 20 such intervals lies there by luck" in text) == (useful > 0)
    assert ("up to 3 prove nothing" in text) == (useful > 0)


def test_the_measure_is_said_to_be_of_the_permuted_rows(run: TrainingResult) -> None:
    found = panel(drivers, run, "drivers-top")
    assert value(found, "permuted_rows") == run.explanation.importance.permuted_rows == 10_000
    assert "the mean rank IC of the 10,000 rows that are permuted is +0.0200" in found.answer.text


@pytest.mark.parametrize(
    ("drop", "words"),
    [
        (Interval(0.02, 0.01, 0.03, 9), "permuting it costs +2.00% more squared error (+1.00% to"),
        (
            Interval(-0.0029, -0.005, -0.001, 9),
            "permuting it helps: +0.29% less squared error (+0.10% to +0.50%)",
        ),
        (
            Interval(-0.0029, -0.005, 0.001, 9),
            "is not shown to cost anything (-0.29% more squared error; -0.50% to +0.10%)",
        ),
        (Interval(0.02, NAN, NAN, 3), "not shown to cost anything (+2.00% more squared error; no"),
    ],
)
def test_a_permutation_costs_helps_or_neither_is_shown(
    run: TrainingResult, drop: Interval, words: str
) -> None:
    story = run.explanation.importance
    first = dataclasses.replace(story.features[0], permutation=drop)
    family = dataclasses.replace(story.families[0], permutation=drop)
    result = with_importance(
        run, measure="squared error", features=(first, *story.features[1:]),
        families=(family, *story.families[1:]),
    )  # fmt: skip
    for name in ("drivers-top", "drivers-families"):
        text = panel(drivers, result, name).answer.text
        assert words in text
        assert "(– to –)" not in text


def test_a_better_ranking_without_a_feature_is_a_gain_of_rank_ic(run: TrainingResult) -> None:
    first = dataclasses.replace(
        run.explanation.importance.features[0], permutation=Interval(-0.003, -0.004, -0.002, 9)
    )
    result = with_importance(run, features=(first,))
    text = panel(drivers, result, "drivers-top").answer.text
    assert "permuting it helps: +0.0030 more rank IC (+0.0020 to +0.0040)" in text


def test_drops_without_bounds_are_not_called_useless(run: TrainingResult) -> None:
    text = panel(drivers, with_drops(run, [NAN] * 30), "drivers-top").answer.text
    assert "cannot be told from so few dates" in text
    assert "helps" not in text


def test_a_model_that_uses_no_feature_is_said_to(run: TrainingResult) -> None:
    features = tuple(
        dataclasses.replace(each, shap=Interval(0.0, 0.0, 0.0, 9))
        for each in run.explanation.importance.features
    )
    found = panel(drivers, with_importance(run, features=features), "drivers-top")
    assert "models use none" in found.answer.text
    assert found.draw is None


def test_a_loss_is_told_as_a_rise(run: TrainingResult) -> None:
    result = with_importance(run, measure="log loss", skill=0.69)
    text = panel(drivers, result, "drivers-top").answer.text
    assert "more log loss" in text
    assert "the mean log loss of the 10,000 rows that are permuted is 0.6900" in text
    assert "more log loss" in text


def test_noise_is_told_with_every_probe(run: TrainingResult) -> None:
    found = panel(drivers, run, "drivers-noise")
    noise = run.explanation.importance.noise
    assert value(found, "probe") == "one a ticker"
    assert value(found, "limit") == noise.limit
    assert value(found, "below") == len(noise.below)
    for place, kind in enumerate(noise.kinds, 1):
        assert value(found, f"probe_{place}") == kind.name
        assert value(found, f"share_{place}") == kind.mean
        assert value(found, f"low_{place}") == kind.low
        assert value(found, f"high_{place}") == kind.high
        assert value(found, f"drop_{place}") == kind.drop
    for name in ("drivers-noise", "drivers-top"):
        text = panel(drivers, run, name).answer.text
        assert "trongest of 20 columns of chance in 3 extra fits" in text


def test_without_a_noise_line_no_feature_is_said_to_pass_it(run: TrainingResult) -> None:
    story = run.explanation.importance
    features = tuple(dataclasses.replace(e, better_than_noise=None) for e in story.features)
    noise = dataclasses.replace(story.noise, limit=0.0, below=())
    result = with_importance(run, features=features, noise=noise)
    for name in ("drivers-noise", "drivers-top"):
        text = panel(drivers, result, name).answer.text
        assert "line can be drawn" in text
        assert "strongest" not in text and "at or below" not in text
    cells = {row[-1] for row in table(appendix, result, "features").rows}
    assert cells == {"–"}


def test_shares_on_permuted_labels_are_counted_and_correlated(run: TrainingResult) -> None:
    rng = np.random.default_rng(1)
    features = tuple(
        dataclasses.replace(each, null_share=float(rng.uniform(0, 0.06)))
        for each in run.explanation.importance.features
    )
    found = panel(drivers, with_importance(run, features=features), "drivers-null")
    table = np.array([(each.null_share, each.share) for each in features])
    assert value(found, "as_large") == (table[:, 0] >= table[:, 1]).sum()
    assert value(found, "correlation") == pytest.approx(stats.spearmanr(table).statistic)
    assert "about half would in any case" in found.answer.text


def test_directions_are_counted(run: TrainingResult) -> None:
    found = panel(shape, run, "shape-swarm")
    directions = [each.direction for each in run.explanation.importance.features[:20]]
    assert value(found, "up") == sum(each >= 0.3 for each in directions)
    assert value(found, "down") == sum(each <= -0.3 for each in directions)
    counts = [value(found, name) for name in ("up", "down", "neither")]
    assert sum(int(str(count)) for count in counts) == value(found, "shown") == 20


@pytest.mark.parametrize(
    ("direction", "words"),
    [
        (0.8, "push it up"),
        (-0.8, "push it down"),
        (0.1, "neither up nor down"),
        (NAN, "no direction"),
    ],
)
def test_the_first_direction_is_told_in_words(
    run: TrainingResult, direction: float, words: str
) -> None:
    features = run.explanation.importance.features
    first = dataclasses.replace(features[0], direction=direction)
    result = with_importance(run, features=(first, *features[1:]))
    assert words in panel(shape, result, "shape-swarm").answer.text


def test_an_effect_is_told_with_its_move_and_what_missing_rows_get(run: TrainingResult) -> None:
    found = panel(shape, run, "shape-effect-1")
    effect = run.explanation.effects[0]
    path = effect_path(effect)
    assert (value(found, "move"), value(found, "low")) == (path.move, path.low)
    assert "the line is rising" in found.answer.text
    column = run.shap.feature_names.index(effect.feature)
    lost = np.isnan(run.shap.features[:, column])
    assert value(found, "missing") == lost.mean() > 0
    assert value(found, "where_missing") == pytest.approx(
        float(explained(run.shap)[lost, column].mean())
    )
    assert value(found, "partner") == effect.partner


@pytest.mark.parametrize("lucky", [False, True])
def test_an_effect_is_told_by_the_interval_of_its_move_alone(
    run: TrainingResult, lucky: bool
) -> None:
    effect = run.explanation.effects[0]
    # That one bound of twenty leaves 0 is no news: half of all bands do that by luck.
    low = (-1.0,) * 9 + ((0.1 if lucky else -1.0),) + (-1.0,) * 11
    unsure = dataclasses.replace(effect, low=low, high=(1.0,) * 21)
    text = panel(shape, explained_by(run, effects=(unsure,)), "shape-effect-1").answer.text
    assert "so the ends may be level)" in text
    sure = panel(shape, run, "shape-effect-1")
    assert "may be level" not in sure.answer.text
    assert 0 < float(str(value(sure, "low")))
    unknown = dataclasses.replace(effect, low=(NAN,) * 21, high=(NAN,) * 21, partner="")
    text = panel(shape, explained_by(run, effects=(unknown,)), "shape-effect-1").answer.text
    assert "too few dates for an interval" in text
    assert "acts most together" not in text


def along(line: Callable[[np.ndarray], np.ndarray], half: float = 0.1) -> Effect:
    """Make an effect of twenty equal bins."""
    edges = np.linspace(-1, 1, 21)
    values = line(edges)
    low, high = values - half, values + half
    return Effect(
        "a", "", NAN, tuple(edges), tuple(values), tuple(low), tuple(high), (10,) * 20
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (lambda x: x, "rising"),
        (lambda x: -np.exp(x), "falling"),
        (lambda x: x + 0.2 * np.sin(9 * x), "mostly rising"),
        (lambda x: x**2, "U-shaped"),
        (lambda x: 1 - x**2, "hump-shaped"),
        (lambda x: 0 * x, "flat"),
        (lambda x: np.sin(9 * x) - x, "without a single direction"),
    ],
)
def test_shapes_have_names(line: Callable[[np.ndarray], np.ndarray], words: str) -> None:
    assert effect_path(along(line)).shape == words


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(0, 10_000))
def test_the_bounds_of_a_move_hold_it_and_its_sign_turns_with_the_effect(
    rows: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=len(rows) + 1)
    half = rng.uniform(0, 1, len(values))
    edges = tuple(np.arange(len(values), dtype=float).tolist())
    up = Effect(
        "a", "", NAN, edges, tuple(values), tuple(values - half), tuple(values + half), tuple(rows)
    )
    down = Effect(
        "a",
        "",
        NAN,
        edges,
        tuple(-values),
        tuple(-values - half),
        tuple(half - values),
        tuple(rows),
    )
    path, turned = effect_path(up), effect_path(down)
    assert path.low <= path.move <= path.high
    assert abs(path.move) <= path.span + 1e-12
    assert turned.move == pytest.approx(-path.move)
    assert (turned.low, turned.high) == pytest.approx((-path.high, -path.low))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_a_move_is_between_the_rows_at_the_ends(rows: list[int]) -> None:
    values = np.sqrt(np.arange(len(rows) + 1.0))
    effect = Effect(
        "a", "", NAN, tuple(values), tuple(values), tuple(values), tuple(values), tuple(rows)
    )
    # The slow way: walk along the bins until so many rows are passed.
    ends = []
    for wanted in (0.05 * sum(rows), 0.95 * sum(rows)):
        passed, place = 0.0, 0
        while passed + rows[place] < wanted:
            passed += rows[place]
            place += 1
        part = (wanted - passed) / rows[place]
        ends.append(values[place] + part * (values[place + 1] - values[place]))
    assert effect_path(effect).move == pytest.approx(ends[1] - ends[0])


def test_the_leading_pair_is_told_and_listed(run: TrainingResult) -> None:
    found = panel(shape, run, "shape-pairs-matrix")
    pairs = run.explanation.interactions.pairs
    together = run.explanation.interactions
    own = [together.matrix[place][place] for place in range(len(together.names))]
    assert value(found, "own") == pytest.approx(1e4 * max(own))
    assert value(found, "alone") == together.names[own.index(max(own))]
    # A share of all pairs is no finding: it is as large on noise.
    assert "share" not in found.answer.facts and "%" not in found.answer.text
    note = table(shape, run, "shape-pairs").note
    assert f"{together.share:.0%}" in note and "no measure" in note
    assert (value(found, "first"), value(found, "second")) == (pairs[0].first, pairs[0].second)
    rows = table(shape, run, "shape-pairs").rows
    assert [(row[1], row[2]) for row in rows] == [(pair.first, pair.second) for pair in pairs]
    assert [row[4].value for row in rows if isinstance(row[4], Fact)] == [p.share for p in pairs]


def test_features_that_lead_everywhere_are_counted_beside_chance(run: TrainingResult) -> None:
    found = panel(stability, run, "stability-folds")
    features = run.explanation.importance.features
    leading = [
        {each.name for each in sorted(features, key=lambda e: -e.fold_shares[fold])[:10]}
        for fold in range(8)
    ]
    assert value(found, "always") == len(set.intersection(*leading))
    assert value(found, "chance") == pytest.approx(30 * (10 / 30) ** 8)
    widest = next(each for each in features if each.name == value(found, "widest"))
    assert value(found, "most") == max(widest.fold_shares)
    assert value(found, "least") == min(widest.fold_shares)


def test_agreement_of_folds_stands_beside_permuted_labels(run: TrainingResult) -> None:
    found = panel(stability, run, "stability-tau")
    assert value(found, "mean") == run.explanation.agreement.mean_kendall
    assert value(found, "pairs") == 28
    assert value(found, "phi") == run.evaluation.stability.phi
    assert value(found, "phi_null") == run.evaluation.stability.phi_null
    assert "no steadier" not in found.answer.text
    assert value(found, "phi_pair") == run.evaluation.stability.phi_pair == 0.45
    # Above the pair, though below Phi of all folds.
    null = dataclasses.replace(run.evaluation.stability, phi_null=0.47)
    noise = dataclasses.replace(run, evaluation=dataclasses.replace(run.evaluation, stability=null))
    text = panel(stability, noise, "stability-tau").answer.text
    assert "On one pair of folds it is +0.45, and +0.47 where the same pair" in text
    assert "no steadier than on noise" in text
    line = stability_line(noise)
    assert "on one pair of folds +0.45, and +0.47 with permuted labels" in line


def test_the_least_steady_direction_is_named(run: TrainingResult) -> None:
    shown = run.explanation.importance.features[:12]
    found = panel(stability, run, "stability-direction")
    weakest = min(shown, key=lambda each: each.agreement)
    assert (value(found, "weakest"), value(found, "agreement")) == (weakest.name, weakest.agreement)
    assert value(found, "steady") == sum(each.agreement == 1 for each in shown)


def test_folds_that_do_not_use_a_feature_do_not_confirm_its_direction(run: TrainingResult) -> None:
    features = [
        dataclasses.replace(each, agreement=1.0, folds_used=8)
        for each in run.explanation.importance.features
    ]
    features[1] = dataclasses.replace(features[1], folds_used=3)
    found = panel(stability, with_importance(run, features=tuple(features)), "stability-direction")
    assert (value(found, "steady"), value(found, "partly")) == (11, 1)
    assert "11 of the 12 leading features push the same way in all 8 folds" in found.answer.text
    assert "1 does so in all of the folds that use it" in found.answer.text
    features[2] = dataclasses.replace(features[2], agreement=0.5, folds_used=6)
    found = panel(stability, with_importance(run, features=tuple(features)), "stability-direction")
    assert "50% of the folds that use it (used in 6 of 8)" in found.answer.text


def test_a_chance_that_rounds_to_nothing_is_not_told_as_a_number(run: TrainingResult) -> None:
    agreement = run.explanation.agreement
    features = tuple(
        dataclasses.replace(each, fold_shares=each.fold_shares * 2)
        for each in run.explanation.importance.features
    )
    many = dataclasses.replace(agreement, folds=tuple(range(1, 17)))
    result = explained_by(with_importance(run, features=features), agreement=many)
    text = panel(stability, result, "stability-folds").answer.text
    assert "hardly any would be" in text and "0.000" not in text


def test_cohorts_without_an_interval_are_not_named(run: TrainingResult) -> None:
    agreement = run.explanation.agreement
    cohorts = [each for each in agreement.cohorts if each.kind == "year"]
    wild = dataclasses.replace(cohorts[0], name="1999", rank_ic=Interval(0.9, NAN, NAN, 2))
    kept = dataclasses.replace(cohorts[1], rank_ic=Interval(0.02, 0.01, 0.03, 9))

    def text(*each: Cohort) -> str:
        story = dataclasses.replace(agreement, cohorts=each)
        return panel(stability, explained_by(run, agreement=story), "stability-year").answer.text

    both = text(wild, kept)
    assert f"The rank IC in {kept.name} is +0.0200 (+0.0100 to +0.0300)." in both
    assert "1 of 1 interval lies above 0" in both
    assert "rank IC is lowest" not in both and "+0.9000" not in both
    alone = text(wild)
    assert "No rank IC has an interval" in alone
    for words in (both, alone):
        assert "(– to –)" not in words


@pytest.mark.parametrize("kind", ["year", "volatility", "sector"])
def test_cohorts_are_compared_by_what_the_record_says(run: TrainingResult, kind: str) -> None:
    found = panel(stability, run, f"stability-{kind}")
    agreement = run.explanation.agreement
    cohorts = [each for each in agreement.cohorts if each.kind == kind]
    ics = {each.name: each.rank_ic for each in cohorts}
    assert value(found, "best_ic") == max(each.mean for each in ics.values())
    assert ics[str(value(found, "worst"))].mean == value(found, "worst_ic")
    assert ics[str(value(found, "best"))].high == value(found, "best_high")
    assert value(found, "useful") == sum(each.low > 0 for each in ics.values())
    column = agreement.top.index(str(value(found, "feature")))
    spreads = np.ptp([each.shares for each in cohorts], axis=0)
    assert spreads[column] == spreads.max()
    assert float(str(value(found, "most"))) - float(str(value(found, "least"))) == pytest.approx(
        spreads.max()
    )


def test_a_kind_without_cohorts_says_why(run: TrainingResult) -> None:
    agreement = run.explanation.agreement
    kept = tuple(each for each in agreement.cohorts if each.kind == "year")[:1]
    result = explained_by(run, agreement=dataclasses.replace(agreement, cohorts=kept))
    sector = panel(stability, result, "stability-sector")
    assert "No sector" in sector.answer.text
    assert sector.draw is None
    assert "nothing can be compared" in panel(stability, result, "stability-year").answer.text


def test_cohorts_of_few_tickers_have_no_rank_ic(run: TrainingResult) -> None:
    agreement = run.explanation.agreement
    cohorts = tuple(
        dataclasses.replace(each, rank_ic=UNKNOWN, shares=(NAN,) * len(agreement.top))
        for each in agreement.cohorts
    )
    result = explained_by(run, agreement=dataclasses.replace(agreement, cohorts=cohorts))
    found = panel(stability, result, "stability-sector")
    assert "so few tickers" in found.answer.text
    assert found.draw is not None
    assert found.draw().axes


def test_a_case_is_told_with_its_rank_outcome_and_reasons(run: TrainingResult) -> None:
    for case in run.explanation.cases:
        found = panel(cases, run, f"case-{case.kind.replace(' ', '-')}")
        text = found.answer.text
        assert value(found, "rank") == case.rank
        assert value(found, "total") == case.total
        assert text.split("\n")[1:] == [part.reason for part in case.parts[:3]]
        assert ("not known yet" in text) == case.kind.startswith("latest")
        assert ("shipped model" in text) == (case.fold == 0)
    assert (
        len({panel.question for panel in cases.section(run).content if isinstance(panel, Panel)})
        == 8
    )


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (0, "ranked 4 of 8 by the model of fold 2. "),
        (1, "ranked 4 of 8 by the model of fold 2, level with 1 other. "),
        (4, "ranked 4 of 8 by the model of fold 2, level with 4 others. "),
        (7, "All 8 tickers of the date have the same score by the model of fold 2. "),
    ],
)
def test_tickers_of_the_same_score_are_said_to_be_level(
    run: TrainingResult, level: int, words: str
) -> None:
    case = dataclasses.replace(run.explanation.cases[3], rank=4, tickers=8, level=level)
    assert words in panel(cases, explained_by(run, cases=(case,)), "case-short").answer.text


@pytest.mark.parametrize("above, short", [(-0.01, True), (0.01, False)])
def test_the_extremes_say_what_they_are_the_extremes_of(
    run: TrainingResult, above: float, short: bool
) -> None:
    words: tuple[tuple[CaseKind, str], ...] = (("best", "paid"), ("worst", "cost"))
    for kind, word in words:
        case = dataclasses.replace(run.explanation.cases[0], kind=kind, above=above)
        result = explained_by(run, cases=(case,))
        text = panel(cases, result, f"case-{kind}").answer.text
        side = ", as a short, " if short else " "
        assert f"{word} most{side}by score times excess return" in text
        assert "no proof of" in text
        small = dataclasses.replace(
            result, evaluation=dataclasses.replace(run.evaluation, ranking=None)
        )
        text = panel(cases, small, f"case-{kind}").answer.text
        assert f"{word} most{side}by score times return. " in text


def test_a_forecast_rank_is_said_to_be_centred(run: TrainingResult) -> None:
    rank = with_importance(run, quantity="rank within the date")
    assert "(0 is the middle of the date" in panel(cases, rank, "case-best").answer.text
    assert "middle of the date" not in panel(cases, run, "case-best").answer.text


@pytest.mark.parametrize("kind", ["regression", "binary", "rating"])
def test_log_odds_are_said_to_be_those_before_calibration(kind: str) -> None:
    result = make_result(kind, rows=30)
    for part in (shape, cases):
        assert ("before calibration" in part.section(result).data) == (kind != "regression")


def test_all_reasons_are_listed_folded(run: TrainingResult) -> None:
    found = table(cases, run, "case-reasons")
    parts = [(case, part) for case in run.explanation.cases for part in case.parts]
    assert found.folded
    assert len(found.rows) == len(parts)
    for row, (case, part) in zip(found.rows, parts, strict=True):
        facts = [cell.value for cell in row if isinstance(cell, Fact)]
        assert facts == [case.date, part.value, part.place, part.contribution]
        assert (row[0], row[3], row[7]) == (case.kind, part.feature, part.reason)


def test_compactness_of_cases_stands_beside_that_of_all_rows(run: TrainingResult) -> None:
    found = panel(cases, run, "case-compactness")
    assert (value(found, "least"), value(found, "most")) == (9, 9)
    assert value(found, "typical") == run.explanation.importance.compactness


def test_a_small_universe_is_explained_all_the_same(run: TrainingResult) -> None:
    evaluation = dataclasses.replace(run.evaluation, ranking=None, portfolio=None, ratings=())
    case = dataclasses.replace(run.explanation.cases[0], rank=1, tickers=1)
    small = dataclasses.replace(
        explained_by(with_importance(run, measure="squared error"), cases=(case,)),
        evaluation=evaluation,
    )
    for part in SECTIONS:
        check(part.section(small))
    assert "stood alone" in panel(cases, small, "case-best").answer.text
