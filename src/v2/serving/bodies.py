"""What a body may hold before pandas sees it: few columns, each once, and numbers that are numbers.

MLflow makes a frame of whatever comes, with a cell for each row and each column that any row
names: a hundred kilobytes can ask for gigabytes, so rows and columns are counted first.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from src.v2.serving.requests import MOST_ROWS

MOST_COLUMNS = 64
"""Columns of one request, if the model does not know more."""

MOST_LETTERS = 64
"""Letters of a cell: NumPy gives each text of a column the room of the longest."""

FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
TYPES = ("application/json", "text/csv")
_CLIPPED = 40
_TEXTS = ("date", "ticker")
_TRUTHS = frozenset(
    word for base in ("true", "false") for word in (base, base.title(), base.upper())
)
"""Cells of a CSV file that pandas reads as 1 and 0 in a column of numbers."""


class BodyError(Exception):
    """A body that no frame is made of; the message is for whoever sent it."""


def check_body(body: bytes, content_type: str, most_columns: int = MOST_COLUMNS) -> None:
    """Refuse a body whose frame would be too large or would not say what was meant.

    What is no JSON, or no UTF-8 text, passes: no frame is made of it.

    Parameters
    ----------
    content_type
        Of the request; parameters after a semicolon are left alone.
    most_columns
        Columns that a request may name, all its rows together.

    Raises
    ------
    BodyError
        When the form is unknown, there are too many rows or columns, a column stands twice, or a
        cell is true, false, a list, an object or a long text.
    """
    if _kind(content_type) == "text/csv":
        _check_csv(body, most_columns)
        return
    try:
        found = json.loads(body, object_pairs_hook=_once)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return
    if isinstance(found, dict):
        _check_json(found, most_columns)


def readable_type(content_type: str) -> bool:
    """Tell whether bodies of a type are read: of compressed ones nobody knows how long they are.

    Examples
    --------
    >>> readable_type("text/csv; charset=utf-8"), readable_type("application/vnd.apache.parquet")
    (True, False)
    """
    return _kind(content_type) in TYPES


def _kind(content_type: str) -> str:
    return content_type.split(";")[0].strip()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object, and refuse one that has a name twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        _check_unique([name for name, _ in pairs])
    return made


def _check_json(found: dict[str, Any], most: int) -> None:
    forms = [name for name in FORMS if name in found]
    strange = [name for name in found if name not in (*FORMS, "params")]
    if len(forms) != 1 or strange:
        raise BodyError(
            f"A JSON body must hold one of {', '.join(FORMS[:3])}, and may hold params; got "
            f"{', '.join(_shown(name) for name in itertools.islice(found, 5)) or 'neither'}."
        )
    (form,) = forms
    table = found[form]
    if form == "dataframe_split":
        _check_split(table, most)
    elif isinstance(table, dict) and form != "dataframe_records":
        _check_named_columns(table, most)
    else:
        _check_records(table, form, most)


def _check_records(rows: object, form: str, most: int) -> None:
    """Check a list of objects, one a row."""
    if not isinstance(rows, list):
        raise BodyError(f"{form} must be a list of rows, each an object of cells by column.")
    _check_height(len(rows))
    names: set[str] = set()
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise BodyError(f"{form}: row {number} must be an object of cells by column.")
        names.update(row)
        _check_width(names, most)
        _check_cells(row.items(), number)


def _check_split(table: object, most: int) -> None:
    """Check names of columns, and lists of cells."""
    if not isinstance(table, dict):
        raise BodyError("dataframe_split must be an object of columns and data.")
    names, rows = table.get("columns"), table.get("data")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BodyError("dataframe_split: columns must be a list of names.")
    if not isinstance(rows, list):
        raise BodyError("dataframe_split: data must be a list of rows, each a list of cells.")
    _check_width(names, most)
    _check_unique(names)
    _check_height(len(rows))
    _check_index(table.get("index"), len(rows))
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != len(names):
            raise BodyError(
                f"dataframe_split: row {number} must be a list of {len(names)} cells, one a column."
            )
        _check_cells(zip(names, row, strict=True), number)


def _check_index(index: object, rows: int) -> None:
    """Let pass what pandas writes; lists in it would become as many levels."""
    if index is None:
        return
    if not isinstance(index, list) or len(index) != rows:
        raise BodyError("dataframe_split: index must be a list with a cell for each row.")
    for number, cell in enumerate(index, 1):
        _check_cells([("index", cell)], number)


def _check_named_columns(table: dict[str, Any], most: int) -> None:
    """Check lists of cells by column."""
    _check_width(table, most)
    for name, cells in table.items():
        if not isinstance(cells, list):
            raise BodyError(f"Column {_shown(name)} must be a list of cells.")
        _check_height(len(cells))
        for number, cell in enumerate(cells, 1):
            _check_cells([(name, cell)], number)


def _check_csv(body: bytes, most: int) -> None:
    """Check a header and the number of cells of each row."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    lines = (row for row in csv.reader(io.StringIO(text, newline="")) if row)
    try:
        names = next(lines, [])
        _check_width(names, most)
        _check_unique(names)
        for number, row in enumerate(lines, 1):
            _check_height(number)
            if len(row) > len(names):
                raise BodyError(f"Row {number} has more cells than the header has names.")
            if not _TRUTHS.isdisjoint(row):
                named = zip(names, row, strict=False)
                wrong = [name for name, cell in named if cell in _TRUTHS and name not in _TEXTS]
                _check_cells([(name, True) for name in wrong], number)
    except csv.Error as error:
        raise BodyError(f"The body must be CSV; got: {error}.") from error


def _check_height(rows: int) -> None:
    if rows > MOST_ROWS:
        raise BodyError(f"A request must have 1 to {MOST_ROWS:,} rows; there are more.")


def _check_width(names: Collection[str], most: int) -> None:
    if len(names) > most:
        raise BodyError(
            f"A request may name {most} columns, all its rows together; there are more. Send those "
            "of the carried bars alone."
        )


def _check_unique(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BodyError(f"A column must stand once; {_shown(name)} stands several times.")
        seen.add(name)


def _check_cells(cells: Iterable[tuple[str, object]], row: int) -> None:
    """Refuse true and false, read as 1 and 0, and what takes more memory in a table than here."""
    for name, cell in cells:
        if isinstance(cell, str) and len(cell) > MOST_LETTERS:
            raise BodyError(
                f"A cell may have {MOST_LETTERS} letters; {_shown(name)} of row {row} has more."
            )
        if isinstance(cell, bool | list | dict):
            raise BodyError(f"A cell must be text or a number; {_shown(name)} of row {row} is not.")


def _shown(name: str) -> str:
    """Quote a given name, cut short."""
    return repr(name if len(name) <= _CLIPPED else f"{name[:_CLIPPED]}…")
