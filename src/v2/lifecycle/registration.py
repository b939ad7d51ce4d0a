"""What the registry says of a version, taken from the model's card."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from src.v2.config import Config
from src.v2.lifecycle.audits import find_audit
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.model_file import read_card
from src.v2.tracking.downloads import download_files
from src.v2.tracking.registry import CHALLENGER, ModelVersion, Registry
from src.v2.tracking.scoring_model import MODEL_NAME

SCORES = {
    "rank_ic": "cv_rank_ic_pooled",
    "rank_ic_low": "cv_rank_ic_low",
    "rank_ic_high": "cv_rank_ic_high",
}
"""Tags of the mean rank IC and its interval, by the key of the score."""


def register_challenger(config: Config, run_id: str, card: ModelCard) -> ModelVersion:
    """Register the model of a run, and give it the alias ``challenger``.

    Parameters
    ----------
    run_id
        A training run that keeps its files.
    card
        Of its model.

    Raises
    ------
    ModelError
        When the run keeps no model with its card.
    TrackingError
        When the store refuses.
    """
    registry = Registry(config.mlflow)
    tags = version_tags(card)
    audit = find_audit(config, tags)
    tags["audit"] = "never audited" if audit is None else audit.shown
    version = registry.register(run_id, tags, describe(card))
    registry.set_alias(CHALLENGER, version.version)
    return registry.by_number(version.version)


def register_run(config: Config, run_id: str) -> ModelVersion:
    """Register the model of a finished run as challenger.

    Raises
    ------
    DataError
        When the store holds no such run, or the run no model.
    ModelError
        When the run keeps no model with its card.
    TrackingError
        When the store refuses.
    """
    with tempfile.TemporaryDirectory() as scratch:
        (folder,) = download_files(config.mlflow, run_id, (MODEL_NAME,), Path(scratch))
        card = read_card(folder)
    return register_challenger(config, run_id, card)


def version_tags(card: ModelCard) -> dict[str, str]:
    """Give the tags that the gate and the listing read; a score that is not known is left out.

    Parameters
    ----------
    card
        Of the model that is registered.
    """
    scores = {
        tag: f"{card.out_of_sample[key]:.6g}"
        for tag, key in SCORES.items()
        if key in card.out_of_sample
    }
    return {
        "verdict": card.verdict,
        "verdict_reasons": " ".join(card.verdict_reasons),
        "mode": card.mode,
        "learner": card.learner,
        "target": card.target,
        "forward_days": str(card.forward_days),
        "entry_lag": str(card.entry_lag),
        "tickers": str(len(card.tickers)),
        "data_first": card.train_first,
        "data_last": card.train_last,
        "data_fingerprint": card.data_fingerprint,
        "config_fingerprint": card.config_fingerprint,
        "code_hash": card.code_hash,
        "git_commit": card.git_commit or "unknown",
        "trained_at": card.trained_at,
        **scores,
    }


def describe(card: ModelCard) -> str:
    """Write the version's page in MLflow, as Markdown."""
    reasons = "\n".join(f"- {reason}" for reason in card.verdict_reasons)
    return (
        f"**Verdict: {card.verdict}**\n\n{reasons}\n\n"
        f"{card.mode} of {card.forward_days}-session forward returns, target {card.target}, "
        f"{len(card.tickers)} tickers, rows from {card.train_first} to {card.train_last}.\n\n"
        f"Mean rank IC of the walk-forward: {shown_rank_ic(version_tags(card))}. The model itself "
        "is refitted on all labelled rows and has no score of its own."
    )


def shown_rank_ic(tags: Mapping[str, str]) -> str:
    """Write the mean rank IC with its interval, as far as it is known.

    Examples
    --------
    >>> shown_rank_ic({"rank_ic": "0.0314", "rank_ic_low": "0.012", "rank_ic_high": "0.05"})
    '+0.0314 (+0.0120 to +0.0500)'
    >>> shown_rank_ic({})
    'unknown'
    """
    values = [f"{float(tags[name]):+.4f}" for name in SCORES if name in tags]
    if len(values) < len(SCORES):
        return values[0] if "rank_ic" in tags else "unknown"
    return f"{values[0]} ({values[1]} to {values[2]})"
