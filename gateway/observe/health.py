"""The health of the gateway's parts: what each says of itself, since when, and what went wrong last.

Place in the walk: each part answers with a `ComponentHealth` of this moment; the board asks all of them, once a second
and at each request, and remembers what one moment cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import structlog

from decoders.times import iso_from_unix_ms

__all__ = ["Ask", "ComponentHealth", "HealthBoard", "State"]

_log = structlog.get_logger("gateway.observe.health")


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    DEGRADED = "degraded"  # something waits, or is worse than it should be
    DOWN = "down"  # it does not do its work


@dataclass(slots=True)
class ComponentHealth:
    """One part, now.

    error: what is wrong, for people, with its code before it where it has one; "" while nothing is. facts: further
    members of its JSON object. parts: of which it consists (each sink); their states do not change its own.
    """

    state: State = State.OK
    error: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, ComponentHealth] = field(default_factory=dict)

    @classmethod
    def of_parts(cls, parts: Mapping[str, ComponentHealth]) -> ComponentHealth:
        """Of several that do the same work: degraded while one of them is not well."""
        ill = {name: part for name, part in parts.items() if part.state is not State.OK}
        error = "; ".join(f"{name}: {part.error}" for name, part in ill.items())
        return cls(State.DEGRADED if ill else State.OK, error, parts=parts)


Ask: TypeAlias = Callable[[], ComponentHealth]
"""How a part is, now."""


@dataclass(slots=True)
class _Seen:
    state: State
    since_ms: int
    error: str = ""
    error_ms: int = 0


class HealthBoard:
    """The health of all parts. unix_ms: the clock of `since` and of errors.

    `look` is to be called about once a second: so exact are these times, and a trouble that is shorter may be missed.
    """

    __slots__ = ("_asks", "_seen", "_unix_ms")

    def __init__(self, unix_ms: Callable[[], int]) -> None:
        self._unix_ms = unix_ms
        self._asks: dict[str, Ask] = {}
        self._seen: dict[tuple[str, ...], _Seen] = {}

    def add(self, name: str, ask: Ask) -> None:
        self._asks[name] = ask

    def look(self) -> dict[str, ComponentHealth]:
        """Asks every part, by name."""
        found = {name: _asked(name, ask) for name, ask in self._asks.items()}
        now_ms = self._unix_ms()
        for name, health in found.items():
            self._note((name,), health, now_ms)
        return found

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether all parts are well, and a JSON object for each: state, since, last_error (null: never any), facts,
        parts."""
        found = self.look()
        well = all(health.state is State.OK for health in found.values())
        return well, {name: self._json((name,), health) for name, health in found.items()}

    def _note(self, path: tuple[str, ...], health: ComponentHealth, now_ms: int) -> None:
        seen = self._seen.setdefault(path, _Seen(health.state, now_ms))
        changed = seen.state is not health.state
        if changed:
            seen.state, seen.since_ms = health.state, now_ms
        if health.error and (changed or health.error != seen.error or not seen.error_ms):
            seen.error, seen.error_ms = health.error, now_ms
        for name, part in health.parts.items():
            self._note((*path, name), part, now_ms)

    def _json(self, path: tuple[str, ...], health: ComponentHealth) -> dict[str, Any]:
        seen = self._seen[path]
        last = {"detail": seen.error, "at": iso_from_unix_ms(seen.error_ms)} if seen.error else None
        said: dict[str, Any] = {"state": health.state.value, "since": iso_from_unix_ms(seen.since_ms)}
        said |= {"last_error": last, **health.facts}
        if health.parts:
            said["parts"] = {name: self._json((*path, name), part) for name, part in health.parts.items()}
        return said


def _asked(name: str, ask: Ask) -> ComponentHealth:
    try:
        return ask()
    except Exception:
        _log.exception("component_failed", component=name)
        return ComponentHealth(State.DEGRADED, "its state could not be read")
