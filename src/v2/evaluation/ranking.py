"""How well scores order the tickers of a date, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from src.v2.evaluation.grid import make_grid
from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.permutation import permutation_test
from src.v2.evaluation.significance import (
    detectable,
    ewc_interval,
    ewc_test,
    newey_west,
    non_overlapping,
)
from src.v2.evaluation_records import RankingSkill


def ranking_skill(
    predictions: pl.DataFrame,
    horizon: int,
    permutations: int,
    seed: int,
    sectors: Mapping[str, str] | None = None,
) -> RankingSkill:
    """Measure the daily rank correlation of scores and forward returns.

    Parameters
    ----------
    predictions
        | date | ticker | fold | score | forward_return |, any order. Rows without a score or
        a return are left out, and dates with fewer than 10 tickers.
    horizon
        Dates that a forward return covers.
    permutations, seed
        Of the permutation test.
    sectors
        Sector by ticker: tickers are exchanged within theirs, since those of one sector move
        together. Tickers without one count as a sector of their own kind.

    Returns
    -------
    RankingSkill
        NaN where the rows cannot tell.
    """
    # In one order, so that sums round in one way whatever the order of the rows.
    predictions = predictions.sort("date", "ticker")
    rows = predictions.drop_nulls(["score", "forward_return"])
    daily = daily_ic(rows)
    series = daily["rank_ic"].to_numpy()
    grid = make_grid(rows, ["score", "forward_return"])
    kinds = [(sectors or {}).get(ticker, "") for ticker in grid.tickers]
    test = permutation_test(
        grid.values["score"], grid.values["forward_return"], permutations, seed, kinds
    )
    changing = daily_ic(without_static_ranking(predictions))["rank_ic"].to_numpy()
    spread = float(series.std(ddof=1)) if len(series) > 1 else float("nan")
    rank_ic = ewc_interval(series, horizon)
    return RankingSkill(
        dates=daily.height,
        tickers=rows.join(daily, on="date", how="semi")["ticker"].n_unique(),
        ic=ewc_interval(daily["ic"].to_numpy(), horizon),
        rank_ic=rank_ic,
        ewc=ewc_test(series, horizon),
        rank_ic_std=spread,
        icir=rank_ic.mean / spread if spread > 0 else float("nan"),
        positive_share=float((series > 0).mean()) if len(series) else float("nan"),
        permutation_p=test.p,
        permutations=test.permutations,
        exchangeable=test.exchangeable,
        non_overlapping=non_overlapping(series, horizon),
        newey_west=newey_west(series, horizon),
        demeaned_rank_ic=ewc_interval(changing, horizon),
        demeaned_ewc=ewc_test(changing, horizon),
        detectable=detectable(series, horizon),
        yearly=_yearly(daily),
        null=test.null,
    )


def without_static_ranking(predictions: pl.DataFrame) -> pl.DataFrame:
    """Take each ticker's mean score so far in the fold off its scores.

    A ranking that stays as it is within each fold is left with nothing: every score becomes 0,
    though it may jump at every refit. The mean ends with the date itself, because one over the
    whole fold holds later scores, and those of a momentum rule hold the very returns that are
    to be forecast: on random walks it puts the rank IC far below zero, and that of a reversal
    rule far above.

    Parameters
    ----------
    predictions
        | date | ticker | fold | score |, any order.

    Returns
    -------
    pl.DataFrame
        The same columns, sorted by date and ticker; 0 on a ticker's first date of a fold.
    """
    own = ["ticker", "fold"]
    # Taking the first score off beforehand keeps a constant score exact: all zeros.
    score = pl.col("score").cast(pl.Float64)
    moved = score - score.first().over(own)
    passed = pl.col("score").is_not_null().cum_sum().over(own)
    return (
        predictions.filter(pl.col("score").is_not_null())
        .sort("date", "ticker")
        .with_columns(moved.alias("score"))
        .with_columns(pl.col("score") - pl.col("score").cum_sum().over(own) / passed)
    )


def _yearly(daily: pl.DataFrame) -> tuple[tuple[int, int, float], ...]:
    years = (
        daily.group_by(pl.col("date").dt.year().alias("year"))
        .agg(pl.len().alias("dates"), pl.col("rank_ic").mean())
        .sort("year")
    )
    return tuple((int(year), int(dates), float(mean)) for year, dates, mean in years.iter_rows())
