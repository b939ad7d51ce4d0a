"""A comparison in words and tables: on the console, as markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from src.v2.config import SMALL_UNIVERSE
from src.v2.evaluation.guard import MIN_DATES
from src.v2.evaluation.significance import MIN_COSINES
from src.v2.evaluation.verdict import SIGNIFICANCE
from src.v2.lifecycle.arms import ArmResult
from src.v2.lifecycle.comparison import LEAST_SHARE, LEVEL, Comparison, Group, Standing, differences
from src.v2.lifecycle.short_names import short_name, short_value
from src.v2.modeling.learners.kinds import kind_of
from src.v2.stored_records import encode
from src.v2.summary_text import between, counted, shown

if TYPE_CHECKING:
    from rich.console import Console

Row = Sequence[str]

HEADINGS = (
    *("arm", "rank IC (95%)", "over reference (95%)", "adj. p", "folds ± sd"),
    *("R2", "Sharpe", "rounds", "sec"),
)
NARROWEST = 122
NONE = "–"
NO_REFERENCE = "reference"


def conclusions(comparison: Comparison) -> list[str]:
    """Say in sentences what was found, group by group."""
    several = len(comparison.groups) > 1
    found = []
    if several:
        found.append(
            "The arms forecast different returns, which no test ranks: each horizon and each set "
            "of bars stands by itself."
        )
    for group in comparison.groups:
        head = f"{group.horizon}-session returns of {group.dataset}: " if several else ""
        sentences = _group_sentences(group)
        found += [head + sentence for sentence in sentences]
    return found


def trial_line(trials: int) -> str:
    """Say what looking at so many configurations costs the verdict of a later training."""
    return (
        f"trial log: {trials:,} configurations on these data so far; the verdict of a training "
        f"asks for p below {SIGNIFICANCE / trials:.2g}"
    )


def result_rows(comparison: Comparison, style: str = "ic") -> list[Row]:
    """Write the row of each arm, under `HEADINGS`, rank ICs in a style of `shown`."""
    return [_result_row(arm, comparison.group_of(arm.name), style) for arm in comparison.arms]


def setting_rows(comparison: Comparison) -> tuple[Row, list[Row]]:
    """Write the settings in which the arms differ: headings, and the row of each arm."""
    trees = differences(comparison.arms)
    settings = list(next(iter(trees.values())))
    rows: list[Row] = [
        [name, *(short_value(tree[setting]) for setting in settings)]
        for name, tree in trees.items()
    ]
    return ["arm", *(short_name(setting) for setting in settings)], rows


def comparison_markdown(comparison: Comparison) -> str:
    """Write the comparison as a page of markdown."""
    headings, settings = setting_rows(comparison)
    sentences = "\n".join(f"- {sentence}" for sentence in conclusions(comparison))
    return (
        f"# Comparison of {len(comparison.arms)} arms\n\n{sentences}\n\n"
        f"{_markdown_table(HEADINGS, result_rows(comparison))}\n"
        "Out of sample, on the folds of the walk-forward; the holdout stayed closed, and "
        "each arm counts in the trial log. rank IC: mean "
        "of the dates on rows that all arms of a group score, with intervals that allow for "
        "overlapping labels. adj. p: one-sided, adjusted for the number of arms. Sharpe: of the "
        "long-short book a year, net of costs.\n\n"
        f"## Settings\n\n{_markdown_table(headings, settings)}"
    )


def comparison_csv(comparison: Comparison) -> str:
    """Write a row for each arm, with its settings and every metric."""
    records = comparison_record(comparison)["arms"]
    flat = [
        {**{k: v for k, v in record.items() if not isinstance(v, dict)}, **record["settings"]}
        | record["metrics"]
        for record in records
    ]
    stream = io.StringIO()
    names = list(dict.fromkeys(name for row in flat for name in row))
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return stream.getvalue()


def comparison_record(comparison: Comparison) -> dict[str, Any]:
    """Give the comparison as plain values."""
    trees = differences(comparison.arms)
    arms = []
    for arm in comparison.arms:
        group = comparison.group_of(arm.name)
        record = {
            "name": arm.name,
            "run_name": arm.run_name,
            "reference": group.reference,
            "recommended": arm.name == group.recommended,
            "data_fingerprint": arm.data_fingerprint,
            "config_fingerprint": arm.config_fingerprint,
            **margin_metrics(group.standing(arm.name)),
            "settings": trees[arm.name],
            "metrics": dict(arm.metrics),
        }
        arms.append(encode(record))
    return {
        "schema_version": 1,
        "recommended": comparison.recommended,
        "conclusions": conclusions(comparison),
        "groups": [encode(group) for group in comparison.groups],
        "arms": arms,
    }


def margin_metrics(standing: Standing) -> dict[str, float]:
    """Name an arm's numbers beside the others."""
    ic, margin = standing.rank_ic, standing.margin
    return {
        "common_rank_ic": ic.mean,
        "common_rank_ic_low": ic.low,
        "common_rank_ic_high": ic.high,
        "arm_margin": margin.mean,
        "arm_margin_low": margin.low,
        "arm_margin_high": margin.high,
        "arm_p": standing.p,
    }


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print the tables, then what they say."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.rule import Rule
    from rich.text import Text

    own = Console().width if sys.stdout.isatty() else 0
    out = console or Console(highlight=False, width=max(own, NARROWEST))
    out.print(Rule(f"[bold]omninmo: comparison of {len(comparison.arms)} arms"))
    headings, settings = setting_rows(comparison)
    for titles, rows in ((headings, settings), (HEADINGS, result_rows(comparison, "short"))):
        _print_table(out, titles, rows, comparison)
        out.print()
    for sentence in conclusions(comparison):
        out.print(Padding(Text(sentence), (0, 0, 0, 2), expand=False))
    out.print(Rule())


def _print_table(
    out: Console, headings: Sequence[str], rows: Sequence[Row], comparison: Comparison
) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=None, pad_edge=False, padding=(0, 1), collapse_padding=True, header_style="bold"
    )
    for place, heading in enumerate(headings):
        # A long name goes on in a second line, so that no number is cut.
        table.add_column(
            heading,
            justify="right" if place else "left",
            no_wrap=place > 0,
            overflow="fold",
        )
    for row in rows:
        chosen = row[0] == comparison.recommended
        table.add_row(*(Text(cell) for cell in row), style="bold green" if chosen else "")
    out.print(table)


def _group_sentences(group: Group) -> list[str]:
    alone = len(group.standings) == 1
    found = [] if alone else [_choice(group)]
    own = group.standing(group.recommended).rank_ic
    if not alone and math.isfinite(own.low) and own.low <= 0:
        found.append(
            f"The interval of {group.recommended}'s own rank IC, {between(own, 'ic')}, reaches "
            "down to luck: to be preferred is not to have skill."
        )
    for each in group.standings:
        if each.guard == "implausible":
            found.append(
                f"The rank IC of {each.name}, {between(each.rank_ic, 'ic')}, is implausible: check "
                "for leakage with make audit. Such an arm replaces no other."
            )
        if each.share < LEAST_SHARE:
            found.append(
                f"Only {each.share:.0%} of the rows that {each.name} scores are scored by all arms."
            )
    chance = group.overfitting
    if chance is not None:
        found.append(
            f"Probability of backtest overfitting {chance.probability:.2f}: in that share of "
            f"{chance.splits:,} splits of the dates into halves, the best on one half was in the "
            "lower half on the other. At 0.5 the choice is worth nothing."
        )
    return found


def _choice(group: Group) -> str:
    """Say which arm is recommended, and how sure that is."""
    reference = group.reference
    others = [each for each in group.standings if each.name != reference]
    if group.dates == 0:
        return (
            f"No ranking of fewer than {SMALL_UNIVERSE} tickers can be compared: keep {reference}."
        )
    if group.recommended != reference:
        best = group.standing(group.recommended)
        return (
            f"Recommended: {best.name}. Its rank IC is above that of {reference} by "
            f"{between(best.margin, 'ic')}, p {best.p:.4f} adjusted for "
            f"{counted(len(others), 'arm')}."
        )
    best = max(others, key=lambda each: each.rank_ic.mean)
    if group.dates < MIN_DATES and best.p < LEVEL:
        return (
            f"Keep {reference}: {best.name} is above it by {between(best.margin, 'ic')}, p "
            f"{best.p:.4f}, but over {group.dates:,} dates what is too good to be true cannot be "
            f"told from what is good; {MIN_DATES} are needed."
        )
    if best.guard == "implausible" and best.p < LEVEL:
        return (
            f"Keep {reference}: what is above it by more than chance, {best.name} by "
            f"{between(best.margin, 'ic')}, p {best.p:.4f}, is too good to be true."
        )
    if not any(math.isfinite(each.p) for each in others):
        return (
            f"{group.dates:,} dates with returns of {group.horizon} sessions are fewer than "
            f"{2 * MIN_COSINES} horizons, or the arms rank alike: nothing can be told apart. Keep "
            f"{reference}."
        )
    return (
        f"No arm is better than {reference} beyond chance: keep {reference}. The highest rank IC "
        f"beside it is that of {best.name}, {between(best.margin, 'ic')} over {reference}, p "
        f"{best.p:.4f} adjusted for {counted(len(others), 'arm')}."
    )


def _result_row(arm: ArmResult, group: Group, style: str) -> Row:
    standing, metrics = group.standing(arm.name), arm.metrics
    reference, several = arm.name == group.reference, len(group.standings) > 1
    return [
        arm.name,
        between(standing.rank_ic, style),
        (NO_REFERENCE if several else NONE) if reference else between(standing.margin, style),
        NONE if not math.isfinite(standing.p) else f"{standing.p:.4f}",
        f"{shown(metrics.get('cv_rank_ic_mean', math.nan), style)} ± "
        f"{shown(metrics.get('cv_rank_ic_std', math.nan), style).lstrip('+')}",
        _shown(metrics, "cv_r2_pooled", "signed"),
        _shown(metrics, "book_long_short_sharpe", "ratio"),
        str(arm.rounds) if kind_of(arm.settings).steps.counted else NONE,
        f"{arm.seconds:.0f}",
    ]


def _shown(metrics: Mapping[str, float], key: str, style: str) -> str:
    value = metrics.get(key, math.nan)
    return shown(value, style) if math.isfinite(value) else NONE


def _markdown_table(headings: Sequence[str], rows: Sequence[Row]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )
