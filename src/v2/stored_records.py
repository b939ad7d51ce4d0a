"""Records as plain values and back, so that a run can be read without being repeated.

Tables and arrays are not plain values: the caller keeps them as files of their own and gives
them back under the path of names that leads to them, as "evaluation.portfolio.daily".
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

import numpy as np
import polars as pl

from src.v2.errors import DataError

Parts = Mapping[str, object]

LARGEST = 2**63 - 1
"""Largest whole number that a table could hold too."""


def encode(value: Any) -> Any:
    """Turn a record into values that JSON knows; a table or an array becomes null.

    NaN becomes null, an infinity the word "inf" or "-inf", a date or a time its ISO form.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, float):
        return _plain_float(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, pl.DataFrame | np.ndarray):
        return None
    return value


def decode[T](kind: type[T], value: Any, parts: Parts) -> T:
    """Make a record of plain values and the parts that were kept apart.

    Parameters
    ----------
    kind
        The record's class; its annotations say what every value is.
    value
        As `encode` gives it.
    parts
        Tables, or whole records, by path; they are taken as they are.

    Raises
    ------
    DataError
        When a value is missing or is not of its kind.
    """
    result: T = _decode(kind, value, parts, "")
    return result


def tables_of(value: Any, path: str = "") -> dict[str, pl.DataFrame]:
    """Collect a record's tables by the path of names that leads to them."""
    if isinstance(value, pl.DataFrame):
        return {path: value}
    found: dict[str, pl.DataFrame] = {}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            found |= tables_of(getattr(value, field.name), _below(path, field.name))
    return found


def _decode(kind: Any, value: Any, parts: Parts, path: str) -> Any:
    """Read one value of a kind."""
    if path in parts:
        return parts[path]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if kind is pl.DataFrame:
        raise DataError(f"The stored run lacks the table {path}. Train again.")
    if origin in (Union, types.UnionType):
        return _decode_choice(inner, value, parts, path)
    if origin is Literal:
        return _expect(value, value in inner, path)
    if dataclasses.is_dataclass(kind):
        return _decode_record(kind, value, parts, path)
    if origin is tuple:
        return _decode_tuple(inner, value, parts, path)
    if origin is not None and issubclass(origin, Mapping):
        pairs = _expect(value, isinstance(value, dict), path).items()
        return {key: _decode(inner[1], item, parts, _below(path, key)) for key, item in pairs}
    return _decode_plain(kind, value, path)


def _decode_choice(inner: tuple[Any, ...], value: Any, parts: Parts, path: str) -> Any:
    """Read a value that may be absent."""
    if value is None and type(None) in inner:
        return None
    (kind,) = (each for each in inner if each is not type(None))
    return _decode(kind, value, parts, path)


def _decode_record(kind: Any, value: Any, parts: Parts, path: str) -> Any:
    names = {"pl": pl, "np": np}
    hints = typing.get_type_hints(kind, localns=names)
    held = _expect(value, isinstance(value, dict), path)
    fields = {}
    for field in dataclasses.fields(kind):
        here = _below(path, field.name)
        if field.name not in held and field.default is not dataclasses.MISSING:
            continue
        _expect(held, field.name in held, here)
        fields[field.name] = _decode(hints[field.name], held[field.name], parts, here)
    return kind(**fields)


def _decode_tuple(inner: tuple[Any, ...], value: Any, parts: Parts, path: str) -> Any:
    items = _expect(value, isinstance(value, list), path)
    kinds = [inner[0]] * len(items) if inner[-1] is Ellipsis else list(inner)
    _expect(items, len(items) == len(kinds), path)
    return tuple(
        _decode(kind, item, parts, _below(path, str(place)))
        for place, (kind, item) in enumerate(zip(kinds, items, strict=True))
    )


def _decode_plain(kind: Any, value: Any, path: str) -> Any:
    """Read a number, a text or a date."""
    if kind is float:
        if value is None:
            return math.nan
        words = value in ("inf", "-inf")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(_expect(value, words or number, path))
    if kind in (dt.date, dt.datetime):
        try:
            return kind.fromisoformat(value)
        except (TypeError, ValueError):
            _expect(value, False, path)
    fits = type(value) is kind and not (kind is int and abs(value) > LARGEST)
    return _expect(value, fits, path)


def _expect(value: Any, fits: bool, path: str) -> Any:
    """Give the value back, or say where it does not fit."""
    if not fits:
        raise DataError(
            f"The stored run does not fit this version: {path or 'the record'} reads "
            f"{repr(value)[:60]}. Train again, or use the version that wrote it."
        )
    return value


def _plain_float(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
