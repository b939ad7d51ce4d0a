"""Write finance_oracles.json: what alphalens and empyrical say about the made-up data.

Both libraries are built from source, so they are no part of the project's environment. To
repeat, from the root of the repository:

    python3.12 -m venv /tmp/oracles
    /tmp/oracles/bin/pip install alphalens-reloaded==0.5.1 empyrical-reloaded==0.7.1
    /tmp/oracles/bin/python -m src.v2.tests.golden.make_finance_oracles
"""

from __future__ import annotations

import json
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from src.v2.tests.golden.finance_data import PERIODS, QUANTILES, FinanceData, finance_data

TARGET = Path(__file__).with_name("finance_oracles.json")
LIBRARIES = ("alphalens-reloaded", "empyrical-reloaded", "numpy", "pandas", "scipy")


def panel_oracles(data: FinanceData) -> dict[str, Any]:
    """Rank IC by date and horizon, and the mean return of each quantile by date."""
    pandas: Any = import_module("pandas")
    utils: Any = import_module("alphalens.utils")
    performance: Any = import_module("alphalens.performance")
    dates = pandas.DatetimeIndex(data.dates, freq="B")
    prices = pandas.DataFrame(data.closes, index=dates, columns=data.tickers)
    scores = pandas.DataFrame(data.scores, index=dates[: len(data.scores)], columns=data.tickers)
    table = utils.get_clean_factor_and_forward_returns(
        scores.stack(), prices, quantiles=QUANTILES, periods=PERIODS, max_loss=0
    )
    rank_ic = performance.factor_information_coefficient(table)
    means, _ = performance.mean_return_by_quantile(table, by_date=True, demeaned=False)
    names = {period: f"{period}D" for period in PERIODS}
    return {
        "rank_ic": {str(period): rank_ic[name].tolist() for period, name in names.items()},
        "quantile_returns_1": means["1D"].unstack("factor_quantile").to_numpy().tolist(),
    }


def book_oracles(data: FinanceData) -> dict[str, Any]:
    """Sum up the daily returns."""
    pandas: Any = import_module("pandas")
    empyrical: Any = import_module("empyrical")
    returns = pandas.Series(data.returns, index=pandas.DatetimeIndex(data.return_dates))
    yearly = empyrical.aggregate_returns(returns, "yearly")
    return {
        "annual_return": float(empyrical.annual_return(returns)),
        "annual_volatility": float(empyrical.annual_volatility(returns)),
        "sharpe_ratio": float(empyrical.sharpe_ratio(returns)),
        "max_drawdown": float(empyrical.max_drawdown(returns)),
        "cumulative_every_100": empyrical.cum_returns(returns).iloc[99::100].tolist(),
        "yearly": {str(year): float(value) for year, value in yearly.items()},
    }


def main() -> None:
    """Compute and write."""
    data = finance_data()
    oracles = {
        "versions": {name: metadata.version(name) for name in LIBRARIES},
        "data": {
            "closes": float(data.closes.sum()),
            "scores": float(data.scores.sum()),
            "returns": float(data.returns.sum()),
        },
        "panel": panel_oracles(data),
        "book": book_oracles(data),
    }
    TARGET.write_text(json.dumps(oracles, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
