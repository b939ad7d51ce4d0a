"""What drives the forecast: importance beside usefulness, and how far noise gets."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from src.v2.explanation_records import Importance
from src.v2.figures.drivers import (
    SHOWN,
    family_columns,
    null_shares,
    probe_ranking,
    top_features,
)
from src.v2.page.explaining import (
    above_zero,
    drop_fact,
    drop_words,
    measured,
    size_fact,
    size_unit,
)
from src.v2.page.panels import Answer, Fact, Panel, Section
from src.v2.records import TrainingResult

BY_LUCK = 0.025
"""Share of useless features whose 95% interval lies above 0 all the same."""
RARE = 0.05
"""Chance of as many such intervals, below which luck is no longer named as a reason."""


def section(result: TrainingResult) -> Section:
    """Say which features move the forecast, which of them help, and what noise reaches."""
    importance = result.explanation.importance
    data = (
        f"{importance.rows:,} rows of {importance.dates:,} dates that no fit has seen, each "
        f"explained by the model of its own fold; features are permuted on "
        f"{importance.permuted_rows:,} rows of {importance.permuted_dates:,} dates. Intervals are "
        f"95%, by blocks of {importance.block_sessions} sessions. What is explained is the "
        f"{importance.quantity}."
    )
    content: list[Panel] = [_top(importance)]
    if importance.families:
        content.append(_families(importance))
    content += [_noise(importance), _null(importance)]
    return Section(
        "drivers", "What drives it", "Which features move the forecast, and which help?", data,
        tuple(content),
    )  # fmt: skip


def _top(importance: Importance) -> Panel:
    features = importance.features
    shown = features[:SHOWN]
    name, question = "drivers-top", "Which features move the forecast most, and do they help?"
    if not sum(feature.shap.mean for feature in features) > 0:
        words = "None of {features} features moves a forecast: the models use none."
        return Panel(name, question, Answer(words, {"features": Fact(len(features), "count")}))
    first = features[0]
    drops = [feature.permutation for feature in shown]
    facts = {
        "above": Fact(sum(feature.better_than_noise for feature in features), "count"),
        "features": Fact(len(features), "count"),
        "shown": Fact(len(shown), "count"),
        "useful": Fact(above_zero(drops), "count"),
        "luck": Fact(BY_LUCK * measured(drops)),
        "measure": Fact(importance.measure),
        "skill": Fact(importance.skill, "ic" if importance.measure == "rank IC" else "loss"),
        "first": Fact(first.name),
        "size": size_fact(first.shap.mean, importance.quantity),
        "low": size_fact(first.shap.low, importance.quantity),
        "high": size_fact(first.shap.high, importance.quantity),
        "unit": Fact(size_unit(importance.quantity)),
        "drop": drop_fact(first.permutation.mean, importance.measure),
        "drop_low": drop_fact(first.permutation.low, importance.measure),
        "drop_high": drop_fact(first.permutation.high, importance.measure),
        "lost": Fact(drop_words(importance.measure)),
        "compactness": Fact(importance.compactness, "count"),
    }
    template = (
        "{above} of {features} features move the forecast more than the strongest noise probe. "
    )
    template += _help_words(above_zero(drops), measured(drops))
    template += (
        "\n{first} comes first: it moves the forecast by {size} {unit} on average ({low} to "
        "{high}), and permuting it costs {drop} {lost} ({drop_low} to {drop_high}), where the "
        "{measure} is {skill} before. Half of the rows need {compactness} features or fewer for "
        "90% of what moves them."
    )
    return Panel(
        name,
        question,
        Answer(template, facts),
        partial(top_features, importance),
        "Two columns with a row for each of the leading features. Left: bars of mean |SHAP value| "
        "with intervals, falling from the top, and a dashed line that noise reaches. Right: what "
        "the forecast loses when the feature is permuted, with intervals around a line at zero.",
        "Mean |SHAP| says what moves the forecast, not what helps it: noise moves it too. The "
        "permutation drop says what helps; but a feature whose twin remains loses little. Hollow: "
        "at or below the noise line. The intervals allow for the dates, not for another fit.",
        wide=True,
    )


def _help_words(useful: int, told: int) -> str:
    """Say how many features help, beside what luck alone would give."""
    from scipy import stats

    if not told:
        return "Which of them help cannot be told from so few dates."
    found = (
        "{useful} of the {shown} largest help" if useful else "None of the {shown} largest helps"
    )
    words = f"{found}: a permutation drop whose interval lies above 0; luck alone gives {{luck}}."
    if useful and stats.binom.sf(useful - 1, told, BY_LUCK) > RARE:
        words += " Luck could do as much."
    return words


def _families(importance: Importance) -> Panel:
    first = importance.families[0]
    drops = [family.permutation for family in importance.families]
    facts = {
        "first": Fact(first.name),
        "members": Fact(first.features, "count"),
        "share": Fact(first.share, "share"),
        "drop": drop_fact(first.permutation.mean, importance.measure),
        "drop_low": drop_fact(first.permutation.low, importance.measure),
        "drop_high": drop_fact(first.permutation.high, importance.measure),
        "lost": Fact(drop_words(importance.measure)),
        "useful": Fact(above_zero(drops), "count"),
        "families": Fact(len(drops), "count"),
    }
    template = (
        "The family {first} (features: {members}) moves the forecast most, {share} of all, and "
        "permuting it costs {drop} {lost} ({drop_low} to {drop_high}). "
    )
    template += (
        "{useful} of {families} families have an interval above 0."
        if measured(drops)
        else "So few dates give no interval."
    )
    return Panel(
        "drivers-families",
        "Which kinds of features lead?",
        Answer(template, facts),
        partial(family_columns, importance),
        "Two columns with a row for each family of features. Left: bars of mean |SHAP value| of "
        "the family's sum. Right: what the forecast loses when the whole family is permuted.",
        "Contributions of a family that cancel in a row do not count. A family is permuted as one, "
        "so that its members cannot stand in for each other.",
    )


def _noise(importance: Importance) -> Panel:
    noise = importance.noise
    known = {name: share for name, share in noise.shares.items() if math.isfinite(share)}
    name, question = "drivers-noise", "How far do features without any meaning get?"
    if not known:
        return Panel(name, question, Answer("No noise probe could be fitted, so no line is drawn."))
    facts = {
        "below": Fact(len(noise.below), "count"),
        "features": Fact(len(importance.features), "count"),
        "limit": Fact(noise.limit, "share"),
        "probe": Fact(max(known, key=lambda each: known[each])),
        "lost": Fact(drop_words(importance.measure)),
    }
    template = (
        "The strongest column of chance ({probe}) reaches {limit} of mean |SHAP|; {below} of "
        "{features} features stay at or below it."
    )
    costs = []
    for place, probe in enumerate(known, 1):
        facts[f"probe_{place}"] = Fact(probe)
        facts[f"share_{place}"] = Fact(known[probe], "share")
        cost = noise.drops.get(probe, float("nan"))
        facts[f"drop_{place}"] = drop_fact(cost, importance.measure)
        costs.append(f"{{probe_{place}}} {{share_{place}}} and {{drop_{place}}}")
    template += " Each probe's share, and what permuting it costs: " + "; ".join(costs) + " {lost}."
    return Panel(
        name,
        question,
        Answer(template, facts),
        partial(probe_ranking, importance) if importance.features else None,
        "A falling line of the features' shares of mean |SHAP|, and one dashed line with a mark at "
        "the share of each noise probe.",
        f"From one extra fit of fold {noise.fold} with columns of chance added: a new number for "
        "every row, for every ticker, or for every date. One fit and one draw: the line is rough.",
    )


def _null(importance: Importance) -> Panel:
    from scipy import stats

    features = importance.features
    table = np.array([(each.null_share, each.share) for each in features], dtype=np.float64)
    table = table.reshape(-1, 2)
    known = table[np.isfinite(table).all(axis=1)]
    name = "drivers-null"
    question = "Would the trees lean on the same features if the labels were shuffled?"
    if not len(known):
        words = "No fit on permuted labels was made, so this cannot be told."
        return Panel(name, question, Answer(words))
    varied = len(known) > 2 and bool((np.ptp(known, axis=0) > 0).all())
    rho = float(stats.spearmanr(*known.T).statistic) if varied else float("nan")
    facts = {
        "as_large": Fact(int((known[:, 0] >= known[:, 1]).sum()), "count"),
        "features": Fact(len(known), "count"),
        "correlation": Fact(rho, "ratio"),
    }
    template = (
        "{as_large} of {features} features hold at least as large a share in fits on permuted "
        "labels, where there is nothing to learn."
    )
    if math.isfinite(rho):
        template += (
            " The rank correlation of the two shares is {correlation}: near 1 the order says what "
            "trees like to split on, near 0 it comes from the labels."
        )
    return Panel(
        name,
        question,
        Answer(template, facts),
        partial(null_shares, features),
        "A point for each feature: its share of mean |SHAP| upwards, its share in fits on permuted "
        "labels to the right, and a dashed line where both are equal.",
        "Points on or below the line are used no more than without any signal. Hollow: at or below "
        "the noise line.",
    )
