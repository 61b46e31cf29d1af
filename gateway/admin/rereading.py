"""Rereading: what would become of a dead letter with today's specs and directory.

Place in the walk: the replay (and its dry run, also of a stopped gateway) starts here; nothing is kept yet. The letter
stands where a session stood: it brings what the session knew, and its uplink keeps its id and time of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from decoders.catalog import Catalog
from decoders.csv_lines import HEADER
from decoders.errors import DecodeCode, DecodeError
from decoders.product import CompiledProduct
from decoders.types import SessionContext
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.device import Device, DeviceKey, Principal
from gateway.domain.errors import DeadLetterReason, RefuseReason
from gateway.domain.ports import DirectoryPort, TopicReaderPort
from gateway.domain.reading import Refused
from gateway.domain.receipt import Receipt
from gateway.domain.record import Record
from gateway.domain.topic_message import TopicMessage
from gateway.domain.uplink import Uplink
from gateway.pipeline.chain import Chain
from gateway.protocol.session_ports import AdmissionPort

__all__ = ["Reread", "Rereader"]

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Then:
    """Who sent a letter: what it might say was settled when it came."""

    tenant: str
    device_id: str
    principal: Principal = field(default_factory=Principal)

    def may_speak_for(self, device_id: str) -> bool:
        return True


@dataclass(slots=True)
class Reread:
    """What a letter became. records: of its uplink, or the one record that a sink buried; () when the message leaves
    none. failure: why it is still a dead letter. sink: the only one that is owed the record; "": as routes say."""

    records: Sequence[Record] = ()
    failure: DeadLetter | None = None
    sink: str = ""


class Rereader:
    """Runs letters through the decoder and the stages of `chain`. catalog: asked for each letter. topics: reads those
    that came under a topic; None where nobody does."""

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        directory: DirectoryPort,
        admission: AdmissionPort,
        chain: Chain,
        topics: TopicReaderPort | None = None,
    ) -> None:
        self._catalog = catalog
        self._directory = directory
        self._admission = admission
        self._chain = chain
        self._topics = topics

    def read(self, letter: DeadLetter, receipt: Receipt) -> Reread:
        """receipt: of the letter's uplink. Never raises."""
        if letter.sink or letter.stage == "sink":
            return Reread([_record_of(letter)], sink=letter.sink)
        if letter.topic and self._topics is not None:
            return self._read_topic(letter, self._topics, receipt)
        loaded = self._catalog().products.get(letter.product)
        if loaded is None:
            detail = f"no spec of the product `{letter.product}`"
            return Reread(failure=_failed(letter, DeadLetterReason.UNKNOWN_PRODUCT.value, "decode", detail))
        try:
            return self._read(letter, loaded.product, receipt)
        except Exception as error:
            _log.exception("replay_failed", dead_letter_id=letter.dead_letter_id, product=letter.product)
            detail = f"internal error: {error!r}"
            return Reread(failure=_failed(letter, DecodeCode.WRONG_ANSWER.value, "shape", detail))

    def _read(self, letter: DeadLetter, product: CompiledProduct, receipt: Receipt) -> Reread:
        device = self._device(letter)
        context = _context(letter, device)
        uplink = Uplink(
            letter.dead_letter_id,
            letter.raw,
            letter.received_ms,
            product,
            device,
            receipt,
            letter.listener,
            letter.session_id,
            letter.peer,
            context=context,
            replayed=True,
        )
        try:
            decoded = product.read(letter.raw, context)
            if decoded.message.name == HEADER:
                return Reread()
            identity = product.identity(decoded)
            name = "" if identity is None else identity.hub_id or identity.device_id
            if identity is not None and name not in ("", letter.device_id):
                # As in the session: the frame is another device's login.
                verdict = self._admission.admit(identity, product.id, letter.tenant)
                if isinstance(verdict, RefuseReason):
                    return Reread(failure=_failed(letter, verdict.value, "access", f"it speaks for {name}"))
                uplink.device = verdict
                context.device_id, context.variant, context.zone_s = name, verdict.variant, verdict.zone_s
                context.zone_fixed = verdict.zone_s is not None
                product.remember(decoded, context)
                decoded = product.read(letter.raw, context)
            uplink.decoded = decoded
        except DecodeError as error:
            uplink.error = error
        made = self._chain.run(uplink)
        if isinstance(made, DeadLetter):
            made.attempts = letter.attempts + 1
            return Reread(failure=made)
        assert isinstance(made, list), "a replay is never a copy"
        return Reread(made)

    def _read_topic(self, letter: DeadLetter, topics: TopicReaderPort, receipt: Receipt) -> Reread:
        """The message through the topic reader again. What it would teach directory and presence is of the past."""
        speaker = _Then(letter.tenant, letter.speaker)
        message = TopicMessage(
            letter.topic,
            letter.raw,
            letter.received_ms,
            speaker,
            letter.listener,
            letter.session_id,
            letter.peer,
            letter.content_type,
            letter.properties,
        )
        verified = letter.reason != DeadLetterReason.BAD_SIGNATURE
        found = topics.read_again(message, letter.dead_letter_id, letter.session, verified=verified)
        if found is None:
            return Reread()
        if isinstance(found, Refused):
            return Reread(failure=_failed(letter, found.reason.value, "access", found.detail))
        uplinks = [found] if isinstance(found, Uplink) else list(found.uplinks)
        if 0 <= letter.part < len(uplinks) > 1:  # the others are not in this letter
            uplinks = [uplinks[letter.part]]
            uplinks[0].uplink_id = letter.dead_letter_id
        records: list[Record] = []
        for uplink in uplinks:
            uplink.receipt = receipt
            made = self._chain.run(uplink)
            if isinstance(made, DeadLetter):
                made.dead_letter_id = letter.dead_letter_id
                made.part = letter.part
                made.speaker = letter.speaker
                made.attempts = letter.attempts + 1
                return Reread(failure=made)
            assert isinstance(made, list), "a replay is never a copy"
            records += made
        return Reread(records)

    def _device(self, letter: DeadLetter) -> Device:
        key = DeviceKey(letter.tenant, letter.device_id)
        known = self._directory.find(key)
        if known is None:
            return Device(key, product=letter.product, hub_id=letter.hub_id, known=False)
        return known if known.hub_id or not letter.hub_id else replace(known, hub_id=letter.hub_id)


def _context(letter: DeadLetter, device: Device) -> SessionContext:
    """What the session knew, and what the directory knows better today."""
    said = letter.session
    return SessionContext(
        device_id=letter.device_id,
        variant=device.variant or said.variant,
        port=said.port,
        zone_s=said.zone_s if device.zone_s is None else device.zone_s,
        received_ms=letter.received_ms,
        values=dict(said.values),
        columns=said.columns,
        zone_fixed=device.zone_s is not None,
    )


def _record_of(letter: DeadLetter) -> Record:
    """The record that a sink buried, as it was. Letters of earlier versions do not say its lane."""
    lane = letter.lane or DeviceKey(letter.tenant, letter.device_id).lane
    return Record(letter.dead_letter_id, letter.record_type, letter.product, lane, letter.raw, letter.received_ms)


def _failed(letter: DeadLetter, reason: str, stage: str, detail: str) -> DeadLetter:
    """The letter, as it failed now."""
    return replace(
        letter, reason=reason, stage=stage, detail=detail, field="", offset=None, attempts=letter.attempts + 1
    )
