"""The page as plain values: every number that it shows, and the records behind them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.v2.page.identity import RunIdentity
from src.v2.page.panels import Cell, Fact, Panel, Section, Table, Value
from src.v2.records import TrainingResult
from src.v2.summary_record import evaluation_record

SCHEMA_VERSION = 1

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def report_record(
    sections: Sequence[Section],
    result: TrainingResult,
    identity: RunIdentity,
    failed: Mapping[str, str],
) -> dict[str, Any]:
    """Give everything that the page says, ready for JSON.

    Parameters
    ----------
    failed
        Reason by the name of the panel whose picture could not be drawn.

    Returns
    -------
    dict
        Dates are written as in ISO 8601; NaN and infinity are None; daily tables are left out.
    """
    record = {
        "schema_version": SCHEMA_VERSION,
        "identity": identity,
        "mode": result.mode,
        "target": result.target,
        "verdict": result.evaluation.verdict,
        "panels": {
            part.name: _panel_record(section, part)
            for section in sections
            for part in section.content
            if isinstance(part, Panel)
        },
        "tables": {
            part.name: _table_record(section, part)
            for section in sections
            for part in section.content
            if isinstance(part, Table)
        },
        "evaluation": evaluation_record(result.evaluation),
        "explanation": result.explanation,
        "detail": result.detail,
        "pictures_failed": dict(failed),
    }
    plain = _plain(record)
    assert isinstance(plain, dict)
    return plain


def written(record: Mapping[str, Any]) -> str:
    """Write a record as strict JSON; equal for equal records, whatever their order."""
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text + "\n"


def raw(value: Value) -> str:
    """Write a fact's value as JSON gives it; a text or a date stands for itself.

    Examples
    --------
    >>> raw(0.1), raw(3), raw(float("nan")), raw("AAPL"), raw(dt.date(2024, 1, 2))
    ('0.1', '3', 'null', 'AAPL', '2024-01-02')
    """
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain)


def clean(text: str) -> str:
    r"""Replace what no page may hold: control characters and halves of characters.

    Examples
    --------
    >>> clean("a\x00b")
    'a\ufffdb'
    """
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _panel_record(section: Section, panel: Panel) -> dict[str, Any]:
    return {
        "section": section.name,
        "question": panel.question,
        "answer": panel.answer.text,
        "facts": {name: fact.value for name, fact in panel.answer.facts.items()},
    }


def _table_record(section: Section, table: Table) -> dict[str, Any]:
    rows = [[_cell_value(cell) for cell in row] for row in table.rows]
    return {
        "section": section.name,
        "title": table.title,
        "head": table.head,
        "rows": rows,
    }


def _cell_value(cell: Cell) -> Value:
    return cell.value if isinstance(cell, Fact) else cell


def _plain(value: Any) -> Any:
    """Make plain values of records, however deep; tables of days are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return _plain({key: part for key, part in fields.items() if not hasattr(part, "columns")})
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dt.date):
        return value.isoformat()
    return value
