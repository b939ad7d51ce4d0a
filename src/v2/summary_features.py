"""The leading features on the console, in the order of the report's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.v2.console import printable
from src.v2.modeling.learners.kinds import kind_of
from src.v2.records import TrainingResult
from src.v2.summary_text import TOP_FEATURES, counted, stability_line

if TYPE_CHECKING:
    from rich.console import Console

BAR = 20
"""Characters of the longest bar."""


@dataclass(frozen=True, slots=True)
class Leading:
    """A feature that leads.

    Parameters
    ----------
    share
        Of the measure's sum over all features.
    low, high
        The same over folds, smallest and largest; NaN without folds.
    """

    name: str
    share: float
    low: float
    high: float


def explained(result: TrainingResult) -> bool:
    """Tell whether the explanation found any feature that moves a forecast."""
    return sum(feature.shap.mean for feature in result.explanation.importance.features) > 0


def leading_features(result: TrainingResult) -> list[Leading]:
    """Give the features that lead, largest first.

    Returns
    -------
    list
        By mean |SHAP| on out-of-sample rows, as the page orders them; where the explanation
        found nothing that moves a forecast, by the importance of the fits.
    """
    if explained(result):
        first = result.explanation.importance.features[:TOP_FEATURES]
        return [_leading(each.name, each.share, each.fold_shares) for each in first]
    return [
        _leading(name, share, [fold.importance.get(name, 0.0) for fold in result.folds])
        for name, share in list(result.importance.items())[:TOP_FEATURES]
    ]


def _leading(name: str, share: float, folds: Sequence[float]) -> Leading:
    nothing = float("nan")
    return Leading(name, share, min(folds, default=nothing), max(folds, default=nothing))


def print_features(out: Console, result: TrainingResult) -> None:
    """Print how stable the features are, and those that lead with what they are measured by."""
    from rich.padding import Padding
    from rich.text import Text

    top = leading_features(result)
    title, what = _title(result)
    out.print("[bold]Feature analysis[/]")
    for line in (stability_line(result), title):
        out.print(Padding(Text(line), (0, 0, 0, 2), expand=False))
    longest = max(len(printable(each.name)) for each in top)
    for place, each in enumerate(top, 1):
        bar = "█" * max(1, round(each.share / top[0].share * BAR)) if top[0].share > 0 else ""
        out.print(
            f"  {place:>2}. {printable(each.name):<{longest}}  {each.share:6.2%}  {each.low:6.2%} "
            f"to {each.high:6.2%} over folds  {bar}",
            markup=False,
            soft_wrap=True,
        )
    out.print(f"  together {sum(each.share for each in top):.1%} of {what}", markup=False)
    used = sum(share > 0 for share in result.importance.values())
    fits = kind_of(result.settings).importance
    out.print(
        f"  {used} of {counted(len(result.features.names), 'feature')} have a share of {fits}",
        markup=False,
        style="dim",
    )
    out.print()


def _title(result: TrainingResult) -> tuple[str, str]:
    """Say what features are ordered by, and what their shares are shares of."""
    found, fits = result.explanation.importance, kind_of(result.settings).importance
    if not explained(result):
        return (
            f"top features by their share of {fits}, since by SHAP values none moves a forecast",
            fits,
        )
    return (
        f"top features by mean |SHAP| of {counted(found.rows, 'out-of-sample row')}, as on the "
        "report's page",
        "the mean |SHAP|",
    )
