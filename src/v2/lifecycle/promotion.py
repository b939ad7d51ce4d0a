"""Putting a version to use, through the gate; and taking it back.

The alias ``champion`` always leads somewhere: it moves in one step, after the version that it
leaves has been remembered. A promotion that was interrupted is completed by asking again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from src.v2.api import load
from src.v2.config import Config, PromoteConfig
from src.v2.console import signals_deferred
from src.v2.errors import ModelError, OmninmoError, TrackingError
from src.v2.lifecycle.candidates import cache_folder, gather
from src.v2.lifecycle.gate import Gate, GateRules, judge
from src.v2.tracking.promotion_log import (
    Action,
    Outcome,
    PromotionEvent,
    last_event,
    promotion_lock,
    record_event,
    who_and_when,
)
from src.v2.tracking.registry import CHALLENGER, CHAMPION, PREVIOUS, ModelVersion, Registry

ATTEMPTS, PAUSE_SEC = 3, 1.0
"""Tries of a step that moves an alias, and the pause between them; a step repeated is harmless."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """What came of asking.

    Parameters
    ----------
    outcome
        ``already``: the version is the champion, nothing was asked.
    version
        As it is afterwards.
    champion
        The version in use before; None without one.
    gate
        None where it was not asked: for a rollback, and for the champion itself.
    forced
        Whether it was promoted although a check said no.
    """

    outcome: Literal["promoted", "refused", "already", "rolled back"]
    version: ModelVersion
    champion: int | None
    gate: Gate | None = None
    forced: bool = False


def promote(config: Config) -> Promotion:
    """Put a version to use if the gate lets it through, or if it is forced.

    Parameters
    ----------
    config
        ``promote.version`` is meant, or else the challenger.

    Raises
    ------
    ModelError
        When there is no such version, or no challenger.
    DataError
        When its run keeps no record of what it found.
    TrackingError
        When the store cannot be reached, or another machine moved the champion meanwhile.
    """
    registry, wish = Registry(config.mlflow), config.promote
    with promotion_lock(config.paths.ledger_dir):
        ended, aliases = _end_unfinished(config, registry), registry.aliases()
        champion = aliases.get(CHAMPION)
        asked_again = ended is not None and ended.action == "promote" and not wish.version
        if asked_again and champion is not None and CHALLENGER not in aliases:
            return Promotion("already", registry.by_number(champion), champion)
        version = chosen_version(registry, wish)
        if champion == version.version:
            return _complete(config, registry, champion)
        evidence = gather(config, registry, version)
        rules = GateRules(wish.refresh, wish.max_age)
        gate = judge(evidence, rules, dt.datetime.now(dt.UTC).date())
        forced = not gate.passed and wish.force and gate.forcible
        move = _Move(config, registry, version.version, champion, gate, forced)
        if not gate.passed and not forced:
            move.note("promote", "refused")
            return Promotion("refused", version, champion, gate)
        move.promote(version.tags.get("forced") == "true")
        return Promotion("promoted", registry.by_number(version.version), champion, gate, forced)


def roll_back(config: Config) -> Promotion:
    """Put the previous champion to use again; the two change places.

    A rollback that was killed after the alias moved is ended, not turned round.

    Raises
    ------
    ModelError
        When there is no other champion to go back to, or its model cannot be used.
    TrackingError
        When the store cannot be reached.
    """
    registry = Registry(config.mlflow)
    with promotion_lock(config.paths.ledger_dir):
        ended = _end_unfinished(config, registry)
        if ended is not None and ended.action == "rollback":
            return Promotion("rolled back", registry.by_number(ended.version), ended.champion)
        aliases = registry.aliases()
        champion, previous = aliases.get(CHAMPION), aliases.get(PREVIOUS)
        if champion is None or previous is None or champion == previous:
            raise ModelError(
                f"{registry.name!r} has no other champion to go back to: champion is "
                f"{champion or 'none'}, previous_champion {previous or 'none'}. Promote a version "
                "by its number: --version N."
            )
        load(registry.package(registry.by_number(previous), cache_folder(config)))
        _Move(config, registry, previous, champion, None, forced=False).roll_back()
        return Promotion("rolled back", registry.by_number(previous), champion)


def chosen_version(registry: Registry, wish: PromoteConfig) -> ModelVersion:
    """Give the version that is asked for, or else the challenger.

    Raises
    ------
    ModelError
        When there is none.
    """
    return registry.by_number(wish.version) if wish.version else registry.by_alias(CHALLENGER)


@dataclass(frozen=True, slots=True)
class _Move:
    """One change of the aliases, written down before and after."""

    config: Config
    registry: Registry
    version: int
    champion: int | None
    gate: Gate | None
    forced: bool

    def promote(self, was_forced: bool) -> None:
        """Mark the version, remember the old champion, move the alias, end the asking."""
        self._refuse_other_champion()
        self.note("promote", "begun")
        with self._undisturbed():
            _insist(self.registry.set_tags, self.version, self._tags(was_forced))
            if self.champion is not None:
                _insist(self.registry.set_alias, PREVIOUS, self.champion)
            _insist(self.registry.set_alias, CHAMPION, self.version)
            _insist(_release, self.registry, self.version)
            self._note_end("promote")

    def roll_back(self) -> None:
        """Move the alias back, then remember the version that it left."""
        assert self.champion is not None
        self.note("rollback", "begun")
        with self._undisturbed():
            _insist(self.registry.set_alias, CHAMPION, self.version)
            _insist(self.registry.set_alias, PREVIOUS, self.champion)
            self._note_end("rollback")

    def note(self, action: Action, outcome: Outcome) -> None:
        """Write a line of the log."""
        checks: list[dict[str, Any]] = []
        if self.gate is not None:
            checks = [asdict(check) for check in self.gate.checks]
        event = PromotionEvent(
            action,
            outcome,
            self.registry.store,
            self.registry.name,
            self.version,
            self.champion,
            self.forced,
            self.config.promote.reason,
            **who_and_when(),
            checks=checks,
        )
        record_event(self.config.paths.ledger_dir, event)

    def _note_end(self, action: Action) -> None:
        """Write the last line; where that fails, say what has been done all the same."""
        try:
            self.note(action, "done")
        except OmninmoError as error:
            error.add_note(
                f"version {self.version} of {self.registry.name!r} is the champion now; asking "
                "again writes the missing line"
            )
            raise

    def _undisturbed(self) -> contextlib.AbstractContextManager[None]:
        """Hold signals back, but not while a server may be slow to answer."""
        return signals_deferred() if self.registry.is_local else contextlib.nullcontext()

    def _refuse_other_champion(self) -> None:
        """Stop where another machine moved the champion that the gate compared with."""
        now = self.registry.aliases().get(CHAMPION)
        if now != self.champion:
            raise TrackingError(
                f"The champion of {self.registry.name!r} must be the one that the gate compared "
                f"with ({self.champion or 'none'}); it is {now or 'none'} by now. Ask again."
            )

    def _tags(self, was_forced: bool) -> dict[str, str]:
        """Give what the version says of its promotion."""
        assert self.gate is not None
        made = who_and_when()
        failed = ", ".join(check.name for check in self.gate.failed)
        audit = next(check.value for check in self.gate.checks if check.name == "audit")
        tags = {"promoted_by": made["by"], "promoted_at": made["at"], "audit": audit}
        tags["gate"] = f"said no: {failed}" if failed else "passed"
        if self.forced:
            reason = self.config.promote.reason.strip()
            tags |= {"forced": "true", "forced_reason": reason, "forced_checks": failed}
            tags |= {f"forced_{key}": value for key, value in made.items()}
        elif was_forced:
            tags["forced"] = "false"
        return tags


def _end_unfinished(config: Config, registry: Registry) -> PromotionEvent | None:
    """End what a kill left of the last move, if its champion is in use; give what was ended."""
    folder = config.paths.ledger_dir
    event = last_event(folder, registry.store, registry.name)
    if event is None or event.outcome != "begun":
        return None
    if registry.aliases().get(CHAMPION) != event.version:
        return None
    if event.action == "rollback" and event.champion is not None:
        _insist(registry.set_alias, PREVIOUS, event.champion)
    elif event.action == "promote":
        _insist(_release, registry, event.version)
    made = who_and_when()
    record_event(folder, replace(event, outcome="done", by=made["by"], at=made["at"]))
    return event


def _complete(config: Config, registry: Registry, champion: int) -> Promotion:
    """End what an interrupt left of the champion's own promotion, if it did."""
    if registry.aliases().get(CHALLENGER) == champion:
        _insist(_release, registry, champion)
        _Move(config, registry, champion, champion, None, forced=False).note("promote", "done")
    return Promotion("already", registry.by_number(champion), champion)


def _release(registry: Registry, version: int) -> None:
    """Take the alias ``challenger`` from a version that asks no more."""
    if registry.aliases().get(CHALLENGER) == version:
        registry.drop_alias(CHALLENGER)


def _insist[**P](step: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Repeat a step while the store refuses, a few times."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return step(*args, **kwargs)
        except TrackingError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(PAUSE_SEC)
    return None
