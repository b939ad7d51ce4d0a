"""Columns as sources name them, and cells as sources write them.

A source may call a column ``Adj Close`` and write a date as ``3/14/2020``. Here names
are matched and cells are read; a cell that cannot be read is marked, never guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from src.v2.data.numbers import read_numbers
from src.v2.errors import DataError

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")
SCHEMA = pl.Schema({"date": pl.Date, "ticker": pl.String} | dict.fromkeys(NUMBERS, pl.Float64))
"""The columns of bars, in order; all but date, ticker and close may be absent."""

UNREADABLE = "unreadable"
"""Column that `read_types` adds: the first rule that a row's text breaks, else null."""

UNREADABLE_CELL = "unreadable cell"
"""Column that `read_types` adds beside it: that rule with the text itself."""

ADJUSTED = "adjusted close"
"""A second close that a file may have: adjusted, while its other prices are not."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "date": ("date", "datetime", "timestamp", "time", "day", "datum", "observation_date"),
    "ticker": ("ticker", "symbol", "code"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close", "price", "last", "schluss", "schlusskurs"),
    ADJUSTED: (
        *("adj close", "adj_close", "adjclose", "adjusted close", "adjusted_close"),
        *("adjusted", "adj. close", "close_adj", "closeadj"),
    ),
    "volume": ("volume", "vol"),
}
"""Names of each column in lower case, the preferred one first."""

INDEX_NAMES = ("", "index", "unnamed: 0", "__index_level_0__", "level_0", "level_1")
"""What pandas calls an index that it saved as a column."""

_MISSING = ("", "-", "--", "na", "n/a", "#n/a", "nan", "null", "none", "nat")
_DATE_FORMATS: tuple[str, ...] = (
    *("%Y/%m/%d", "%Y%m%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y"),
    *("%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%m-%d-%Y", "%m/%d/%y"),
)
"""Tried after ISO; of two that read as many cells the first one counts."""
_EPOCH_UNITS = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000), (1e8, 1_000_000_000))
"""Nanoseconds in the unit of an epoch number that is at least this large."""


def match_names(names: Sequence[str], own_columns: Collection[str] = ()) -> dict[str, str]:
    """Find which of a source's columns holds what.

    Parameters
    ----------
    names
        The source's column names.
    own_columns
        Names that the user has claimed; they stand for themselves.

    Returns
    -------
    dict
        The source's name by ours (`ALIASES`), for what is there.

    Examples
    --------
    >>> match_names(["Date", "Symbol", "Adj Close", "Vol"])
    {'date': 'Date', 'ticker': 'Symbol', 'adjusted close': 'Adj Close', 'volume': 'Vol'}
    """
    free: dict[str, str] = {}
    for name in names:
        if name not in own_columns:
            free.setdefault(name.strip().lower(), name)
    found: dict[str, str] = {}
    for ours, aliases in ALIASES.items():
        hit = next((alias for alias in aliases if alias in free), None)
        if hit is not None:
            found[ours] = free[hit]
    return found


def index_names(names: Sequence[str]) -> list[str]:
    """Name the columns that look like an index saved by pandas."""
    return [name for name in names if name.strip().lower() in INDEX_NAMES]


def read_types(raw: pl.DataFrame, own_columns: Collection[str] = ()) -> pl.DataFrame:
    """Give every column of bars its type.

    Parameters
    ----------
    raw
        Bars under our column names, of any types; further columns are left out.
    own_columns
        Further numeric columns to keep.

    Returns
    -------
    polars.DataFrame
        | date | ticker | open | high | low | close | volume | own columns |, as far as
        there, and | unreadable | unreadable cell | where a text is no number or no date.
        NaN is null. A ticker is without blanks around it. A time is its date in its own
        time zone.

    Raises
    ------
    DataError
        When the commas of a column, other than volume, may be decimal marks or not, or none of
        its dates tells day from month.
    """
    own = [name for name in own_columns if name in raw.columns and name not in SCHEMA]
    columns: list[pl.Series] = []
    rules: list[pl.Series] = []
    texts: list[pl.Series] = []
    for name in [name for name in SCHEMA if name in raw.columns] + own:
        cells = raw.get_column(name)
        if name == "date":
            check_day_and_month(cells)
            read = read_dates(cells)
        elif name == "ticker":
            read = cells.cast(pl.String, strict=False).str.strip_chars()
        else:
            read = read_numbers(cells, thousands=name == "volume")
        columns.append(read)
        if name != "ticker" and read.null_count() > cells.null_count():
            lost = read.is_null() & ~_is_missing(cells)
            if lost.any():
                rule = f"{name} is no {'date' if name == 'date' else 'number'}"
                marks = pl.DataFrame([lost.alias("lost"), _as_text(cells).alias("cell")])
                marked = marks.select(
                    rule=pl.when("lost").then(pl.lit(rule)),
                    text=pl.when("lost").then(pl.format("{}: '{}'", pl.lit(rule), "cell")),
                )
                rules.append(marked.get_column("rule").alias(rule))
                texts.append(marked.get_column("text").alias(rule))
    typed = pl.DataFrame(columns)
    given = [name for name in (UNREADABLE, UNREADABLE_CELL) if name in raw.columns]
    if given:
        return typed.with_columns(raw.select(given))
    if rules:
        first = {UNREADABLE: rules, UNREADABLE_CELL: texts}
        typed = typed.with_columns(
            pl.DataFrame(found).select(pl.coalesce(pl.all())).to_series().alias(name)
            for name, found in first.items()
        )
    return typed


def read_dates(cells: pl.Series) -> pl.Series:
    """Read cells as dates; whatever is no date is null.

    A time with a zone is the date in that zone. Text is ISO, or of the one common
    format that reads most cells. Whole numbers are 20200131 or time since 1970.

    Examples
    --------
    >>> read_dates(pl.Series(["2020-01-31 00:00:00-05:00", "soon"])).to_list()
    [datetime.date(2020, 1, 31), None]
    """
    dtype = cells.dtype
    if dtype == pl.Date:
        return cells
    if isinstance(dtype, pl.Datetime):
        return cells.dt.date()
    if dtype in (pl.Categorical, pl.Enum):
        cells = cells.cast(pl.String)
    if cells.dtype == pl.String:
        return _text_dates(cells)
    if dtype.is_numeric():
        return _number_dates(cells)
    return pl.Series(cells.name, [None] * len(cells), dtype=pl.Date)


def _text_dates(cells: pl.Series) -> pl.Series:
    text = cells.str.strip_chars()
    best = text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False, exact=True)
    wanted = len(text) - int(_is_missing(cells).sum())
    for form in _DATE_FORMATS:
        if len(best) - best.null_count() >= wanted:
            break
        # A time of day may follow the date; what is left of it holds no comma.
        day = text if " " in form else text.str.split(" ").list.first()
        found = day.str.to_date(form, strict=False, exact=True)
        if found.null_count() < best.null_count():
            best = found
    return best


def check_day_and_month(cells: pl.Series) -> None:
    """Refuse a column of dates where no date tells whether the day or the month comes first.

    Parameters
    ----------
    cells
        As read from a file; 03/04/2019 is ambiguous, 03/13/2019 tells how the others are meant.

    Raises
    ------
    DataError
        When all dates can be read either way, and would not be the same.
    """
    unclear = None if cells.dtype != pl.String else _ambiguous_date(cells)
    if unclear is not None:
        raise DataError(
            f"The column {cells.name} must tell day from month; '{unclear}' can be read in two "
            "ways, as can all its other dates. Write them as 2019-03-04."
        )


def _ambiguous_date(cells: pl.Series) -> str | None:
    """Give a date whose day and month cannot be told apart, if that holds for all of a column."""
    text = cells.str.strip_chars()
    text = text.filter(~_is_missing(text)).unique(maintain_order=True)
    read = [text.str.to_date(form, strict=False) for form in ("%m/%d/%Y", "%d/%m/%Y")]
    differ = read[0].is_not_null() & read[1].is_not_null() & (read[0] != read[1])
    either_way = len(text) > 0 and (read[0].null_count() == 0 == read[1].null_count())
    return text.filter(differ)[0] if either_way and differ.any() else None


def _number_dates(cells: pl.Series) -> pl.Series:
    numbers = cells.cast(pl.Float64).fill_nan(None)
    middle = numbers.median()
    if not isinstance(middle, float):
        return pl.Series(cells.name, [None] * len(cells), dtype=pl.Date)
    whole = numbers.cast(pl.Int64, strict=False)
    if 19_000_101 <= middle <= 21_001_231:
        return whole.cast(pl.String).str.to_date("%Y%m%d", strict=False)
    unit = next((unit for least, unit in _EPOCH_UNITS if abs(middle) >= least), None)
    if unit is None:
        return pl.Series(cells.name, [None] * len(cells), dtype=pl.Date)
    return (whole * unit).cast(pl.Datetime("ns")).dt.date()


def _as_text(cells: pl.Series) -> pl.Series:
    """Write cells as text, null where their type has none."""
    try:
        return cells.cast(pl.String, strict=False)
    except pl.exceptions.PolarsError:
        return pl.Series([None] * len(cells), dtype=pl.String)


def _is_missing(cells: pl.Series) -> pl.Series:
    """Mark cells that say that there is no value."""
    if cells.dtype in (pl.String, pl.Categorical, pl.Enum):
        text = cells.cast(pl.String).str.strip_chars().str.to_lowercase()
        return cells.is_null() | text.is_in(_MISSING)
    return cells.is_nan() if cells.dtype.is_float() else cells.is_null()
