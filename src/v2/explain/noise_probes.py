"""How important features without any meaning come out.

Mean |SHAP| is never zero for a feature that trees may split on. So a few folds are fitted once
more with columns of chance beside the features, and the strongest of these is the line that a
feature must pass (the idea of Boruta: Kursa and Rudnicki 2010, Journal of Statistical Software
36(11)). Chance differs from draw to draw, and most where it lasts, as features do whose labels
overlap; so there are several columns of each of several kinds. The extra models are never
scored, nor shipped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.v2.config import ExplainConfig
from src.v2.explain.direction import signed_values
from src.v2.explain.permuted_importance import permutation_drops
from src.v2.explanation_records import NoiseKind, NoiseLine
from src.v2.modeling.folds import train_mask
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import FoldFit, Trainer
from src.v2.records import ShapSample

Array = np.ndarray[Any, Any]

KINDS = ("one a row", "one a ticker", "one a date", "a slow walk a ticker")
DRAWS = 5
"""Columns of each kind."""

MOST_FITS = 3
MOST_ROWS = 20_000
"""More rows a fit would add seconds to a line that is rough anyway."""

YEAR = 252


@dataclasses.dataclass(frozen=True, slots=True)
class Chance:
    """Values without meaning: columns of each of four kinds, standard Gaussian.

    Parameters
    ----------
    by_ticker, by_date
        Arrays (tickers, draws) and (sessions, draws).
    walks
        Array (sessions, tickers, draws): each ticker's own AR(1).
    seed
        Of the columns that differ on every row.
    """

    by_ticker: Array
    by_date: Array
    walks: Array
    seed: int

    def append(self, panel: Panel, part: int) -> Panel:
        """Append the columns, kind by kind; those of a row are drawn anew for each part.

        Columns are named by their places, so that no feature's name can be taken twice.
        """
        features = panel.features
        rows, count = features.shape
        each_row = np.random.default_rng([self.seed, 1, part]).standard_normal((rows, DRAWS))
        columns = (
            features,
            each_row,
            self.by_ticker[panel.ticker],
            self.by_date[panel.session],
            self.walks[panel.session, panel.ticker],
        )
        wider = np.concatenate(columns, axis=1, dtype=np.float32, casting="same_kind")
        names = tuple(str(place) for place in range(count + len(KINDS) * DRAWS))
        return dataclasses.replace(panel, feature_rows=wider, names=names)


def draw_chance(panel: Panel, span: int, seed: int) -> Chance:
    """Draw columns of chance for the rows of a panel.

    Parameters
    ----------
    panel
        Gives the sessions and tickers.
    span
        Sessions that a label spans: the half-life of every other slow walk. That of the others
        is a year, as of a company's size or debt.
    seed
        Of the draws.
    """
    from scipy.signal import lfilter

    sessions, tickers = len(panel.sessions), int(panel.ticker.max(initial=0)) + 1
    walks = np.empty((sessions, tickers, DRAWS), dtype=np.float32)
    rng = np.random.default_rng([seed, 4])
    for draw in range(DRAWS):
        keep = 0.5 ** (1 / (YEAR if draw % 2 == 0 else max(1, span)))
        steps = rng.standard_normal((sessions, tickers), dtype=np.float32)
        # The first value has the variance that the walk keeps.
        steps[1:] *= np.float32((1 - keep**2) ** 0.5)
        walks[..., draw] = lfilter([1.0], [1.0, -keep], steps, axis=0)
    by_ticker = np.random.default_rng([seed, 2]).standard_normal((tickers, DRAWS))
    by_date = np.random.default_rng([seed, 3]).standard_normal((sessions, DRAWS))
    return Chance(by_ticker, by_date, walks, seed)


def noise_line(
    sample: ShapSample,
    fits: Sequence[FoldFit],
    trainer: Trainer,
    order: Sequence[str],
    config: ExplainConfig,
    seed: int,
) -> tuple[NoiseLine, Mapping[str, float]]:
    """Fit up to three explained folds once more, with columns of chance beside their features.

    Parameters
    ----------
    sample
        The rows explained; those of the first, the middle and the last fold are explained again.
    fits
        What the walk-forward gave, one a fold.
    trainer
        That of the run. It stays as it is; the copy fits for as many rounds
        as the fold did, on evenly spaced dates where its window is longer than 20,000 rows.
    order
        Names of the features, most important first.
    config
        How many rows to permute.
    seed
        Of the columns of chance.

    Returns
    -------
    line : NoiseLine
        What the columns of chance reach among all columns of those models, and what the
        forecast loses when they are permuted.
    shares : Mapping
        The features' shares in the same models and rows, which alone may be compared with the
        line: columns of chance take a part, and fewer rows were fitted on.
    """
    numbers = np.unique(sample.rows["fold"].to_numpy())
    chosen = dict.fromkeys(numbers[[0, (len(numbers) - 1) // 2, -1]].tolist())
    chance = draw_chance(trainer.panel, trainer.plan.config.span, seed)
    by_number = {fit.fold.number: fit for fit in fits}
    probed = [fit_with_chance(by_number[number], trainer, chance) for number in chosen]
    each = [_shares(sample, by_number[fit.fold.number], fit, chance) for fit in probed]
    shares = np.mean(each, axis=0)
    names = sample.feature_names
    reached = shares[len(names) :].reshape(len(KINDS), DRAWS)
    groups = [[len(names) + place] for place in range(reached.size)]
    drops = permutation_drops(probed, trainer.plan, groups, config.permutation_rows, seed)
    lost = drops.values.mean(axis=0) if len(drops.values) else np.full(reached.size, np.nan)
    kinds = tuple(
        NoiseKind(kind, float(row.mean()), float(row.min()), float(row.max()), float(cost))
        for kind, row, cost in zip(
            KINDS, reached, lost.reshape(reached.shape).mean(axis=1), strict=True
        )
    )
    limit = float(reached.max())
    own = dict(zip(names, shares.tolist(), strict=False))
    below = tuple(name for name in order if limit > 0 and not own[name] > limit)
    return NoiseLine(tuple(chosen), reached.size, kinds, limit, below), own


def fit_with_chance(fit: FoldFit, trainer: Trainer, chance: Chance) -> FoldFit:
    """Fit a fold's window once more, with columns of chance after its features.

    Parameters
    ----------
    fit
        The fold, for its rounds and test rows.
    trainer
        As of `noise_line`.
    chance
        The columns.

    Returns
    -------
    FoldFit
        Fitted and tested on evenly spaced dates where there are more than 20,000 rows.
    """
    before = trainer.strided.between(fit.fold.train_start, fit.fold.test_start)
    may = train_mask(before.session, before.label_end, fit.fold)
    number, everything = fit.fold.number, np.ones(len(fit.test.session), dtype=bool)
    window = chance.append(before.take(_spaced(before.session, may)), 3 * number)
    test = chance.append(fit.test.take(_spaced(fit.test.session, everything)), 3 * number + 1)
    learner = trainer.learner.widen(window.names, len(window.session) / int(may.sum()))
    model = dataclasses.replace(trainer, learner=learner).fit(window, fit.model.rounds)
    return dataclasses.replace(
        fit,
        model=model,
        curve=None,
        train=(int(window.session[0]), int(window.session[-1])),
        train_rows=len(window.session),
        test=test,
        forecast=model.predict(test.features),
    )


def _spaced(session: Array, may: Array) -> Array:
    """Tell which of the rows that may be kept are on evenly spaced dates, of 20,000 rows."""
    rows = int(may.sum())
    if rows <= MOST_ROWS:
        return may
    dates = np.unique(session[may])
    keep = max(1, len(dates) * MOST_ROWS // rows)
    spaced = dates[((np.arange(keep) + 0.5) * len(dates) / keep).astype(np.int64)]
    return may & np.isin(session, spaced)


def _shares(sample: ShapSample, fit: FoldFit, probed: FoldFit, chance: Chance) -> Array:
    """Share of the mean |SHAP| of every column, on the fold's explained rows."""
    number = fit.fold.number
    rows = sample.rows.filter(sample.rows["fold"] == number).select("date", "ticker")
    keys = fit.test.keys.select("date", "ticker").with_row_index("place")
    place = keys.join(rows, on=["date", "ticker"], how="semi")["place"].sort().to_numpy()
    told = np.zeros(len(fit.test.session), dtype=bool)
    told[place] = True
    panel = chance.append(fit.test.take(told), 3 * number + 2)
    values, _ = probed.model.contributions(panel.features)
    size = np.abs(signed_values(values)).mean(axis=0, dtype=np.float64)
    total = size.sum()
    return np.asarray(size / total if total > 0 else np.zeros_like(size))
