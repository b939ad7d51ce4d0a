"""Write alpha158_oracles.parquet: what qlib says about a cut of the bundled bars.

qlib pulls in other versions of the project's libraries, so it lives in an environment of its
own. To repeat, from the root of the repository:

    python3.11 -m venv /tmp/qlib
    /tmp/qlib/bin/pip install pyqlib==0.9.7 polars==2.1.0
    /tmp/qlib/bin/python -m src.v2.tests.golden.make_alpha158_oracles
"""

from __future__ import annotations

import struct
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from src.v2.tests.golden.alpha158_data import FIELDS, alpha158_bars, kept_rows

TARGET = Path(__file__).with_name("alpha158_oracles.parquet")


def write_provider(bars: pl.DataFrame, root: Path) -> None:
    """Store bars as qlib reads them: a calendar, the tickers' spans, one file a field."""
    dates = bars["date"].unique().sort()
    places = {date: place for place, date in enumerate(dates)}
    (root / "calendars").mkdir(parents=True)
    (root / "instruments").mkdir()
    (root / "calendars" / "day.txt").write_text("\n".join(map(str, dates)) + "\n")
    spans = []
    for (ticker,), part in bars.group_by("ticker", maintain_order=True):
        first, last = part["date"][0], part["date"][-1]
        if len(part) != places[last] - places[first] + 1:
            raise ValueError(f"{ticker} lacks a session of the calendar")
        spans.append(f"{ticker}\t{first}\t{last}")
        folder = root / "features" / str(ticker).lower()
        folder.mkdir(parents=True)
        for field in FIELDS:
            numbers = [float(places[first]), *part[field]]
            (folder / f"{field}.day.bin").write_bytes(struct.pack(f"<{len(numbers)}f", *numbers))
    (root / "instruments" / "all.txt").write_text("\n".join(spans) + "\n")


def start_qlib(root: Path) -> None:
    """Point qlib at a folder of bars, on one process and without a cache."""
    qlib: Any = import_module("qlib")
    qlib.init(provider_uri=str(root), region="us", kernels=1, expression_cache=None)


def qlib_factors() -> pl.DataFrame:
    """Return | date | ticker | qlib's 158 factors |, as its data handler asks for them."""
    data: Any = import_module("qlib.data").D
    loader: Any = import_module("qlib.contrib.data.loader").Alpha158DL
    expressions, names = loader.get_feature_config()
    found = data.features(data.instruments("all"), expressions, freq="day")
    keys = found.index.to_frame(index=False)
    columns = {name: found.iloc[:, place].to_numpy() for place, name in enumerate(names)}
    ticker = pl.Series("ticker", keys["instrument"].astype(str).to_list())
    date = pl.Series("date", keys["datetime"].dt.date.to_list(), pl.Date)
    return pl.DataFrame(
        [date, ticker, *(pl.Series(name, value) for name, value in columns.items())]
    )


def main() -> None:
    """Compute, keep the chosen rows and write."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_provider(alpha158_bars(), root)
        start_qlib(root)
        found = qlib_factors()
    kept = kept_rows(found).cast({pl.Float64: pl.Float32})
    kept.write_parquet(TARGET, compression="zstd")


if __name__ == "__main__":
    main()
