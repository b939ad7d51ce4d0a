"""In what direction, with what shape and together with what features act."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from src.v2.explain.direction import explained, uncalibrated
from src.v2.explanation_records import Effect, FeatureImportance, Interactions
from src.v2.figures.beeswarm import OUTERMOST, SHOWN, beeswarm, shown_range
from src.v2.figures.effects import FEW, MOST_POINTS, dependence
from src.v2.figures.interactions import interaction_matrix
from src.v2.figures.style import shorten
from src.v2.page.effect_words import Path, effect_path
from src.v2.page.explaining import counted, move_fact, size_fact, size_unit
from src.v2.page.panels import Answer, Cell, Fact, Panel, Section, Table
from src.v2.page.skill.words import plural
from src.v2.records import ShapSample, TrainingResult

QUESTION = "In what direction, with what shape, and together with what?"
EFFECT_NOTE = (
    "Line and band: accumulated local effect around its mean, with bounds of 95% at each point, "
    "so that some point leaves 0 by luck. The move is from the middle of the lowest tenth of rows "
    "to that of the highest, and its interval the widest that both ends' bounds allow."
)
CLEAR = 0.3
"""|Rank correlation| from which a feature has a direction."""


def section(result: TrainingResult) -> Section:
    """Show how the leading features act, one by one and in pairs."""
    explanation = result.explanation
    quantity = explanation.importance.quantity
    if not any(each.shap.mean > 0 for each in explanation.importance.features):
        return _nothing()
    content: list[Panel | Table] = [_swarm(result)]
    rows = result.shap.rows.height
    known = set(result.shap.feature_names)
    shown = [effect for effect in explanation.effects if effect.feature in known]
    content += [_effect(place, each, result) for place, each in enumerate(shown, 1)]
    if not shown:
        words = "No leading feature takes two values in these rows, so there is no shape to show."
        content.append(Panel("shape-none", "What shape do effects have?", Answer(words)))
    content.append(_matrix(result))
    if explanation.interactions.pairs:
        content.append(_pairs(result))
    data = (
        f"{rows:,} {plural(rows, 'row')}, each explained by the model of its own fold, which had "
        f"not seen it{_paired_rows(explanation.interactions)}. "
        f"Contributions are to the {quantity}{uncalibrated(quantity)}."
    )
    return Section("shape", "How it works", QUESTION, data, tuple(content))


def _paired_rows(found: Interactions) -> str:
    """Say on how many rows pairs were looked at, where they were."""
    return f"; pairs of features on {found.rows:,} of them" if found.rows else ""


def _nothing() -> Section:
    """Say that the models use no feature at all."""
    words = "In none: the models use no feature, so that every forecast of a fold is the same."
    panel = Panel("shape-swarm", "In what direction does each feature push?", Answer(words))
    return Section("shape", "How it works", QUESTION, "All rows explained.", (panel,))


def _swarm(result: TrainingResult) -> Panel:
    importance, sample = result.explanation.importance, result.shap
    known = set(sample.feature_names)
    shown = [each for each in importance.features if each.name in known][:SHOWN]
    name, question = "shape-swarm", "In what direction does each feature push?"
    if not shown or not len(sample.values):
        return Panel(name, question, Answer("No row was explained, so there is nothing to show."))
    template, facts = _swarm_words(shown)
    return Panel(
        name,
        question,
        Answer(template, facts),
        partial(beeswarm, sample, [each.name for each in shown], importance.quantity),
        "A row of points for each of the leading features, one point a row of data: its SHAP value "
        "to the right or left of zero, dark where the feature is low and light where it is high.",
        _swarm_note(sample, shown),
        wide=True,
    )


def _swarm_words(shown: list[FeatureImportance]) -> tuple[str, dict[str, Fact]]:
    """Say which way the first feature pushes, and count the others."""
    first = shown[0]
    directions = np.array([each.direction for each in shown], dtype=np.float64)
    up, down = int((directions >= CLEAR).sum()), int((directions <= -CLEAR).sum())
    neither = len(shown) - up - down
    facts = {
        "shown": Fact(len(shown), "count"),
        "up": Fact(up, "count"),
        "down": Fact(down, "count"),
        "neither": Fact(neither, "count"),
        "clear": Fact(CLEAR),
        "first": Fact(first.name),
        "direction": Fact(first.direction, "ratio"),
        "agreement": Fact(first.agreement, "percent"),
        "used": Fact(first.folds_used, "count"),
        "folds": Fact(len(first.fold_shares), "count"),
    }
    if not math.isfinite(first.direction):
        template = "{first} moves the forecast most, in no direction that can be told. "
    elif abs(first.direction) < CLEAR:
        template = (
            "{first} moves the forecast most, but neither up nor down as a rule (rank correlation "
            "of its values with its SHAP values {direction}). "
        )
    else:
        way = "up" if first.direction > 0 else "down"
        template = (
            f"High values of {{first}}, which moves the forecast most, push it {way} (rank "
            "correlation of its values with its SHAP values {direction}; the sign holds in "
            "{agreement} of the folds that use it; used in {used} of {folds}). "
        )
    template += (
        f"Of the {{shown}} shown, {{up}} "
        f"{counted(up, 'pushes up as it rises', 'push up as they rise')}, {{down}} "
        f"{counted(down, 'pushes', 'push')} down, and {{neither}} "
        f"{counted(neither, 'does', 'do')} neither as a rule (below {{clear}} either way)."
    )
    return template, facts


def _swarm_note(sample: ShapSample, shown: list[FeatureImportance]) -> str:
    columns = [sample.feature_names.index(each.name) for each in shown]
    values = sample.features[:, columns]
    effect = explained(sample)[:, columns]
    note = "Shade: rank of the value within its feature"
    missing = float(np.isnan(values).mean())
    if missing:
        note += f"; empty rings: missing ({missing:.1%} of these values)"
    low, high = shown_range(effect)
    if low > effect.min() or high < effect.max():
        note += f". At each end, the outermost {OUTERMOST:.1%} of points stand at the border"
    return note + ". A direction is the model's, and no proof that the market follows it."


def _effect(place: int, effect: Effect, result: TrainingResult) -> Panel:
    sample, quantity = result.shap, result.explanation.importance.quantity
    column = sample.feature_names.index(effect.feature)
    values = sample.features[:, column]
    path = effect_path(effect)
    facts = {
        "feature": Fact(effect.feature),
        "move": move_fact(path.move, quantity),
        "low": move_fact(path.low, quantity),
        "high": move_fact(path.high, quantity),
        "span": move_fact(path.span, quantity),
        "quantity": Fact(quantity),
    }
    template = (
        "From the lowest to the highest tenth of {feature} the forecast {quantity} moves by {move}"
    )
    template += _certain(path) + f"; the line is {path.shape}"
    template += ", with {span} between its lowest and its highest point." if path.bent else "."
    if effect.partner:
        facts["partner"] = Fact(effect.partner)
        facts["strength"] = size_fact(effect.partner_strength, quantity)
        facts["unit"] = Fact(size_unit(quantity))
        template += " It acts most together with {partner} (mean |interaction| {strength} {unit})."
    missing = np.isnan(values)
    if missing.any():
        facts["missing"] = Fact(float(missing.mean()), "share")
        facts["where_missing"] = move_fact(
            float(explained(sample)[missing, column].mean()), quantity
        )
        template += " Where it is missing ({missing} of rows) it adds {where_missing} on average."
    return Panel(
        f"shape-effect-{place}",
        f"How does the forecast change with {shorten(effect.feature, 60)}?",
        Answer(template, facts),
        partial(dependence, sample, effect, quantity),
        "Points of SHAP value over the value of the feature, shaded by the feature it acts with; "
        "squares at the median of groups of rows; a line with a band for the accumulated local "
        "effect.",
        _effect_note(values, named=bool(effect.partner), first=place == 1),
    )


def _certain(path: Path) -> str:
    """Say how sure the move is."""
    if not math.isfinite(path.low):
        return " (too few dates for an interval)"
    if path.low <= 0 <= path.high:
        return " ({low} to {high}, so the ends may be level)"
    return " ({low} to {high})"


def _effect_note(values: np.ndarray, *, named: bool, first: bool) -> str:
    """Say how to read the picture; what holds for all of them stands below the first."""
    note = EFFECT_NOTE if first else "Read as the first of these pictures."
    known = values[~np.isnan(values)]
    if len(np.unique(known)) > FEW:
        note += " The axis shows the middle 98% of values."
    if len(known) > MOST_POINTS:
        note += f" Of {len(known):,} rows, evenly chosen ones are drawn."
    return note + (" Shade: rank of the other feature's value." if named else "")


def _matrix(result: TrainingResult) -> Panel:
    found, quantity = result.explanation.interactions, result.explanation.importance.quantity
    name, question = "shape-pairs-matrix", "Which features act together?"
    if not found.rows:
        words = (
            "Not measured: the contributions of this model are sampled, and to sample those of "
            "every two features would take too long."
        )
        return Panel(name, question, Answer(words))
    if not found.pairs:
        words = "None in these rows: each feature adds its part whatever the others are."
        return Panel(name, question, Answer(words))
    first = found.pairs[0]
    alone = max(range(len(found.names)), key=lambda place: found.matrix[place][place])
    facts = {
        "first": Fact(first.first),
        "second": Fact(first.second),
        "strength": size_fact(first.strength, quantity),
        "unit": Fact(size_unit(quantity)),
        "alone": Fact(found.names[alone]),
        "own": size_fact(found.matrix[alone][alone], quantity),
        "rows": Fact(found.rows, "count"),
        "noun": Fact(plural(found.rows, "row")),
    }
    template = (
        "The pair that leads, {first} with {second}, moves the forecast by {strength} {unit} on "
        "average over {rows} {noun}. What {alone} does on its own, the most of any feature, is "
        "{own}. Noise has pairs too, so a pair is no proof that the market has it."
    )
    return Panel(
        name,
        question,
        Answer(template, facts),
        partial(interaction_matrix, found, quantity) if len(found.names) > 1 else None,
        "A triangle of cells, one for each two of the leading features, the lighter the stronger "
        "they act together.",
        "Mean |SHAP interaction value|, both halves, without interval. Main effects are left out.",
        wide=True,
    )


def _pairs(result: TrainingResult) -> Table:
    found, quantity = result.explanation.interactions, result.explanation.importance.quantity
    rows: list[tuple[Cell, ...]] = [
        (
            Fact(place, "count"),
            pair.first,
            pair.second,
            size_fact(pair.strength, quantity),
            Fact(pair.share, "share"),
        )
        for place, pair in enumerate(found.pairs, 1)
    ]
    head = ("Place", "Feature", "With", "Mean |interaction|", "Share of all pairs")
    note = (
        f"Mean |interaction| in {size_unit(quantity)}. All pairs hold {found.share:.0%} of the sum "
        "of mean |main effects| and |interactions|. That is no measure of how much features act "
        "together: it adds up the sizes of thousands of small pairs that cancel in a forecast, "
        "and is as large where only single features matter, or nothing does."
    )
    return Table("shape-pairs", "The strongest pairs", head, tuple(rows), note)
