"""Where trials, confirmations and openings of the holdout are written down and counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from src.v2.config import Config
from src.v2.evaluation.evaluate import RecordTrial
from src.v2.evaluation.ledger import CONFIRMATIONS_NAME, Openings, record_opening
from src.v2.evaluation.trial_log import Trials, Tried, record_trial, trials_reaching
from src.v2.features.code_check import code_hash
from src.v2.out_of_sample import OpenHoldout
from src.v2.records import Coverage

OpenConfirmation = Callable[[dt.date, dt.date], int | None]
"""Writes a look at the folds that a search kept out (first and last date) down and gives the
count so far; None where nobody counts."""


@dataclass(frozen=True, slots=True)
class Ledgers:
    """What a run asks once each: for the holdout, for a trial, and for a search's last folds."""

    open_holdout: OpenHoldout
    record_trial: RecordTrial
    open_confirmation: OpenConfirmation


def counted(config: Config, coverage: Coverage) -> Ledgers:
    """Give the ledgers of ``paths.ledger_dir``, for one configuration on one set of bars."""
    folder, tickers = config.paths.ledger_dir, coverage.tickers
    prints = {
        "data_fingerprint": coverage.fingerprint,
        "config_fingerprint": config.fingerprint,
    }

    def open_holdout(first: dt.date, last: dt.date) -> Openings:
        count = record_opening(folder, tickers=tickers, first=first, last=last, **prints)
        return Openings(count, trials_reaching(folder, tickers=tickers, first=first, last=last))

    def open_confirmation(first: dt.date, last: dt.date) -> int:
        return record_opening(
            folder, tickers=tickers, first=first, last=last, **prints, name=CONFIRMATIONS_NAME
        )

    def try_out(
        first: dt.date, last: dt.date, rank_ic: float | None, sharpe: float | None
    ) -> Trials:
        tried = Tried(tickers, first, last, bars_end=coverage.last, code_hash=code_hash(), **prints)
        return record_trial(folder, tried, rank_ic=rank_ic, sharpe=sharpe)

    return Ledgers(open_holdout, try_out, open_confirmation)


def uncounted() -> Ledgers:
    """Give ledgers that write nothing down: each run is the first trial of its own."""
    return Ledgers(
        lambda first, last: None,
        lambda first, last, rank_ic, sharpe: Trials(1, ()),
        lambda first, last: None,
    )
