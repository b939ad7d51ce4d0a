"""What a shuffled split reports on the bundled sample, and on random walks.

    python -m benchmarks.shuffled_split

Five shuffled folds over all rows, overlapping labels and all, as many public pipelines do;
100 trees of depth 6 at a learning rate of 0.1 on this project's features and raw 30-session
returns. Gives scikit-learn's R2 of each data set.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import polars as pl

from benchmarks.measure import table
from src.v2.config import DataConfig, FeaturesConfig, LabelConfig
from src.v2.data.sources import load_bars
from src.v2.features.compute import compute_features
from src.v2.features.families import active_features
from src.v2.modeling.labels import plan_label
from src.v2.modeling.panel import build_panel
from src.v2.tests.synthetic import random_walk_bars


def shuffled_r2(bars: pl.DataFrame) -> float:
    """R2 of five shuffled folds."""
    import xgboost as xgb
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold, cross_val_predict

    plan = plan_label(LabelConfig(target="return"), bars["ticker"].n_unique())
    table = compute_features(bars, active_features(FeaturesConfig()))
    panel, _ = build_panel(bars, table.frame, plan, 126)
    panel = panel.take(panel.label_end >= 0)
    model = xgb.XGBRegressor(learning_rate=0.1, max_depth=6, n_estimators=100)
    folds = KFold(5, shuffle=True, random_state=0)
    forecast = cross_val_predict(model, panel.features, panel.labels(), cv=folds)
    return float(r2_score(panel.labels(), np.asarray(forecast)))


def main(argv: Sequence[str]) -> dict[str, Any]:
    """Score both data sets; there is nothing to choose."""
    if argv:
        raise SystemExit(__doc__)
    sample, _, _ = load_bars(DataConfig(source="sample"))
    sets = {"bundled sample us20": sample, "20 random walks": random_walk_bars(20, 5785, 0)}
    rows = [[name, f"{shuffled_r2(bars):+.3f}"] for name, bars in sets.items()]
    return {"tables": [table(("bars", "R2 of the shuffled split"), rows)], "sentences": []}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
