"""What one probe found, before it gets its name and its question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from src.v2.evaluation_records import AuditOutcome

SHOWN = 5
"""Most names in one sentence."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of a probe.

    Parameters
    ----------
    outcome
        pass, warn, fail or skipped.
    evidence
        A sentence or two with the numbers that decided.
    numbers
        The same numbers by name; a name holds letters, digits and underscores.
    """

    outcome: AuditOutcome
    evidence: str
    numbers: Mapping[str, float] = field(default_factory=dict)


def skipped(reason: str) -> Finding:
    """Say why a probe could not run."""
    return Finding("skipped", reason)


def some_names(names: Sequence[str]) -> str:
    """List the first names and count the others.

    Examples
    --------
    >>> some_names(["a", "b"])
    'a, b'
    >>> some_names([f"f{number}" for number in range(7)])
    'f0, f1, f2, f3, f4 and 2 more'
    """
    more = len(names) - SHOWN
    shown = ", ".join(names[:SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
