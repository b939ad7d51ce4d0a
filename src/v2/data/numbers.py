"""Numbers as sources write them, with a point or a comma as decimal mark."""

from __future__ import annotations

import polars as pl

from src.v2.errors import DataError

_COMMA = (
    r"^[+-]?(\d+,(\d{1,2}|\d{4,})|(\d{4,}|0\d*),\d+"
    r"|\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){2,})$"
)
"""Text that is a number only if the comma is the decimal mark."""
_POINT = (
    r"^[+-]?(\d*\.(\d{1,2}|\d{4,})|(\d{4,}|0\d*)\.\d+"
    r"|\d{1,3}(,\d{3})+\.\d+|\d{1,3}(,\d{3}){2,})$"
)
"""Text that is a number only if the point is the decimal mark."""
_EITHER = r"^[+-]?\d{1,3}[.,]\d{3}$"
_AMBIGUOUS = r"^[+-]?[1-9]\d{0,2},\d{3}$"
_MANY_POINTS = r"\.\d+\."


def read_numbers(cells: pl.Series, *, thousands: bool = True) -> pl.Series:
    """Read cells as Float64; NaN and whatever is no number are null.

    One decimal mark counts for the whole column: the one that more cells show. Where cells
    contradict each other, those that may be read either way are null.

    Parameters
    ----------
    cells
        Cells of any type.
    thousands
        Whether ``1,234`` is 1234 when no cell shows the mark.

    Raises
    ------
    DataError
        When no cell shows the mark and ``thousands`` is false.

    Examples
    --------
    >>> read_numbers(pl.Series(["1,234.5", " 7 ", "n/a", "seven"])).to_list()
    [1234.5, 7.0, None, None]
    >>> read_numbers(pl.Series(["50,109", "49,25", "1.234,5"])).to_list()
    [50.109, 49.25, 1234.5]
    """
    if cells.dtype == pl.Float64:
        return cells.fill_nan(None)
    if cells.dtype in (pl.Categorical, pl.Enum):
        cells = cells.cast(pl.String)
    if cells.dtype == pl.String:
        text = cells.str.strip_chars()
        if text.str.contains(f",|{_MANY_POINTS}").any():
            text = _with_points(text, thousands=thousands)
        return text.cast(pl.Float64, strict=False).fill_nan(None)
    if cells.dtype.is_numeric() or cells.dtype == pl.Null:
        return cells.cast(pl.Float64).fill_nan(None)
    return pl.Series(cells.name, [None] * len(cells), dtype=pl.Float64)


def _with_points(text: pl.Series, *, thousands: bool) -> pl.Series:
    """Write numbers with a decimal point and without separators of thousands."""
    comma, point = (int(text.str.contains(form).sum() or 0) for form in (_COMMA, _POINT))
    if not comma and not point and not thousands:
        unclear = text.filter(text.str.contains(_AMBIGUOUS).fill_null(False))
        if len(unclear):
            cell = unclear[0]
            raise DataError(
                f"The column {text.name} is ambiguous: '{cell}' may be "
                f"{cell.replace(',', '.')} or {cell.replace(',', '')}. "
                "Write decimals with a point."
            )
    if comma and point:
        unclear_mask = text.str.contains(_EITHER).fill_null(False)
        text = text.set(unclear_mask, None)
    if comma > point:
        valid = text.str.contains(r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?$")
        plain = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        return plain.set(~valid.fill_null(False), None)
    grouped = text.str.contains(r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$")
    plain = text.str.replace_all(",", "", literal=True)
    return plain.zip_with(grouped.fill_null(False), text)
