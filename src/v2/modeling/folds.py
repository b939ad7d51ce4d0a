"""Which dates are fitted on and which are scored.

Folds are cut by date for all tickers at once. A row may be fitted on only when its label
was known by the first decision that it helps to forecast: that one rule, `label_end` <=
first test session, is the purge, and it holds for every split in this project.

    | train ............ | purge: labels still open | test | next test | ... | holdout |

In a walk-forward no training row follows its test block, so the embargo is a further gap
before it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.v2.config import ValidationConfig
from src.v2.errors import NotEnoughData

MIN_FOLDS = 2
MIN_TEST_SPANS = 6
MIN_BLOCK_SPANS = 4
MIN_TRAIN_SPANS = 3
LONGEST_FIRST_TRAIN = 756
SHARE_FIRST_TRAIN = 0.4

Sessions = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fold:
    """One step of the walk-forward, in positions among the sorted sessions.

    Parameters
    ----------
    number
        From 1; 0 for the holdout.
    train_start
        First session that may be fitted on.
    test_start, test_stop
        First session scored, and the first one after the block.
    known_by
        Session by which a label must be known to be fitted on.
    """

    number: int
    train_start: int
    test_start: int
    test_stop: int
    known_by: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """The folds of a run and its holdout, in positions among the sorted sessions.

    Parameters
    ----------
    holdout
        The last sessions, fitted for and scored by the same rules as a fold.
    window
        Sessions of the rolling training window; None for an expanding one.
    """

    folds: tuple[Fold, ...]
    holdout: Fold
    window: int | None
    sessions: int

    @property
    def holdout_start(self) -> int:
        """First session of the holdout; development rows have labels known by then."""
        return self.holdout.test_start


def schedule_folds(sessions: Sequence[dt.date], rules: ValidationConfig, span: int) -> Schedule:
    """Lay the folds and the holdout over the sessions.

    Parameters
    ----------
    sessions
        Sorted distinct dates of the panel.
    rules
        Lengths and scheme.
    span
        Sessions from a decision until its label is known.

    Raises
    ------
    NotEnoughData
        Fewer than 2 folds, or test dates for fewer than 6 spans.
    """
    total = len(sessions)
    holdout_start = total - max(int(np.ceil(total * rules.holdout_share)), 2 * span)
    share = int(holdout_start * SHARE_FIRST_TRAIN)
    first_train = rules.min_train_sessions or min(LONGEST_FIRST_TRAIN, share)
    first_train = max(first_train, MIN_TRAIN_SPANS * span)
    block = max(rules.test_sessions, MIN_BLOCK_SPANS * span)
    testable = holdout_start - first_train - rules.embargo_sessions
    count = max(testable, 0) // block
    scored = count * block - span
    if count < MIN_FOLDS or scored < MIN_TEST_SPANS * span:
        needed = max(MIN_FOLDS * block, (MIN_TEST_SPANS + 1) * span)
        raise NotEnoughData(
            f"The walk-forward needs at least {MIN_FOLDS} test blocks and test dates for "
            f"{MIN_TEST_SPANS} label spans of {span} sessions. Of {total} sessions, "
            f"{max(holdout_start, 0)} are for development, {first_train} of them for the first "
            f"training window, which leaves {max(testable, 0)} where {needed} are needed "
            f"(blocks of {block}). Give a longer history, a shorter --forward-days, or a smaller "
            "--validation.test-sessions or --validation.min-train-sessions."
        )
    first_test = holdout_start - count * block
    rolling = rules.scheme == "rolling"
    window = (rules.max_train_sessions or first_train) if rolling else None

    def fold(number: int, start: int, stop: int) -> Fold:
        train_start = 0 if window is None else max(0, start - window)
        return Fold(number, train_start, start, stop, start - rules.embargo_sessions)

    starts = [first_test + position * block for position in range(count)]
    folds = tuple(fold(place, start, start + block) for place, start in enumerate(starts, 1))
    return Schedule(folds, fold(0, holdout_start, total), window, total)


def train_mask(session: Sessions, label_end: Sessions, fold: Fold) -> Mask:
    """Tell which rows a fold may be fitted on.

    Parameters
    ----------
    session, label_end
        Positions of each row's decision and of the date its label is known, -1 for none.
    """
    inside = (session >= fold.train_start) & (session < fold.test_start)
    return inside & known_mask(label_end, fold.known_by)


def known_mask(label_end: Sessions, session: int) -> Mask:
    """Tell which labels were known by the close of a session."""
    return (label_end >= 0) & (label_end <= session)


def stop_split(
    session: Sessions, label_end: Sessions, stop_share: float, span: int
) -> tuple[Mask, Mask] | None:
    """Split a training window into rows to fit on and a purged tail that stops the fit.

    Parameters
    ----------
    session, label_end
        Of the rows of the training window.
    stop_share
        Share of the window's sessions that the tail takes.
    span
        Sessions from a decision until its label is known.

    Returns
    -------
    tuple of masks or None
        Rows fitted on and rows of the tail; None where the window cannot hold both and the
        purge between them, leaving the fit at least half of the sessions.
    """
    distinct = np.unique(session)
    first, last = int(distinct[0]), int(distinct[-1])
    length = last - first + 1
    stop_start = last + 1 - max(int(length * stop_share), span)
    if stop_start - span - first < length // 2:
        return None
    fit = (session < stop_start) & known_mask(label_end, stop_start)
    tail = session >= stop_start
    return (fit, tail) if fit.any() and tail.any() else None
