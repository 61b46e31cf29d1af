"""Replies and other messages that the gateway sends, rendered from the values of a request."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from decoders.encode import Encoder
from decoders.errors import EncodeError
from decoders.formula import Formula
from decoders.fused_encoder import ZONE_OF_SESSION, Build, Source
from decoders.reply_text import Render

SESSION_NAMES = frozenset({"now", "device_id", "received"})
"""Names that replies may read besides values: Unix ms of now and of arrival, and the session's device id."""


@dataclass(slots=True)
class ReplyPlan:
    """One reply: when it is sent and how it is made. `name` is for people (`ack`, `hex`, `text`).

    of_session: it reads more than the request's values (SESSION_NAMES). of_kind: how it is made for requests in other
    kinds of frame, by their number.
    """

    name: str
    render: Render
    test: Formula | None = None
    of_session: bool = False
    of_kind: Mapping[int, Render] = field(default_factory=dict)


def render_all(
    plans: Sequence[ReplyPlan], values: Mapping[str, Any], kind: int = -1, left_out: list[str] | None = None
) -> list[bytes]:
    """All replies that the values suffice for, in order. One that lacks a value, or has one that its row cannot hold,
    is left out. kind: of the request's frame. left_out: gets why."""
    rendered = []
    for plan in plans:
        if plan.test is not None and not plan.test.evaluate(values.get):
            continue
        try:
            rendered.append(plan.of_kind.get(kind, plan.render)(values))
        except (EncodeError, KeyError) as error:
            if left_out is not None:
                why = f"no value `{error.args[0]}`" if isinstance(error, KeyError) else str(error)
                left_out.append(f"{plan.name} is left out: {why}")
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
                value = source.formula.evaluate(values.get)
            elif source.echo:
                if source.echo not in values:
                    continue
                value = values[source.echo]
            else:
                raw[name] = source.constant
                continue
            if value is None:
                raise EncodeError(name, "has no value for this reply")
            _put(given, name, value)
        return self.encoder.encode(given, values.get(ZONE_OF_SESSION), raw=raw, strict=False)


def _put(given: dict[str, Any], path: str, value: Any) -> None:
    """Puts a value where `path` says; groups on the way, which may be the request's, are changed as copies."""
    *groups, name = path.split(".")
    for group in groups:
        inner = given.get(group)
        given[group] = given = dict(inner) if isinstance(inner, Mapping) else {}
    given[name] = value
