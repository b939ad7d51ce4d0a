"""What ``--help`` says of each setting: the values it takes and its default, in plain words."""

from __future__ import annotations

import argparse
import datetime as dt
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

MOST_SHOWN = 110
"""Characters of a list that are shown as its default."""

WORDS: Mapping[Any, str] = {
    str: "text",
    int: "int",
    float: "number",
    bool: "{true,false}",
    Path: "path",
    dt.date: "YYYY-MM-DD",
    type(None): "null",
}
"""What stands for a plain type."""


def value_words(annotation: Any) -> str:
    """Say which values a setting takes.

    Examples
    --------
    >>> value_words(int | None), value_words(Literal["table", "csv"])
    ('int or null', '{table,csv}')
    >>> value_words(tuple[str, ...]), value_words(dict[str, Path])
    ('text,…', 'name=path,…')
    """
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        return value_words(parts[0])
    if kind is Literal:
        return str(parts[0]) if len(parts) == 1 else f"{{{','.join(map(str, parts))}}}"
    if kind in (Union, types.UnionType):
        return " or ".join(value_words(part) for part in parts)
    if kind is tuple:
        return f"{value_words(parts[0])},…"
    if kind is dict:
        return f"name={value_words(parts[1])},…"
    return WORDS.get(annotation, "value")


def default_words(value: Any) -> str:
    """Write a default as a file of settings has it, a long list by its beginning and length.

    Examples
    --------
    >>> default_words(None), default_words(True), default_words(()), default_words((0.1, 0.2))
    ('null', 'true', 'empty', '0.1, 0.2')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        value = tuple(f"{name}={item}" for name, item in value.items())
    if isinstance(value, tuple | list):
        texts = [str(item) for item in value]
        ends = range(1, len(texts) + 1)
        most = max((end for end in ends if len(", ".join(texts[:end])) <= MOST_SHOWN), default=0)
        more = f" … {len(texts)} in all" if most < len(texts) else ""
        return ", ".join(texts[:most]) + more or "empty"
    return str(value) or "empty"


def fields_by_flag(model: type[BaseModel], above: str = "--") -> dict[str, FieldInfo]:
    """List the settings of a tree by their long flags, as ``--data.context-lag``."""
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        flag = above + name.replace("_", "-")
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= fields_by_flag(field.annotation, f"{flag}.")
        else:
            found[flag] = field
    return found


def help_formatter(model: type[BaseModel]) -> type[argparse.HelpFormatter]:
    """Make the formatter of a command whose flags come from a tree of settings."""
    fields = fields_by_flag(model)

    class Formatter(argparse.RawDescriptionHelpFormatter):
        """Shows values and defaults in words, and the values once for all names of a flag."""

        def add_argument(self, action: argparse.Action) -> None:
            field = next((fields[flag] for flag in action.option_strings if flag in fields), None)
            if field is not None:
                action.metavar = value_words(field.annotation)
                told = f"{field.description or ''} (default: {default_words(field.default)})"
                action.help = told.strip().replace("%", "%%")
            super().add_argument(action)

        def _format_action_invocation(self, action: argparse.Action) -> str:
            return _invocation(action.option_strings, action.metavar)

    return Formatter


def _invocation(flags: Sequence[str], metavar: str | tuple[str, ...] | None) -> str:
    """Give the names of a flag, the short ones first, and what it takes."""
    names = ", ".join(sorted(flags, key=lambda flag: "." in flag))
    return f"{names} {metavar}" if isinstance(metavar, str) else names
