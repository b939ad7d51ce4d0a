"""A search of hyperparameters in words, as a table, and as a file that training takes."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from src.v2.console import printable
from src.v2.lifecycle.confirmation import Confirmation, guard_searched, least_dates
from src.v2.lifecycle.search_space import Dimension, settings_at
from src.v2.lifecycle.short_names import short_value
from src.v2.lifecycle.trial_walks import Folds
from src.v2.lifecycle.tuning import Tuned
from src.v2.stored_records import encode
from src.v2.summary_text import between, counted, shown

BEST_SHOWN = 5


def tuning_sentences(tuned: Tuned) -> list[str]:
    """Say what the search found, and whether it held."""
    pruned = sum(trial.pruned for trial in tuned.trials)
    found = [
        f"{len(tuned.trials)} trials on {_folds(tuned.folds)}, {pruned} of them pruned; each "
        "counts in the trial log.",
        f"The best on the searched folds is trial {tuned.best.number}, rank IC "
        f"{shown(tuned.best.score, 'ic')}; the default has {shown(tuned.default.score, 'ic')}. "
        "The best of many is the best in part by luck, so that this difference flatters it.",
    ]
    check = tuned.confirmation
    if check is None:
        found.append("No trial is better than the default: keep it.")
        if guard_searched(tuned.default, tuned.config.label.forward_days) == "implausible":
            found.append("Its rank IC is too good to be true: check for leakage with make audit.")
        return found
    found.append(
        f"On the folds kept out of the search the tuned one has {between(check.winner, 'ic')}, the "
        f"default {between(check.default, 'ic')}: {between(check.margin, 'ic')} apart, p "
        f"{shown(check.test.p, 'chance')}."
    )
    return [*found, _finding(check, tuned.config.label.forward_days)]


def _finding(check: Confirmation, horizon: int) -> str:
    """Say what the kept-out folds say, and what is to be used."""
    asked = ""
    if check.looks > 1:
        asked = (
            f" {check.looks} winners of searches have met these dates by now: p {check.level:.2g} "
            "is asked for, not 0.05."
        )
    match check.finding:
        case "held":
            return f"It held: the tuned one is better than the default beyond chance.{asked}"
        case "implausible":
            return (
                "Its rank IC is too good to be true, here or on the searched folds: check for "
                "leakage with make audit. Keep the default."
            )
        case "too short":
            return (
                f"Whether it held cannot be judged: {check.dates:,} dates were kept out, "
                f"{least_dates(horizon):,} are needed at this horizon. Keep the default; a longer "
                "history or a larger --tune.confirm-folds may tell."
            )
        case "no better":
            return "It did not hold: the tuned one is no better than the default. Keep that."
        case "chance":
            return f"It held no further than chance may: keep the default.{asked}"


def importance_line(importance: Mapping[str, float]) -> str:
    """Name the parameters that the scores depend on, or say that nothing is known yet."""
    if not importance:
        return "importance of the parameters: too few whole trials"
    shares = ", ".join(f"{name} {share:.0%}" for name, share in importance.items())
    return f"share of the scores' variance by parameter: {shares}"


def tuned_file(tuned: Tuned, space: Sequence[Dimension]) -> str:
    """Write the best trial as a file of settings, with what it is worth on top."""
    import yaml

    head = "".join(f"# {printable(line)}\n" for line in tuning_sentences(tuned))
    return head + yaml.safe_dump(settings_at(tuned.config, space), sort_keys=False)


def tuning_markdown(tuned: Tuned, space: Sequence[Dimension]) -> str:
    """Write the search as a page of markdown."""
    names = [each.name for each in space]
    best = sorted((t for t in tuned.trials if not t.pruned), key=lambda t: -t.score)
    lines = [["trial", "rank IC", *names], ["---"] * (2 + len(names))]
    for trial in dict.fromkeys([trial.number for trial in best[:BEST_SHOWN]]):
        record = next(each for each in best if each.number == trial)
        values = [
            short_value(float(f"{v:.3g}") if isinstance(v, float) else v)
            for v in (record.point.get(name) for name in names)
        ]
        lines.append([str(record.number), shown(record.score, "ic"), *values])
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    sentences = "\n".join(f"- {sentence}" for sentence in tuning_sentences(tuned))
    return (
        f"# Search of hyperparameters\n\n{sentences}\n- {importance_line(tuned.importance)}\n\n"
        f"## The best trials\n\n{table}\n"
        "`min_child_weight` is a multiple of the default. The holdout stayed closed.\n"
    )


def trials_csv(tuned: Tuned, space: Sequence[Dimension]) -> str:
    """Write a row for each trial."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = [each.name for each in space]
    facts = ("config_fingerprint", "rounds", "seconds")
    writer.writerow(["number", "rank_ic", "pruned", *names, *facts])
    for trial in tuned.trials:
        values = [trial.point.get(name) for name in names]
        noted = [trial.facts.get(name) for name in facts]
        writer.writerow([trial.number, trial.score, str(trial.pruned).lower(), *values, *noted])
    return stream.getvalue()


def tuning_record(tuned: Tuned, space: Sequence[Dimension]) -> dict[str, Any]:
    """Give the search as plain values."""
    return {
        "schema_version": 1,
        "recommended": "tuned" if tuned.recommended else "default",
        "conclusions": tuning_sentences(tuned),
        "settings": settings_at(tuned.config, space),
        "config_fingerprint": tuned.config.fingerprint,
        "best": encode(tuned.best),
        "default": encode(tuned.default),
        "confirmation": encode(tuned.confirmation),
        "importance": dict(tuned.importance),
        "trials": [encode(trial) for trial in tuned.trials],
    }


def tuning_metrics(tuned: Tuned) -> dict[str, float]:
    """Name the numbers of the search."""
    found = {
        "tune_trials": float(len(tuned.trials)),
        "tune_best_rank_ic": tuned.best.score,
        "tune_default_rank_ic": tuned.default.score,
    }
    check = tuned.confirmation
    if check is None:
        return found
    return found | {
        "confirm_rank_ic": check.winner.mean,
        "confirm_default_rank_ic": check.default.mean,
        "confirm_margin": check.margin.mean,
        "confirm_margin_low": check.margin.low,
        "confirm_margin_high": check.margin.high,
        "confirm_p": check.test.p,
    }


def _folds(folds: Folds) -> str:
    return f"{counted(len(folds.searched), 'fold')}, {len(folds.confirming)} kept out"
