"""The table of runs as text: what fits a terminal, or every column that was asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from src.v2.console import printable
from src.v2.errors import ConfigError
from src.v2.tracking.query import COLUMNS

if TYPE_CHECKING:
    import polars as pl

ALWAYS = ("run_id", "run_name", "status", "start_time")
BY_NEED = (
    *("verdict", "cv_rank_ic_mean", "final_rank_ic", "book_long_short_sharpe", "forward_days"),
    *("runtime_sec", "mode", "cv_r2_mean", "final_r2", "feature_stability"),
)
"""Further columns, the one that is given up last first."""

ID_LENGTH = 8
NAME_LENGTH = 24
"""Of a name, more where there is room."""

NARROWEST = 64
UNFINISHED = ("FAILED", "KILLED")
GAP = "  "
CUT = "…"

Rows = Sequence[Mapping[str, Any]]


def chosen_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Give the columns that ``runs.columns`` asks for; none where it leaves the choice.

    Raises
    ------
    ConfigError
        For a name that is no column.
    """
    if list(names) == ["all"]:
        return COLUMNS
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise ConfigError(
            f"runs.columns must be all, or some of {', '.join(COLUMNS)}; got "
            f"{', '.join(map(printable, unknown))}."
        )
    return tuple(names)


def whole_table(table: pl.DataFrame) -> str:
    """Write every cell whole, one line a run, however wide that is."""
    return "\n".join(_aligned([table.columns, *_texts(table.to_dicts(), table.columns)]))


def fitting_table(table: pl.DataFrame, width: int) -> tuple[str, bool]:
    """Write what fits a terminal, with the reason below each run that did not finish.

    Parameters
    ----------
    table
        As `src.v2.tracking.query.search_runs` gives it; columns without any value are left out.
    width
        Columns of the terminal; at least 64 are taken.

    Returns
    -------
    tuple
        The text, and whether anything but the reason was left out or shortened.
    """
    width, rows = max(width, NARROWEST), table.to_dicts()
    filled = [name for name in (*ALWAYS, *BY_NEED) if any(row[name] is not None for row in rows)]
    filled.sort(key=table.columns.index)
    head, *lines = _aligned([filled, *_texts(rows, filled)])
    less = max(map(len, (head, *lines))) > width
    if less:
        head, *lines = _aligned(_shortened(rows, filled, width))
    told = [head]
    for row, line in zip(rows, lines, strict=True):
        told.append(line)
        if row["status"] in UNFINISHED:
            reason = printable(row["end_reason"] or "no reason was kept")
            told.append(_cut(f"{' ' * ID_LENGTH}{GAP}{reason}", width))
    return "\n".join(told), less


def _shortened(rows: Rows, filled: Sequence[str], width: int) -> list[Sequence[str]]:
    """Cut ids, names and verdicts, and take the columns that fit beside them."""
    short = [dict(row) for row in rows]
    for row in short:
        row["run_id"] = row["run_id"][:ID_LENGTH]
        row["verdict"] = (row["verdict"] or "").partition(":")[0] or None
    texts = {name: [name, *(_text(row[name]) for row in short)] for name in filled}
    sizes = {name: max(map(len, cells)) for name, cells in texts.items()}
    longest = sizes.get("run_name", 0)
    sizes["run_name"] = min(longest, NAME_LENGTH)
    taken = [name for name in ALWAYS if name in filled]
    for name in BY_NEED:
        if name in filled and _width([sizes[each] for each in (*taken, name)]) <= width:
            taken.append(name)
    room = width - _width([sizes[name] for name in taken])
    most = min(longest, sizes["run_name"] + max(room, 0))
    texts["run_name"] = [_cut(name, most) for name in texts.get("run_name", [])]
    shown = [texts[name] for name in filled if name in taken]
    return list(zip(*shown, strict=True))


def _width(sizes: Sequence[int]) -> int:
    return sum(sizes) + len(GAP) * (len(sizes) - 1)


def _texts(rows: Rows, names: Sequence[str]) -> list[Sequence[str]]:
    return [[_text(row[name]) for name in names] for row in rows]


def _aligned(texts: Sequence[Sequence[str]]) -> list[str]:
    """Give the lines of a table whose columns are as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in texts
    ]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - len(CUT)] + CUT


def _text(value: object) -> str:
    """Write one cell; the time is that of this place."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, dt.datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M")
    return printable(str(value))
