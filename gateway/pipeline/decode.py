"""The first stage: was the frame understood?

The face has decoded already, since a session needs identity and values before anything else can be decided. What
could not be decoded leaves the pipeline here.
"""

from __future__ import annotations

from dataclasses import replace

from decoders.types import SessionContext
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.uplink import Uplink

__all__ = ["check_decoded", "dead_letter"]


def check_decoded(uplink: Uplink) -> DeadLetter | None:
    """A letter with the decoder's code for a frame that was not understood, or for a message under a topic of which
    nothing could be made; else None."""
    error = uplink.error
    if error is None:
        beside = uplink.beside
        if beside is None or beside.failure is None:
            return None
        failure = beside.failure
        letter = dead_letter(uplink, failure.reason, failure.stage, failure.detail)
        letter.field = failure.field
        return letter
    letter = dead_letter(uplink, error.code.value, "decode", error.detail)
    letter.message = error.message
    letter.field = error.field
    letter.offset = error.offset
    return letter


def dead_letter(uplink: Uplink, reason: str, stage: str, detail: str) -> DeadLetter:
    """An uplink with everything that its replay will need. The letter's id is the uplink's."""
    context, message = uplink.context, uplink.message
    letter = DeadLetter(
        dead_letter_id=uplink.uplink_id,
        reason=reason,
        stage=stage,
        detail=detail,
        raw=uplink.raw,
        received_ms=uplink.received_ms,
        product=uplink.product.id,
        spec_version=uplink.product.version,
        device_id=uplink.device.key.device_id,
        tenant=uplink.device.key.tenant,
        listener=uplink.listener,
        session_id=uplink.session_id,
        peer=uplink.peer,
        message=uplink.decoded.message.name if uplink.decoded is not None else "",
        hub_id=uplink.device.hub_id,
        session=SessionContext() if context is None else replace(context, values=dict(context.values)),
    )
    if message is not None:
        letter.topic, letter.content_type, letter.properties = message.topic, message.content_type, message.properties
        letter.speaker = message.speaker.device_id
        letter.part = uplink.beside.part if uplink.beside is not None else -1
    return letter
