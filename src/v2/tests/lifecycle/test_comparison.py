"""Arms beside each other."""

from __future__ import annotations

import csv
import dataclasses
import json
import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from src.v2.evaluation.significance import ewc_interval
from src.v2.lifecycle.comparison import compare_arms, differences
from src.v2.lifecycle.comparison_text import (
    comparison_csv,
    comparison_markdown,
    comparison_record,
    conclusions,
    print_comparison,
)
from src.v2.summary_text import between
from src.v2.tests.lifecycle.made_arms import make_arm


def _ics(table: pl.DataFrame) -> np.ndarray:
    return np.array(
        [
            stats.spearmanr(part["score"], part["forward_return"]).statistic
            for _, part in table.sort("date").group_by("date", maintain_order=True)
        ]
    )


def test_the_margin_is_that_of_the_dates_paired() -> None:
    arms = [make_arm("default", 0.0, 1), make_arm("date", 0.12, 2)]
    (group,) = compare_arms(arms).groups
    found = group.standing("date")
    margin = _ics(arms[1].predictions) - _ics(arms[0].predictions)
    expected = ewc_interval(margin, 5)
    assert found.margin.mean == pytest.approx(expected.mean)
    assert (found.margin.low, found.margin.high) == pytest.approx((expected.low, expected.high))
    assert found.p < 0.001 and group.recommended == "date"
    assert math.isnan(group.standing("default").margin.mean)


def test_the_best_mean_without_proof_does_not_replace_the_default() -> None:
    arms = [make_arm("default", 0.2, 1)]
    arms += [make_arm(f"noise {seed}", 0.2, seed) for seed in range(2, 8)]
    comparison = compare_arms(arms)
    (group,) = comparison.groups
    assert max(each.margin.mean for each in group.standings[1:]) > 0
    assert comparison.recommended == "default"
    assert group.overfitting is not None
    assert "No arm is better than default beyond chance" in conclusions(comparison)[0]


def test_of_several_proven_ones_the_highest_is_recommended_and_a_tie_is_no_proof() -> None:
    arms = [make_arm("good", 0.08, 2), make_arm("default", 0.0, 1), make_arm("best", 0.14, 3)]
    arms.append(make_arm("same", 0.0, 1))
    comparison = compare_arms(arms)
    assert comparison.groups[0].reference == "default"
    assert comparison.recommended == "best"
    assert math.isnan(comparison.groups[0].standing("same").p)
    said = " ".join(conclusions(comparison))
    assert "Recommended: best" in said and "adjusted for 3 arms" in said


def test_what_is_too_good_to_be_true_replaces_nothing() -> None:
    arms = [make_arm("default", 0.0, 1), make_arm("leak", 0.9, 2), make_arm("good", 0.12, 3)]
    comparison = compare_arms(arms)
    assert comparison.groups[0].standing("leak").p < 0.001
    assert comparison.recommended == "good"
    said = " ".join(conclusions(comparison))
    assert "rank IC of leak" in said and "implausible: check for leakage" in said
    alone = compare_arms(arms[:2])
    assert alone.recommended == "default"
    assert "Keep default: what is above it by more than chance, leak by" in conclusions(alone)[0]


def test_arms_are_compared_on_the_rows_that_all_of_them_score() -> None:
    arms = [make_arm("default", 0.1, 1), make_arm("late", 0.1, 2)]
    cut = arms[1].predictions.filter(pl.col("date") >= arms[1].predictions["date"][5000])
    arms[1] = make_arm("late", 0.1, 2, predictions=cut)
    comparison = compare_arms(arms)
    (group,) = comparison.groups
    assert group.dates == cut["date"].n_unique()
    assert group.standing("late").share == 1.0
    assert group.standing("default").share == pytest.approx(cut.height / (400 * 24))
    assert "Only 4" in " ".join(conclusions(comparison))


@pytest.mark.parametrize("other", [{"forward_days": 10}, {"data_fingerprint": "e" * 32}])
def test_other_returns_are_another_group(other: dict[str, object]) -> None:
    comparison = compare_arms([make_arm("default", 0.1, 1), make_arm("far", 0.9, 2, **other)])
    assert [group.recommended for group in comparison.groups] == ["default", "far"]
    assert comparison.recommended is None
    assert "no test ranks" in conclusions(comparison)[0]


def test_few_tickers_cannot_be_compared_by_their_ranking() -> None:
    arms = [make_arm("default", 0.1, 1, tickers=15), make_arm("x", 0.9, 2, tickers=15)]
    comparison = compare_arms(arms)
    assert comparison.recommended == "default"
    assert "fewer than 20 tickers" in conclusions(comparison)[0]
    assert math.isnan(comparison.groups[0].standing("x").rank_ic.mean)


def test_below_250_dates_what_is_better_is_not_recommended() -> None:
    arms = [make_arm("default", 0.0, 1), make_arm("good", 0.1, 2)]
    for dates, kept in ((250, "good"), (249, "default")):
        first = arms[0].predictions["date"].unique().sort()[:dates]
        few = [
            dataclasses.replace(
                arm, predictions=arm.predictions.filter(pl.col("date").is_in(first.to_list()))
            )
            for arm in arms
        ]
        comparison = compare_arms(few)
        assert comparison.groups[0].standing("good").p < 0.001
        assert comparison.recommended == kept
    assert "but over 249 dates" in conclusions(comparison)[0]


def test_too_few_dates_are_said_to_be_too_few() -> None:
    arms = [make_arm(name, 0.1 * k, k, forward_days=60) for k, name in enumerate(("default", "x"))]
    assert "nothing can be told apart" in conclusions(compare_arms(arms))[0]


def test_every_form_of_the_table_holds_the_same_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    comparison = compare_arms([make_arm("default", 0.0, 1), make_arm("a|b", 0.12, 2)])
    record = comparison_record(comparison)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["recommended"] == "a|b"
    rows = list(csv.DictReader(comparison_csv(comparison).splitlines()))
    assert float(rows[1]["arm_margin"]) == record["arms"][1]["arm_margin"]
    assert [row["model.learning_rate"] for row in rows] == ["0.01", "0.02"]
    assert "label.mode" not in rows[0]
    page = comparison_markdown(comparison)
    margin = f"{record['arms'][1]['arm_margin']:+.4f}"
    assert margin in page and "a\\|b" in page
    print_comparison(comparison)
    shown = capsys.readouterr().out
    assert all(line in shown for line in ("a|b", "reference", "Recommended: a|b"))
    assert differences(comparison.arms)["default"] == {"model.learning_rate": 0.01}


def test_a_long_name_cuts_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    name = "forward_days=20 mode=classification learning_rate=0.05 subsample=0.7"
    comparison = compare_arms([make_arm("default", 0.0, 1), make_arm(name, 0.12, 2)])
    print_comparison(comparison)
    shown = capsys.readouterr().out
    standing = comparison.groups[0].standing(name)
    assert between(standing.margin, "short") in shown and f"{standing.p:.4f}" in shown
    assert "…" not in shown
    assert all(part in shown for part in name.split())


def test_every_key_of_a_comparison_is_described() -> None:
    from src.v2.evaluation.catalogue import COMPARISON_KEYS
    from src.v2.lifecycle.comparison_text import margin_metrics

    comparison = compare_arms([make_arm("default", 0.1, 1), make_arm("x", 0.5, 2)])
    keys = [*margin_metrics(comparison.groups[0].standings[1]), "arms", "fold_rank_ic"]
    bare = [key for key in keys if not any(entry.matches(key) for entry in COMPARISON_KEYS)]
    assert bare == []
