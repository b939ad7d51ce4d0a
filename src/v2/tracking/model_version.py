"""What MLflow's registry knows of one version of a model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous_champion"
"""Aliases: the model in use, the one that asks to be, and the one that was before."""

FORCED = "forced"
"""Tag of a version that was promoted although a check said no."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of the registered model.

    Parameters
    ----------
    version
        Counted by MLflow from 1.
    aliases
        In the order of the alphabet.
    run_id
        The training run that made it; empty where MLflow knows none.
    tags
        As `src.v2.lifecycle.registration.version_tags` makes them, and what promotion added.
    """

    name: str
    version: int
    aliases: tuple[str, ...]
    run_id: str
    tags: Mapping[str, str]
    description: str
    created: dt.datetime

    @property
    def forced(self) -> str:
        """Who promoted it although a check said no, when and why; empty where nobody did."""
        if self.tags.get(FORCED) != "true":
            return ""
        told = {key: self.tags.get(f"{FORCED}_{key}", "?") for key in ("by", "at", "reason")}
        return f"forced by {told['by']} at {told['at']}: {told['reason']}"


def version_record(name: str, item: Any, aliases: Mapping[str, str]) -> ModelVersion:
    """Take what matters from MLflow's record."""
    number = int(item.version)
    return ModelVersion(
        name,
        number,
        tuple(sorted(alias for alias, version in aliases.items() if int(version) == number)),
        str(item.run_id or ""),
        MappingProxyType(dict(item.tags)),
        str(item.description or ""),
        dt.datetime.fromtimestamp(item.creation_timestamp / 1000, dt.UTC),
    )


def listed(versions: tuple[ModelVersion, ...]) -> str:
    """Name versions with their aliases."""
    named = [
        f"{item.version} ({', '.join(item.aliases)})" if item.aliases else str(item.version)
        for item in versions[:10]
    ]
    return "the versions " + ", ".join(named) + (", …" if len(versions) > 10 else "")
