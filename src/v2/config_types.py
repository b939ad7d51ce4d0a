"""What the sections of the configuration are made of."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
)


def as_names(value: Any) -> Any:
    """Split ``"A,B"`` or a JSON list into names; other types pass through."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        return json.loads(text)
    return [name.strip() for name in text.split(",") if name.strip()]


def as_numbers(value: Any) -> Any:
    """Read a list of numbers as `as_names` reads a list of names."""
    return [float(item) for item in as_names(value)] if isinstance(value, str) else value


def as_mapping(value: Any) -> Any:
    """Read ``"a=1,b=2"`` or JSON text as a mapping; other types pass through."""
    if not isinstance(value, str):
        return value
    if value.strip().startswith("{"):
        return json.loads(value)
    pairs = [item.partition("=") for item in as_names(value)]
    return {name: number for name, _, number in pairs}


Names = Annotated[tuple[str, ...], BeforeValidator(as_names)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(as_numbers)]


class Section(BaseModel):
    """A part of the tree: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
