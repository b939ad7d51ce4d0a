"""What the frame of the page says: the verdict, the card, the design, trust and appendix."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from typing import Any

import numpy as np
import pytest

from src.v2.evaluation_records import Interval, Outcome, Word
from src.v2.explain.trust import check_plausibility
from src.v2.explanation_records import TrustCheck
from src.v2.figures.folds import fold_schedule
from src.v2.page.panels import Fact, Panel, Section, Table
from src.v2.page.render import make_page
from src.v2.page.sections import appendix, card, design, trust, verdict
from src.v2.page.sections.verdict import best_rule, passed_checks
from src.v2.records import TrainingResult
from src.v2.tests.page.made_up import (
    IDENTITY,
    frame_sections,
    make_hostile_run,
    make_run,
    make_small_run,
    with_word,
)
from src.v2.tests.results import make_result

WORDS: tuple[Word, ...] = ("evidence", "no evidence", "implausible: check for leakage")
NAN = float("nan")
EPOCH = dt.date(1970, 1, 1)  # of matplotlib's dates


def parts(section: Section) -> dict[str, Any]:
    return {part.name: part for part in section.content}


def values(table: Table) -> dict[str, Any]:
    """Read a table of two columns."""
    return {str(row[0]): row[1].value if isinstance(row[1], Fact) else row[1] for row in table.rows}


def replace_evaluation(run: TrainingResult, **changes: Any) -> TrainingResult:
    return dataclasses.replace(run, evaluation=dataclasses.replace(run.evaluation, **changes))


@pytest.mark.parametrize(
    "run",
    [
        *(make_run(kind) for kind in ("regression", "binary", "rating")),
        *(make_small_run(kind) for kind in ("regression", "binary", "rating")),
        make_hostile_run(),
        make_result(),
    ],
    ids=["regression", "binary", "rating", "small", "small binary", "small rating", "odd", "bare"],
)
def test_every_kind_of_run_has_a_page_whose_pictures_are_drawn(run: TrainingResult) -> None:
    page = make_page(frame_sections(run), run, IDENTITY, card.title_of(run))
    assert page.record["pictures_failed"] == {}
    tiles = [name for name in page.record["panels"] if name.startswith("tile-")]
    assert len(tiles) == 6


@pytest.mark.parametrize("word", WORDS)
def test_each_verdict_has_its_word_and_its_conclusion(word: Word) -> None:
    found = parts(verdict.section(with_word(make_run(), word)))
    assert found["verdict-word"].answer.facts["word"].value == word
    said = found["verdict-conclusion"].answer.text
    assert ("cannot be told from luck" in said) == (word == "no evidence")
    assert ("did better than luck" in said) == (word == "evidence")
    assert ("too good to be true" in said) == word.startswith("implausible")
    assert "One of 3 configurations tried" in said and "one of 3 configurations scored" in said


@pytest.mark.parametrize("low, earned", [(0.2, True), (-0.2, False), (0.0, False)])
def test_evidence_says_whether_it_was_shown_to_earn(low: float, earned: bool) -> None:
    run = with_word(make_run(), "evidence")
    portfolio = run.evaluation.portfolio
    assert portfolio is not None
    first = dataclasses.replace(portfolio.books[0], sharpe=Interval(0.5, low, 1.0, 600))
    books = (first, *portfolio.books[1:])
    run = replace_evaluation(run, portfolio=dataclasses.replace(portfolio, books=books))
    said = parts(verdict.section(run))["verdict-conclusion"].answer.text
    assert ("After costs it earned" in said) is earned
    assert ("after costs is not shown" in said) is not earned


def test_tiles_show_the_records_numbers() -> None:
    run = make_run()
    ranking, portfolio = run.evaluation.ranking, run.evaluation.portfolio
    assert ranking is not None and portfolio is not None
    tiles = parts(verdict.section(run))
    facts = {name: tile.answer.facts for name, tile in tiles.items()}
    assert facts["tile-rank-ic"]["centre"].value == ranking.rank_ic.mean
    assert facts["tile-rank-ic"]["low"].value == ranking.rank_ic.low
    assert facts["tile-ewc"]["p"].value == ranking.ewc.p
    assert facts["tile-sharpe"]["centre"].value == portfolio.books[0].sharpe.mean
    assert facts["tile-sharpe"]["trials"].value == run.evaluation.verdict.trials
    assert facts["tile-coverage"]["tickers"].value == 50
    assert facts["tile-coverage"]["left_out"].value == 2
    assert "50 tickers\n" in tiles["tile-coverage"].answer.text


def test_a_small_universe_is_told_nothing_of_ranks() -> None:
    for kind in ("regression", "binary"):
        run = make_small_run(kind)
        text = " ".join(
            part.question + part.answer.text
            for part in verdict.section(run).content
            if part.name.startswith("tile-") and isinstance(part, Panel)
        )
        assert "rank" not in text.lower() and "Sharpe" not in text
        assert "1 ticker\n" in text


def test_the_best_rule_is_the_highest_that_ranks_and_no_nonsense() -> None:
    run = make_run()
    rule = run.evaluation.baselines[0]

    def ranked(name: str, mean: float) -> Any:
        return dataclasses.replace(rule, name=name, rank_ic=Interval(mean, NAN, NAN, 3))

    rules = (ranked("a", 0.01), ranked("b", 0.03), ranked("zero", NAN))
    nonsense = ranked("permuted labels", 0.9)
    best = best_rule(replace_evaluation(run, baselines=(*rules, nonsense)))
    assert best is not None and best.name == "b"
    none = replace_evaluation(run, baselines=(rules[2], nonsense))
    assert best_rule(none) is None
    assert "no simple rule" in parts(verdict.section(none))["tile-rule"].answer.text


def test_an_interval_that_is_unknown_is_not_written() -> None:
    run = make_run()
    ranking = run.evaluation.ranking
    assert ranking is not None
    short = dataclasses.replace(ranking, rank_ic=Interval(0.02, NAN, NAN, 2))
    said = parts(verdict.section(replace_evaluation(run, ranking=short)))["tile-rank-ic"]
    assert said.answer.text == "+0.0200\nno interval: too few dates"


def test_checks_that_only_inform_are_not_counted_and_failures_are_named() -> None:
    run = make_run()
    assert passed_checks(run) == (2, 2, ())
    checks = (
        TrustCheck("additivity", "?", "Off by 1.", False, {"error": 1.0}),
        TrustCheck("missing", "?", "None.", None, {}),
    )
    told = dataclasses.replace(run.explanation, checks=checks)
    failed = dataclasses.replace(run, explanation=told)
    assert passed_checks(failed) == (1, 2, ("additivity",))
    assert "Not passed: additivity" in parts(trust.section(failed))["trust-summary"].answer.text
    assert "not passed: additivity" in parts(verdict.section(failed))["tile-checks"].answer.text
    assert parts(trust.section(failed))["trust-checks"].rows[0][1] == "✗ not passed"
    assert passed_checks(with_word(run, WORDS[2])) == (1, 2, ("mean rank IC",))


@pytest.mark.parametrize("outcome", ["plausible", "suspicious", "implausible"])
def test_a_number_with_limits_counts_once_and_the_tile_agrees_with_the_tables(
    outcome: Outcome,
) -> None:
    run = make_run()
    (guard,) = run.evaluation.verdict.guard
    found = dataclasses.replace(
        run.evaluation.verdict, guard=(dataclasses.replace(guard, outcome=outcome),)
    )
    run = replace_evaluation(run, verdict=found)
    checks = (
        TrustCheck("additivity", "?", "Off by 0.", True, {}),
        check_plausibility(run.evaluation),
    )
    run = dataclasses.replace(run, explanation=dataclasses.replace(run.explanation, checks=checks))
    good = outcome == "plausible"
    assert passed_checks(run) == (1 + good, 2, () if good else (guard.quantity,))
    section = parts(trust.section(run))
    assert section["trust-checks"].rows[1][1] == ("✓ passed" if good else "✗ not passed")
    text = parts(verdict.section(run))["tile-checks"].answer.text
    assert text.startswith(f"{1 + good} of 2\n") and ("all passed" in text) == good


def test_the_card_names_the_run_its_data_and_its_limits() -> None:
    run = make_run()
    found = parts(card.section(run, IDENTITY))
    made, data = values(found["card-run"]), values(found["card-data"])
    assert made["Model"] == IDENTITY.model and made["MLflow run"] == IDENTITY.run_id
    assert made["Commit"] == IDENTITY.commit and made["xgboost"] == "3.4.1" and made["Seed"] == 42
    assert data["Fingerprint of the bars"] == run.coverage.fingerprint
    assert data["First session"] == run.coverage.first
    task = values(found["card-task"])
    assert task["Horizon, sessions"] == 21 and task["Rows purged in all folds"] == 8 * 420
    assert values(found["card-learner"])["max_depth"] == 6
    assert "Survivorship" in values(found["card-limits"])
    assert values(found["card-left-out"]) == dict(run.features.left_out)
    assert [row[0] for row in found["card-drops"].rows] == ["GONE", "SHORT", "T1"]
    assert card.title_of(run) == "Excess return over 21 sessions"


def test_the_card_tells_what_intervals_held_on_parts_of_the_dates() -> None:
    run = make_run()
    assert not [
        row for row in values(parts(card.section(run, IDENTITY))["card-task"]) if "…" in row
    ]
    held = {"held": 0.82, "low": 0.79, "high": 0.85, "later": 0.78, "calm": 0.73, "other": 0.85}
    metrics = dict(run.metrics) | {f"cv_interval_80_{name}": each for name, each in held.items()}
    task = values(
        parts(card.section(dataclasses.replace(run, metrics=metrics), IDENTITY))["card-task"]
    )
    assert task["Outcomes that 80% intervals held"] == "82.00% (79.00% to 85.00%)"
    assert task["… on the later half of the dates"] == 0.78
    assert task["… on the calmest fifth of the dates"] == 0.73
    assert task["… on the other dates"] == 0.85


def test_a_run_outside_a_repository_and_mlflow_says_so() -> None:
    nowhere = dataclasses.replace(IDENTITY, run_id=None, commit=None)
    made = values(parts(card.section(make_run(), nowhere))["card-run"])
    assert made["MLflow run"] == "not kept" and made["Commit"] == "no repository"


def test_classes_are_listed_and_nothing_left_out_makes_no_table() -> None:
    run = make_run("rating")
    run = dataclasses.replace(
        run,
        coverage=dataclasses.replace(run.coverage, drops=()),
        features=dataclasses.replace(run.features, left_out={}),
    )
    found = parts(card.section(run, IDENTITY))
    assert values(found["card-task"])["Classes"] == "Strong Sell, Sell, Hold, Buy, Strong Buy"
    assert "card-drops" not in found and "card-left-out" not in found


def test_the_design_counts_the_gap_and_warns_of_one_that_is_too_short() -> None:
    run = make_run()
    found = parts(design.section(run))["folds"].answer
    assert found.facts["gap"].value == 31 and found.facts["purged"].value == 8 * 420
    assert found.facts["span"].value == 22 and "too short" not in found.text
    first = run.folds[0]
    leaky = dataclasses.replace(first, train_last=first.test_first - dt.timedelta(days=21))
    text = parts(design.section(dataclasses.replace(run, folds=(leaky, *run.folds[1:]))))
    assert "too short: look for a leak" in text["folds"].answer.text


def test_the_schedule_draws_every_fold_where_its_dates_are() -> None:
    run = make_run()
    held = (run.holdout.first, run.holdout.last)
    axes = fold_schedule(run.folds, held).axes[0]
    bars: Any = axes.patches
    assert len(bars) == 3 * len(run.folds) + 1
    for place, fold in enumerate(run.folds):
        spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars[3 * place :][:3]]
        edges = [fold.train_first, fold.train_last, fold.test_first, fold.test_last]
        days = [(edge - EPOCH).days for edge in edges]
        np.testing.assert_allclose(spans, list(itertools.pairwise(days)))
        assert bars[3 * place].get_y() + bars[3 * place].get_height() / 2 == pytest.approx(place)
    assert bars[-1].get_x() == (held[0] - EPOCH).days
    low, high = axes.get_xlim()
    assert low < min(bar.get_x() for bar in bars)
    assert high > max(bar.get_x() + bar.get_width() for bar in bars)


@pytest.mark.parametrize("count", [1, 60])
def test_one_fold_and_sixty_fit(count: int) -> None:
    run = make_run()
    folds = [dataclasses.replace(run.folds[0], number=n + 1) for n in range(count)]
    figure = fold_schedule(folds, (run.holdout.first, run.holdout.last))
    assert figure.get_figheight() <= 7.0
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "fold 1" and labels[-1] == "holdout" and len(labels) <= 32


def test_the_appendix_has_every_feature_and_metric_with_its_meaning() -> None:
    run = make_run()
    found = parts(appendix.section(run))
    features = run.explanation.importance.features
    rows = found["features"].rows
    assert [row[0] for row in rows] == [feature.name for feature in features]
    assert rows[0][5].value == pytest.approx(1e4 * features[0].shap.mean)
    assert rows[3][8].value == features[3].permutation.mean
    assert rows[0][2] == run.features.docs[features[0].name]
    psi = {drift.feature: drift.psi for drift in run.explanation.drift}
    column = found["features"].head.index("PSI")
    shown = [row[column].value for row in rows]
    np.testing.assert_array_equal(shown, [psi[row[0]] for row in rows])
    metrics = {row[0]: (row[1].value, row[2]) for row in found["metrics"].rows}
    assert metrics["cv_rank_ic_mean"] == (0.0213, "mean of a score over folds")
    assert metrics["cv_dates"][1] == "dates with at least 10 tickers"
    assert all(row[2] != "–" for row in found["metrics"].rows)


@pytest.mark.parametrize(
    "psi, word", [(0.05, "little"), (0.1, "some"), (0.25, "some"), (0.3, "much"), (NAN, "–")]
)
def test_drift_is_put_into_words(psi: float, word: str) -> None:
    run = make_run()
    first = dataclasses.replace(run.explanation.drift[0], psi=psi)
    told = dataclasses.replace(run.explanation, drift=(first,))
    section = parts(trust.section(dataclasses.replace(run, explanation=told)))
    assert section["drift"].rows[0][2] == word
    assert section["trust-summary"].answer.facts["drifted"].value == (psi > 0.25)
    assert section["trust-summary"].answer.facts["within"].value == 0
    assert section["drift"].rows[0][4].value == first.within
    unknown = dataclasses.replace(first, within=NAN)
    told = dataclasses.replace(run.explanation, drift=(unknown,))
    summary = parts(trust.section(dataclasses.replace(run, explanation=told)))["trust-summary"]
    assert "too few to tell what is usual" in summary.answer.text
