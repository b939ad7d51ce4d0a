"""Cards made up for the tests of what happens after training."""

from __future__ import annotations

from typing import Any

from src.v2.modeling.model_card import ModelCard


def make_card(**changes: Any) -> ModelCard:
    """Make the card of a small model of excess returns over 5 sessions."""
    content: dict[str, Any] = {
        "name": "made_up",
        "mode": "regression",
        "learner": "xgboost",
        "features": ("a", "b"),
        "target": "excess",
        "label_rule": "excess",
        "classes": (),
        "forward_days": 5,
        "entry_lag": 1,
        "rounds": 20,
        "trained_at": "2010-01-01T00:00:00+00:00",
        "train_first": "2000-01-04",
        "train_last": "2009-12-31",
        "training_rows": 1,
        "tickers": tuple(f"T{number:03d}" for number in range(24)),
        "expanding_mean": 0.0,
        "rank_map": None,
        "min_history": 60,
        "with_market": False,
        "data": {},
        "feature_settings": {},
        "module_hashes": {},
        "data_fingerprint": "0" * 32,
        "config_fingerprint": "0" * 12,
        "out_of_sample": {},
        "verdict": "no evidence",
    }
    return ModelCard(**content | changes)
