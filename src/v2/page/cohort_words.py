"""What is said of years, states of the market and sectors beside each other."""

from __future__ import annotations

import math

import numpy as np

from src.v2.explanation_records import Cohort
from src.v2.page.explaining import above_zero, counted
from src.v2.page.panels import Fact


def shift_words(cohorts: tuple[Cohort, ...], top: tuple[str, ...]) -> tuple[str, dict[str, Fact]]:
    """Say which feature's share differs most between cohorts.

    Parameters
    ----------
    cohorts
        Of one kind.
    top
        Names of the features, as of `Cohort.shares`.

    Returns
    -------
    words : str
        Empty where fewer than two cohorts have shares.
    facts : dict
        Those named in the words.
    """
    shares = np.array([each.shares for each in cohorts], dtype=np.float64)
    known = np.isfinite(shares).all(axis=1)
    if known.sum() < 2:
        return "", {}
    column = int(np.argmax(np.ptp(shares[known], axis=0)))
    rows = np.flatnonzero(known)
    least = rows[shares[rows, column].argmin()]
    most = rows[shares[rows, column].argmax()]
    return (
        "{feature} differs most: it holds {least} of mean |SHAP| in {where_least} and {most} in "
        "{where_most}. ",
        {
            "feature": Fact(top[column]),
            "least": Fact(float(shares[least, column]), "share"),
            "most": Fact(float(shares[most, column]), "share"),
            "where_least": Fact(cohorts[least].name),
            "where_most": Fact(cohorts[most].name),
        },
    )


def skill_words(cohorts: tuple[Cohort, ...]) -> tuple[str, dict[str, Fact]]:
    """Say where the rank IC is lowest and highest, and how many intervals lie above 0.

    A cohort without an interval is not named: its mean may be anything.

    Returns
    -------
    words : str
    facts : dict
        Those named in the words; `useful` and `measured` are the caller's.
    """
    if not any(math.isfinite(each.rank_ic.mean) for each in cohorts):
        return "A rank IC cannot be told from so few tickers a date.", {}
    told = [each for each in cohorts if math.isfinite(each.rank_ic.low)]
    if not told:
        return "No rank IC has an interval: each stands on too few dates.", {}
    worst, best = (choose(told, key=lambda each: each.rank_ic.mean) for choose in (min, max))
    facts = {}
    for name, each in (("worst", worst), ("best", best)):
        facts[name] = Fact(each.name)
        facts[f"{name}_ic"] = Fact(each.rank_ic.mean, "ic")
        facts[f"{name}_low"] = Fact(each.rank_ic.low, "ic")
        facts[f"{name}_high"] = Fact(each.rank_ic.high, "ic")
    if len(told) == 1:
        words = "The rank IC in {best} is {best_ic} ({best_low} to {best_high})."
    else:
        words = (
            "The rank IC is lowest in {worst}, {worst_ic} ({worst_low} to {worst_high}), and "
            "highest in {best}, {best_ic} ({best_low} to {best_high})."
        )
    useful = above_zero(each.rank_ic for each in told)
    words += (
        f" {{useful}} of {{measured}} {counted(len(told), 'interval', 'intervals')} "
        f"{counted(useful, 'lies', 'lie')} above 0."
    )
    if len(told) < len(cohorts):
        words += " Cohorts without an interval are not compared."
    return words, facts
