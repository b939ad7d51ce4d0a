"""What drives the forecast: importance beside usefulness, and how far noise gets."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from src.v2.explanation_records import Importance, NoiseLine
from src.v2.figures.drivers import (
    SHOWN,
    family_columns,
    null_shares,
    probe_ranking,
    top_features,
)
from src.v2.modeling.learners.kinds import kind_of
from src.v2.page.explaining import (
    above_zero,
    bounds_words,
    cost_words,
    counted,
    drop_fact,
    drop_words,
    measured,
    size_fact,
    size_unit,
)
from src.v2.page.panels import Answer, Fact, Panel, Section
from src.v2.records import TrainingResult


def section(result: TrainingResult) -> Section:
    """Say which features move the forecast, which of them help, and what noise reaches."""
    importance = result.explanation.importance
    data = (
        f"{importance.rows:,} rows of {importance.dates:,} dates, each explained by the model of "
        "its own fold, which had not seen it; features are permuted on "
        f"{importance.permuted_rows:,} rows of {importance.permuted_dates:,} dates. Intervals are "
        f"95%, by blocks of {importance.block_sessions} sessions: none is shorter than a test "
        "block, for all of which one model stays; below 5 blocks there is none. What is explained "
        f"is the {importance.quantity}."
    )
    if kind_of(result.settings).sampled:
        data += (
            " Contributions are sampled, since none can be worked out exactly for this kind of "
            "model: those of a row add up, but each alone is an estimate."
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
    noise, facts = _noise_words(importance)
    cost, more = cost_words(first.permutation, importance.measure)
    facts |= more | {
        "shown": Fact(len(shown), "count"),
        "useful": Fact(above_zero(drops), "count"),
        "permuted_rows": Fact(importance.permuted_rows, "count"),
        "measure": Fact(importance.measure),
        "skill": Fact(importance.skill, "ic" if importance.measure == "rank IC" else "loss"),
        "first": Fact(first.name),
        "size": size_fact(first.shap.mean, importance.quantity),
        "low": size_fact(first.shap.low, importance.quantity),
        "high": size_fact(first.shap.high, importance.quantity),
        "unit": Fact(size_unit(importance.quantity)),
        "compactness": Fact(importance.compactness, "count"),
    }
    template = (
        f"{noise} {_help_words(above_zero(drops), measured(drops), len(shown))}"
        "\n{first} comes first: it moves the forecast by {size} {unit} on average "
        f"({bounds_words(first.shap, 'low', 'high')}), and permuting it {cost}. Before any "
        "permutation, the mean {measure} of the {permuted_rows} rows that are permuted is {skill}. "
        "Half of the rows need {compactness} "
        f"{counted(importance.compactness, 'feature', 'features or fewer')} for 90% of what moves "
        "them."
    )
    return Panel(
        name,
        question,
        Answer(template, facts),
        partial(top_features, importance),
        "Two columns with a row for each of the leading features. Left: bars of mean |SHAP value| "
        "with intervals, falling from the top. Right: what the forecast loses when the feature is "
        "permuted, with intervals around a line at zero.",
        "Mean |SHAP| says what moves the forecast, not what helps it: noise moves it too. The "
        "permutation drop says what helps; but a feature whose twin remains loses little. Hollow: "
        "at or below the noise line in the fits that draw it. The intervals allow for the dates, "
        "not for another fit.",
        wide=True,
    )


def _noise_words(importance: Importance) -> tuple[str, dict[str, Fact]]:
    """Say how many features pass the line that columns of chance draw."""
    noise, features = importance.noise, importance.features
    above = sum(feature.better_than_noise is True for feature in features)
    facts = {
        "above": Fact(above, "count"),
        "features": Fact(len(features), "count"),
        "draws": Fact(noise.draws, "count"),
        "fits": Fact(len(noise.folds), "count"),
    }
    where = f"{{draws}} columns of chance in {_fits(noise)}"
    if not noise.limit > 0:
        return f"No noise line can be drawn: the model uses none of {where}.", facts
    moves = counted(above, "moves", "move")
    words = f"{{above}} of {{features}} features {moves} the forecast more than the strongest of "
    return f"{words}{where}.", facts


def _fits(noise: NoiseLine) -> str:
    return f"{{fits}} extra {counted(len(noise.folds), 'fit', 'fits')}"


def _help_words(useful: int, told: int, shown: int) -> str:
    """Say how many features are shown to help, beside what luck alone would give."""
    if not told:
        return "Which of them help cannot be told from so few dates."
    if not useful:
        return (
            "For none of the {shown} largest is it shown that it helps: no permutation drop has an "
            "interval above 0."
        )
    found = counted(
        shown,
        "The 1 shown helps",
        f"{{useful}} of the {{shown}} largest {counted(useful, 'helps', 'help')}",
    )
    return (
        f"{found}: a permutation drop whose interval lies above 0. About 1 of 20 such intervals "
        "lies there by luck, and features are correlated, so up to 3 prove nothing."
    )


def _families(importance: Importance) -> Panel:
    first = importance.families[0]
    if not first.shap.mean > 0:
        words = "None: no family moves a forecast."
        return Panel("drivers-families", "Which kinds of features lead?", Answer(words))
    drops = [family.permutation for family in importance.families]
    useful, told = above_zero(drops), measured(drops)
    cost, facts = cost_words(first.permutation, importance.measure)
    facts |= {
        "first": Fact(first.name),
        "members": Fact(first.features, "count"),
        "share": Fact(first.share, "share"),
        "useful": Fact(useful, "count"),
        "families": Fact(told, "count"),
    }
    template = (
        "The family {first} (features: {members}) moves the forecast most, {share} of all, and "
        f"permuting it {cost}. "
    )
    template += (
        f"{{useful}} of {{families}} {counted(told, 'interval', 'intervals')} of the families' "
        f"drops {counted(useful, 'lies', 'lie')} above 0."
        if told
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
    name, question = "drivers-noise", "How far do features without any meaning get?"
    if not noise.kinds or not noise.folds:
        return Panel(name, question, Answer("No noise probe could be fitted, so no line is drawn."))
    below = len(noise.below)
    facts = {
        "below": Fact(below, "count"),
        "features": Fact(len(importance.features), "count"),
        "limit": Fact(noise.limit, "share"),
        "draws": Fact(noise.draws, "count"),
        "fits": Fact(len(noise.folds), "count"),
        "folds": Fact(", ".join(str(fold) for fold in noise.folds)),
        "probe": Fact(max(noise.kinds, key=lambda each: each.high).name),
        "lost": Fact(drop_words(importance.measure)),
    }
    template = (
        f"The model uses none of {{draws}} columns of chance in {_fits(noise)} (of "
        f"{counted(len(noise.folds), 'fold', 'folds')} {{folds}}), so no line can be drawn."
    )
    if noise.limit > 0:
        template = (
            f"The strongest of {{draws}} columns of chance in {_fits(noise)} (of "
            f"{counted(len(noise.folds), 'fold', 'folds')} {{folds}}) is {{probe}} and reaches "
            f"{{limit}} of mean |SHAP|; {{below}} of {{features}} features "
            f"{counted(below, 'stays', 'stay')} at or below it in the same fits."
        )
        words, more = _kind_words(importance)
        template, facts = f"{template} {words}", facts | more
    return Panel(
        name,
        question,
        Answer(template, facts),
        partial(probe_ranking, importance) if importance.features else None,
        "A falling line of the features' shares of mean |SHAP| in the extra fits, and for each "
        "kind of chance a mark at the largest of its columns' shares, on a bar from the smallest.",
        "The extra fits hold the features and the columns of chance together, so the shares are of "
        "one sum; a share is the mean over the fits. Chance is a new number for every row, for "
        "every ticker, for every date, or a slow walk of each ticker. On other draws the line "
        "lies elsewhere: the bars say how far.",
    )


def _kind_words(importance: Importance) -> tuple[str, dict[str, Fact]]:
    """List the kinds of chance with their range and what permuting one costs."""
    facts: dict[str, Fact] = {}
    parts = []
    for place, kind in enumerate(importance.noise.kinds, 1):
        facts[f"probe_{place}"] = Fact(kind.name)
        facts[f"low_{place}"] = Fact(kind.low, "share")
        facts[f"high_{place}"] = Fact(kind.high, "share")
        facts[f"share_{place}"] = Fact(kind.mean, "share")
        facts[f"drop_{place}"] = drop_fact(kind.drop, importance.measure)
        parts.append(
            f"{{probe_{place}}} {{share_{place}}} ({{low_{place}}} to {{high_{place}}}) and "
            f"{{drop_{place}}}"
        )
    words = "By kind, the mean share of its columns, their range, and what permuting one costs: "
    return f"{words}{'; '.join(parts)} {{lost}}.", facts


def _null(importance: Importance) -> Panel:
    from scipy import stats

    features = importance.features
    table = np.array([(each.null_share, each.share) for each in features], dtype=np.float64)
    table = table.reshape(-1, 2)
    known = table[np.isfinite(table).all(axis=1)]
    name = "drivers-null"
    question = "Would the model lean on the same features if the labels were shuffled?"
    if not len(known):
        words = "No fit on permuted labels was made, so this cannot be told."
        return Panel(name, question, Answer(words))
    varied = len(known) > 2 and bool((np.ptp(known, axis=0) > 0).all())
    rho = float(stats.spearmanr(*known.T).statistic) if varied else float("nan")
    as_large = int((known[:, 0] >= known[:, 1]).sum())
    facts = {
        "as_large": Fact(as_large, "count"),
        "features": Fact(len(known), "count"),
        "correlation": Fact(rho, "ratio"),
    }
    template = (
        f"{{as_large}} of {{features}} features {counted(as_large, 'holds', 'hold')} at least as "
        "large a share in fits on permuted labels, where there is nothing to learn; shares add up "
        "to 1, so about half would in any case."
    )
    if math.isfinite(rho):
        template += (
            " The rank correlation of the two shares is {correlation}: near 1 the order says what "
            "the model leans on whatever the labels, near 0 it comes from the labels."
        )
    return Panel(
        name,
        question,
        Answer(template, facts),
        partial(null_shares, features),
        "A point for each feature: its share of mean |SHAP| upwards, its share in fits on permuted "
        "labels to the right, and a dashed line where both are equal.",
        "Shares are compared, not sizes: what one feature gains another loses, so a point below "
        "the line says that others matter more with real labels. Hollow: at or below the noise "
        "line.",
    )
