"""Replies and other messages that the gateway sends, rendered from the values of a request."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoders import times
from decoders.encode import Encoder
from decoders.errors import EncodeError
from decoders.formula import Formula
from decoders.fused_encoder import ZONE_OF_SESSION, Build, Source
from decoders.times import Zone

SESSION_NAMES = frozenset({"now", "device_id", "received"})
"""Names that replies may read besides values: Unix ms of now and of arrival, and the session's device id."""

_PLACEHOLDER = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)(?::([^{}]*))?\}")

Render = Callable[[Mapping[str, Any]], bytes]
"""Values of the request, with `now` (Unix ms) and `device_id` among them -> wire bytes. Raises EncodeError."""


@dataclass(slots=True)
class ReplyPlan:
    """One reply: when it is sent and how it is made. `name` is for people (`ack`, `hex`, `text`).

    of_session: it reads more than the request's values (SESSION_NAMES).
    """

    name: str
    render: Render
    test: Formula | None = None
    of_session: bool = False


def render_all(plans: Sequence[ReplyPlan], values: Mapping[str, Any]) -> list[bytes]:
    """All replies that the values suffice for, in order. One that lacks a value is left out."""
    rendered = []
    for plan in plans:
        if plan.test is not None and not plan.test.evaluate(values.get):
            continue
        try:
            rendered.append(plan.render(values))
        except (EncodeError, KeyError):
            continue
    return rendered


class MessageReply:
    """Builds a downlink message: the generated function where there is one, else the reference encoder."""

    def __init__(self, encoder: Encoder, sources: Mapping[str, Source], fused: Build | None) -> None:
        self.encoder = encoder
        self.sources = sources
        self.fused = fused
        self.compared = False  # by the proof, with what construct builds

    @property
    def names(self) -> set[str]:
        """Names of values that it reads."""
        names = {source.echo for source in self.sources.values() if source.echo}
        return names.union(*(source.formula.names for source in self.sources.values() if source.formula is not None))

    @property
    def uses_zone(self) -> bool:
        """True when it writes a local time."""
        return any(convert.uses_zone for convert in self.encoder.fields.values())

    def __call__(self, values: Mapping[str, Any]) -> bytes:
        if self.fused is not None:
            try:
                return self.fused(values)
            except (KeyError, TypeError, ValueError, AttributeError, struct.error):
                pass  # the reference encoder says what is wrong
        return self.reference(values)

    def reference(self, values: Mapping[str, Any]) -> bytes:
        given: dict[str, Any] = {}
        raw: dict[str, Any] = {}
        for name, source in self.sources.items():
            if source.formula is not None:
                given[name] = source.formula.evaluate(values.get)
            elif source.echo:
                if source.echo in values:
                    given[name] = values[source.echo]
            else:
                raw[name] = source.constant
            if name in given and given[name] is None:
                raise EncodeError(name, "has no value for this reply")
        return self.encoder.encode(given, values.get(ZONE_OF_SESSION), raw=raw)


def text_reply(template: str, zone: Zone = 0) -> Render:
    """`*HQ,{device_id},V4,{now:%H%M%S}#`: names of values; times with a strftime pattern, in the session's zone. zone:
    where the session has none."""
    parts = _PLACEHOLDER.split(template)

    def render(values: Mapping[str, Any]) -> bytes:
        text = [parts[0]]
        for index in range(1, len(parts), 3):
            name, pattern, following = parts[index], parts[index + 1], parts[index + 2]
            if name not in values:
                raise EncodeError(name, "has no value for this reply")
            value = values[name]
            text.append(_time(name, value, pattern, values.get(ZONE_OF_SESSION, zone)) if pattern else str(value))
            text.append(following)
        return "".join(text).encode()

    return render


def _time(name: str, value: Any, pattern: str, zone: Zone) -> str:
    """Unix ms, or RFC 3339 text, as the pattern says."""
    try:
        return times.format_ms(times.unix_ms_from_iso(value) if isinstance(value, str) else value, pattern, zone)
    except (TypeError, ValueError, OverflowError) as error:
        raise EncodeError(name, f"{value!r} is no time: {error}") from None


def placeholders(template: str) -> list[str]:
    """Names that a text reply reads."""
    return [match[1] for match in _PLACEHOLDER.finditer(template)]


def time_patterns(template: str) -> list[str]:
    """The patterns of times in a text reply."""
    return [match[2] for match in _PLACEHOLDER.finditer(template) if match[2]]
