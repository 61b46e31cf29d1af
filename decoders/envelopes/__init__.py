"""Envelopes: what LoRaWAN network servers wrap around a device's bytes.

Place in the walk: between a message under a topic (or in a request) and the product that reads its bytes. The document
is JSON that was read already. Who the message is about, which product and which port come out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from decoders.envelopes import chirpstack, milesight, things_stack
from decoders.envelopes.reading import EnvelopeUp, Part
from decoders.errors import DecodeCode, DecodeError

__all__ = ["KINDS", "EnvelopeUp", "open_as", "open_envelope"]

_OPENERS: Mapping[str, Callable[[Part], EnvelopeUp]] = {
    chirpstack.KIND: chirpstack.open_document,
    things_stack.KIND: things_stack.open_document,
    milesight.KIND: milesight.open_document,
}

_SHAPES: tuple[tuple[Callable[[dict[str, object]], bool], Callable[[Part], EnvelopeUp]], ...] = (
    (chirpstack.looks_like, chirpstack.open_document),
    (things_stack.looks_like, things_stack.open_document),
    (milesight.looks_like, milesight.open_document),
)

KINDS = tuple(_OPENERS)
"""The words for `envelope:` of a topic template."""


def open_envelope(topic: str, document: object) -> EnvelopeUp | None:
    """Opens what a network server sent: known by its topic, else (webhooks, topics of one's own) by what it holds.

    topic: as published, or "" where there is none. document: JSON as Python values. None: it is no envelope.
    Raises DecodeError(bad_document, bad_value or frame_too_long) with the field's path for a broken one, and for one
    that is about another device than its topic.
    """
    levels = topic.split("/")
    named = chirpstack.topic_device(levels)
    if named is not None:
        up = chirpstack.open_document(Part(document))
        if named.lower() != up.device_id:
            raise _contradiction("deviceInfo.devEui", up.device_id, named)
        return up
    named = things_stack.topic_device(levels)
    if named is not None:
        part = Part(document)
        up = things_stack.open_document(part)
        own = Part(part.values["end_device_ids"], "end_device_ids").text("device_id")
        if own != named:
            raise _contradiction("end_device_ids.device_id", own, named)
        return up
    if not isinstance(document, dict):
        return None
    for looks_like, opener in _SHAPES:
        if looks_like(document):
            return opener(Part(document))
    return None


def open_as(kind: str, document: object) -> EnvelopeUp:
    """Opens a document that is said to be of this kind, one of `KINDS`. Raises DecodeError as `open_envelope` does."""
    return _OPENERS[kind](Part(document))


def _contradiction(field: str, found: str, topic: str) -> DecodeError:
    detail = f"{field}: the topic is of device {topic[:64]!a}, the document of {found[:64]!a}"
    return DecodeError(DecodeCode.BAD_DOCUMENT, detail, field=field)
