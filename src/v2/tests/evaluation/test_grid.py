"""Long tables as matrices."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from src.v2.evaluation.grid import make_grid

DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=3 * place) for place in range(6)]
CELLS = st.dictionaries(
    st.tuples(st.sampled_from(DAYS), st.sampled_from(["B", "A", "BRK.B", "Z"])),
    st.tuples(st.one_of(st.none(), st.floats(-5, 5)), st.integers(-3, 3)),
)


@given(CELLS)
def test_every_value_lies_at_its_date_and_ticker(
    cells: dict[tuple[dt.date, str], tuple[float | None, int]],
) -> None:
    table = pl.DataFrame(
        [(*key, *values) for key, values in cells.items()],
        schema={"date": pl.Date, "ticker": pl.String, "score": pl.Float32, "label": pl.Int64},
        orient="row",
    )
    grid = make_grid(table, ["score", "label"])
    assert list(grid.dates) == sorted({date for date, _ in cells})
    assert list(grid.tickers) == sorted({ticker for _, ticker in cells})
    filled = 0
    for day, date in enumerate(grid.dates):
        for column, ticker in enumerate(grid.tickers):
            score, label = cells.get((date, ticker), (None, None))
            for name, expected in (("score", score), ("label", label)):
                got = grid.values[name][day, column]
                filled += np.isfinite(got)
                wanted = np.nan if expected is None else np.float32(expected)
                np.testing.assert_equal(got, np.float64(wanted))
    assert filled == len(cells) + sum(score is not None for score, _ in cells.values())


def test_the_order_of_rows_does_not_matter() -> None:
    table = pl.DataFrame(
        {
            "date": [day for day in DAYS for _ in range(3)],
            "ticker": ["C", "A", "B"] * 6,
            "score": np.arange(18.0),
        }
    )
    plain = make_grid(table, ["score"]).values["score"]
    mixed = make_grid(table.sample(fraction=1.0, shuffle=True, seed=1), ["score"]).values["score"]
    np.testing.assert_array_equal(plain, mixed)
