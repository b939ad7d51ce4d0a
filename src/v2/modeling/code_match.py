"""Whether a model meets the features that it was trained with."""

from __future__ import annotations

from src.v2.config import FeaturesConfig
from src.v2.console import show_note
from src.v2.errors import ModelError
from src.v2.features.code_check import changed_features, code_hash
from src.v2.modeling.model_card import ModelCard

NAMED = 5
"""Changed features named in an error."""


def check_feature_code(settings: FeaturesConfig, card: ModelCard) -> None:
    """Refuse a model whose features this code computes otherwise.

    Equal sources are enough; sources that differ are judged by the values that they give.
    Nothing runs that the model brings along.

    Parameters
    ----------
    settings
        The card's own features.

    Raises
    ------
    ModelError
        Naming the features, and what to do.
    """
    if not card.feature_check:
        show_note(
            f"the model {card.name} does not say which code its features were computed with: "
            f"schema version {card.schema_version}. Whether this code computes the same is unknown."
        )
        return
    if card.code_hash == code_hash():
        return
    changed = changed_features(
        settings, card.feature_check, with_market=card.with_market, series=card.series
    )
    if changed:
        raise ModelError(
            f"{len(changed)} of {len(card.feature_check)} features are computed otherwise than "
            f"when the model {card.name} was trained ({', '.join(changed[:NAMED])}"
            f"{', …' if len(changed) > NAMED else ''}), so its forecasts would mean nothing. "
            f"Train again, or {_checkout(card)}."
        )


def _checkout(card: ModelCard) -> str:
    if card.git_commit:
        return f"use the code that trained it: git checkout {card.git_commit}"
    return "use the version of this project that trained it (its card names no commit)"
