"""What an audit asks, by the name of the check."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

QUESTIONS: Mapping[str, str] = MappingProxyType(
    {
        "truncation_equality": (
            "Do features stay when all later bars and values of context are cut away?"
        ),
        "future_perturbation": "Do features stay when all later bars and values of context change?",
        "delisting": "Do features stay when a ticker ends later?",
        "isolation": "Are ticker-wise features those of the ticker alone?",
        "label_integrity": "Does a label read its entry and exit alone, and come when it says?",
        "label_in_features": "Does a feature hold the label already?",
        "later_returns": "Does a feature know the return of a single later session?",
        "fold_intervals": "Is every label fitted on known before the block?",
        "fit_isolation": "Does a fit ignore the rows that it is scored on?",
        "permuted_labels": "Does skill vanish on labels of other tickers?",
        "null_run": "Does skill vanish where nothing can be forecast?",
        "entry_lag": "Does skill outlive a trade one or two sessions later?",
        "purge_gap": "Does skill outlive a wider gap before the test block?",
        "duplicate_tickers": "Are tickers different ones?",
        "survivorship": "Does anyone ever leave the universe?",
        "calendar": "Do tickers trade on the same days, at the same time?",
        "price_jumps": "Do prices move as prices do?",
        "stability": "Do fits without common rows find the same features?",
    }
)
