"""Whether fits without common rows agree on what matters."""

from __future__ import annotations

import math

from src.v2.evaluation.leakage.finding import Finding, skipped
from src.v2.evaluation_records import Stability

STABLE_PHI = 0.4
"""Below it agreement is poor (Fleiss's scale, as in Nogueira, Sechidis and Brown 2018)."""


def probe_stability(found: Stability, blocks: int) -> Finding:
    """Judge the agreement of fits on disjoint blocks.

    Parameters
    ----------
    found
        With bounds, and with the Phi of fits on permuted labels.
    blocks
        Fits that were compared.
    """
    if not math.isfinite(found.phi):
        return skipped(f"{found.groups} groups of features are too few to choose {found.top} from")
    text = (
        f"Phi of the top {found.top} of {found.groups} groups over {blocks} disjoint blocks: "
        f"{found.phi:.2f} ({found.phi_low:.2f} to {found.phi_high:.2f}), on labels of other "
        f"tickers {found.phi_null:.2f}"
    )
    numbers = {
        "phi": found.phi,
        "phi_low": found.phi_low,
        "phi_high": found.phi_high,
        "phi_null": found.phi_null,
        "blocks": blocks,
        "groups": found.groups,
    }
    null = found.phi_null if math.isfinite(found.phi_null) else 0.0
    if found.phi_low > max(STABLE_PHI, null):
        return Finding("pass", f"{text}: stable. Stability is not skill.", numbers)
    why = f"its lower bound is not above {STABLE_PHI} and what nonsense reaches"
    return Finding("warn", f"{text}: {why}. Stability is not skill.", numbers)
