"""What describes a number that a run logs."""

from __future__ import annotations

import re
from dataclasses import dataclass

WALKED = "walk-forward, out of sample"
HELD = "holdout"


@dataclass(frozen=True, slots=True)
class MetricDoc:
    """What one key, or a group of keys, means.

    Parameters
    ----------
    key
        The key; ``{…}`` stands for one of the names in braces, ``*`` for any score.
    """

    key: str
    formula: str
    rows: str
    unit: str
    better: str

    def matches(self, key: str) -> bool:
        """Tell whether this entry describes a key."""
        pattern = re.escape(self.key).replace(r"\*", "[a-z0-9_]+")
        pattern = re.sub(r"\\{(.*?)\\}", lambda found: f"(?:{found[1].replace(',', '|')})", pattern)
        return re.fullmatch(pattern.replace(r"\ ", ""), key) is not None
