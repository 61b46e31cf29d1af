"""TopicReader: a message under a topic becomes Uplinks, each with its product, its device and what it says.

Place in the walk: behind MQTT clients, brokers and bridges, before the pipeline; replays of their dead letters start
here too. It decides nothing that lasts: what it returns is acted on by the topic flow.

Which device: the topic's, else the payload's, else the sender's. A payload that names another one than its topic is
flagged (`identity_differs`); only a device that may itself be a hub may speak of a child. Which product: `productId` of
the payload (or the user property), the directory, the template, of envelopes the profile's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from decoders.catalog import Catalog
from decoders.envelopes import EnvelopeUp, open_as, open_envelope
from decoders.errors import DecodeCode, DecodeError
from decoders.json_text import read_json
from decoders.plan import Decoded
from decoders.product import CompiledProduct
from decoders.times import unix_ms_from_iso
from decoders.types import SessionContext, Violation, ViolationCode
from gateway.domain.device import Device, DeviceKey
from gateway.domain.errors import DeadLetterReason
from gateway.domain.ports import DirectoryPort, SignaturePort
from gateway.domain.reading import Reading, Refused
from gateway.domain.topic_message import Item, TopicMessage
from gateway.domain.uplink import NO_PRODUCT, Beside, Failure, Plain, Uplink
from gateway.ingress import topic_documents as documents
from gateway.ingress.topic_devices import Ends, Entry, ReaderOptions, TopicDevices
from gateway.ingress.topic_properties import (
    NOTHING_SAID,
    TEXT_OF_BYTES,
    Said,
    add_hint,
    content_of,
    format_of,
    said_by,
)
from gateway.ingress.topic_usual import UNSETTLED, UsualTopics
from gateway.protocol.session_ports import AdmissionPort
from gateway.protocol.uplink_topics import TELEMETRY, Templates, TopicRoute

__all__ = ["ReaderOptions", "TopicReader"]

_log = structlog.get_logger(__name__)

_RECORD_OF_ROLE = {
    "alert_report": "alert",
    "control_result": "control",
    "response": "control",
    "log": "log",
    "provisioning_complete": "master",
}
_SPECIAL = documents.SPECIAL
_METRIC_TYPES = frozenset({"telemetry", "event"})
_NOBODY = Device(DeviceKey("", ""), known=False)


class TopicReader:
    """Implements `TopicReaderPort`. catalog: asked for each message. signatures: None checks none.

    make_id: id of an uplink from its time of arrival (Unix ms).
    """

    def __init__(
        self,
        templates: Templates,
        catalog: Callable[[], Catalog],
        directory: DirectoryPort,
        admission: AdmissionPort,
        make_id: Callable[[int], str],
        *,
        options: ReaderOptions | None = None,
        signatures: SignaturePort | None = None,
    ) -> None:
        self._templates = templates
        self._make_id = make_id
        self._signatures = signatures
        self._devices = TopicDevices(catalog, directory, admission, options or ReaderOptions())
        self._verified = True  # of the message that is being read: nothing is left to check of its signature
        self._session: SessionContext | None = None  # of the dead letter that is being read
        self._usual = UsualTopics(self._devices, make_id, signatures)

    def read(self, message: TopicMessage) -> Uplink | Reading | Refused | None:
        try:
            usual = self._usual.read(message)
        except Exception:
            usual = None  # it is read again, and said what is wrong with it
        return usual or self._read(message, verified=False)

    def read_again(
        self, message: TopicMessage, uplink_id: str, session: SessionContext, *, verified: bool
    ) -> Uplink | Reading | Refused | None:
        self._session = session
        try:
            found = self._read(message, verified=verified)
        finally:
            self._session = None
        uplinks = [found] if isinstance(found, Uplink) else found.uplinks if isinstance(found, Reading) else ()
        for number, uplink in enumerate(uplinks):
            uplink.uplink_id = f"{uplink_id}.{number}" if number else uplink_id
            uplink.replayed = True
        return found

    def read_item(self, message: TopicMessage, route: TopicRoute, item: Item) -> Uplink | Reading | Refused | None:
        """An item of a request: a message without a topic, whose sender is proven. route: what its call says, one
        object for all that say the same. Never raises."""
        return self._read(message, verified=True, route=route, item=item)

    def read_usual_item(
        self, message: TopicMessage, route: TopicRoute, document: dict[str, Any] | None
    ) -> Uplink | None:
        """The same of a JSON object of values and times. document: the object, None: that is the payload. None: it is
        unusual, and left to `read_item`. Never raises."""
        try:
            return self._usual.read_item(message, route, document)
        except Exception:
            return None  # it is read again, and said what is wrong with it

    def _read(
        self, message: TopicMessage, *, verified: bool, route: TopicRoute | None = None, item: Item | None = None
    ) -> Uplink | Reading | Refused | None:
        if route is None:
            route = self._templates.match(message.topic)
        if route is None:
            return None
        devices = self._devices
        if devices.catalog() is not devices.known:
            devices.forget()
            self._usual.forget()
        own = message.speaker.device_id
        device_id = route.device_id or own
        self._verified = verified or self._signatures is None
        try:
            if route.problem:
                raise Ends(Failure(DeadLetterReason.BAD_TOPIC.value, "topic", route.problem))
            if (own and route.device_id != own) or route.env:
                devices.check_speaker(message, route)
            if device_id and not self._verified:
                self._check_signature(message, device_id)
            if item is not None and item.columns:
                return self._line(message, route, item)
            if item is not None and item.document is not None:
                return self._json(message, route, NOTHING_SAID, item.document)
            if route.json_only and not message.properties:
                return self._json(message, route, NOTHING_SAID, read_json(message.payload))
            said = said_by(message.properties) if message.properties else NOTHING_SAID
            if route.role == TELEMETRY:
                return self._telemetry(message, route, said)
            return self._without_spec(message, route, said)
        except Ends as ended:
            if isinstance(ended.end, Refused):
                return ended.end
            device_id = ended.device_id or device_id
            refused = devices.refusal(message.speaker.tenant, device_id)
            return refused or self._dead(message, device_id, ended.product, Beside(failure=ended.end))
        except DecodeError as error:
            refused = devices.refusal(message.speaker.tenant, device_id)
            if refused is not None:
                return refused
            dead = self._dead(message, device_id, devices.likely(message, route), None)
            dead.error = error
            return dead
        except Exception as error:
            place = {"listener": message.listener, "session_id": message.session_id}
            _log.exception("reading_failed", topic=message.topic, **place)
            failure = Failure(DecodeCode.WRONG_ANSWER.value, "decode", f"internal error: {error!r}")
            return self._dead(message, device_id, NO_PRODUCT, Beside(failure=failure))

    def _check_signature(self, message: TopicMessage, device_id: str) -> None:
        """Raises Ends where the device has to sign and has not, or not rightly."""
        self._verified = True
        if self._signatures is not None:
            reason = self._signatures.check(message, device_id)
            if reason is not None:
                detail = f"{device_id}: its signature is missing or wrong (HMAC-SHA256 with its `hmac_secret`)"
                raise Ends(Failure(reason, "access", detail), device_id=device_id)

    # Telemetry

    def _telemetry(self, message: TopicMessage, route: TopicRoute, said: Said) -> Uplink | Reading:
        payload = message.payload
        form = route.format or format_of(message)
        if route.envelope:
            return self._envelope(message, route, said)
        if form == "json":
            return self._json(message, route, said, read_json(payload))
        if not form and payload.lstrip()[:1] in (b"{", b"["):
            try:
                document = read_json(payload)
            except DecodeError:
                if self._devices.likely(message, route).json is not None or not self._devices.likely(message, route).id:
                    raise
            else:
                return self._json(message, route, said, document)
        return self._frame(message, route, said, form)

    def _json(self, message: TopicMessage, route: TopicRoute, said: Said, document: Any) -> Uplink | Reading:
        if document.__class__ is not dict:
            entry = self._devices.entry(message, route, said.product)
            return self._decoded(message, entry, entry.product.read_json, document, said, entry.beside)
        named = document.get("productId") or said.product
        if named.__class__ is not str:
            raise DecodeError(DecodeCode.BAD_DOCUMENT, "`productId`: a text was expected", field="productId")
        if not _SPECIAL.isdisjoint(document):
            return self._special(message, route, said, document, named)
        entry = self._devices.entry(message, route, named)
        if said is NOTHING_SAID and message.topic:
            self._usual.expect(message, route, entry, named)
        return self._decoded(message, entry, entry.product.read_json, document, said, entry.beside)

    def _special(
        self, message: TopicMessage, route: TopicRoute, said: Said, document: dict[str, Any], named: str
    ) -> Uplink | Reading:
        """A document with more than values and times."""
        record = document.get("type")
        if isinstance(record, str) and record in documents.PLAIN_TYPES and isinstance(document.get("data"), dict):
            return self._plain(message, route, said, documents.plain_of(record, document), document)
        device_id, hub_id, hub_flags = self._devices.payload_identity(message, route, document)
        if "nodes" in document:
            return self._topology(message, route, said, document, named, device_id, hub_id)
        entry = self._devices.entry(message, route, named, device_id, hub_id)
        return self._one(message, entry, said, document, hub_flags)

    def _one(
        self,
        message: TopicMessage,
        entry: Entry,
        said: Said,
        document: dict[str, Any],
        flags: list[Violation],
    ) -> Uplink:
        """The uplink of a document's own values, or of the bytes in it."""
        beside = documents.joined(entry.beside, documents.beside_of(document), flags)
        try:
            inner = documents.inner_bytes(document)
        except DecodeError as error:
            return self._undecoded(message, entry, beside, error)
        if inner is not None:
            data, port = inner
            told = replace(said, port=port) if port else said
            beside.flags = [*beside.flags, *documents.bad_times(document)]
            return self._decoded(message, entry, entry.product.read, data, told, beside)
        if document.get("type") in _METRIC_TYPES:
            beside.record = document["type"]
        uplink = self._decoded(message, entry, entry.product.read_json, document, said, beside)
        if uplink.decoded is not None:
            if uplink.decoded.message.record not in _METRIC_TYPES:
                beside.record = ""
            beside.trace_id = "" if uplink.decoded.message.traced else beside.trace_id
        return uplink

    def _frame(self, message: TopicMessage, route: TopicRoute, said: Said, form: str) -> Uplink:
        """Bytes or lines of CSV."""
        data = message.payload
        if form != "csv":
            text = TEXT_OF_BYTES.get(content_of(message))
            if said.encoding or text is not None:
                data = documents.bytes_of(data.decode("utf-8", "replace"), said.encoding or text or "", "payload")
        device_id = "" if route.device_id else self._device_of_frame(message, route, said, data, form)
        entry = self._devices.entry(message, route, said.product, device_id)
        reader = entry.product.decode_csv if form == "csv" else entry.product.read
        uplink = self._decoded(message, entry, reader, data, said, entry.beside)
        if uplink.error is not None:
            add_hint(uplink.error, data)
        return uplink

    def _line(self, message: TopicMessage, route: TopicRoute, item: Item) -> Uplink:
        """A line of CSV whose columns are known."""
        context = SessionContext(received_ms=message.received_ms, columns=item.columns)
        device_id = item.device_id
        if not device_id:
            product = self._devices.product(route.product, None, route, "", False, "the device", in_topic=False)
            identity = product.login(product.decode_csv(message.payload, context))
            device_id = "" if identity is None else identity.hub_id or identity.device_id
        entry = self._devices.entry(message, route, route.product, device_id)
        entry.context.columns = item.columns
        return self._decoded(message, entry, entry.product.decode_csv, message.payload, NOTHING_SAID, entry.beside)

    def _device_of_frame(self, message: TopicMessage, route: TopicRoute, said: Said, data: bytes, form: str) -> str:
        """Whom a frame names, where the topic names nobody; else who sends it."""
        own = message.speaker.device_id
        known = self._devices.find(message.speaker.tenant, own)
        in_topic = bool(message.topic)
        product = self._devices.product(said.product, known, route, "", False, own or "the device", in_topic=in_topic)
        context = SessionContext(own, said.variant, said.port, received_ms=message.received_ms)
        decoded = product.decode_csv(data, context) if form == "csv" else product.read(data, context)
        identity = product.login(decoded)
        return own if identity is None else identity.hub_id or identity.device_id or own

    def _decoded(
        self,
        message: TopicMessage,
        entry: Entry,
        reader: Callable[[Any, SessionContext], Decoded],
        source: Any,
        said: Said,
        beside: Beside | None,
        received_ms: int = 0,
    ) -> Uplink:
        product, context = entry.product, entry.context
        if not self._verified:  # only the payload says who it is
            self._check_signature(message, entry.device.key.device_id)
        if self._session is not None:
            then = self._session
            zone_s = then.zone_s if context.zone_s is None else context.zone_s
            context = replace(context, values=dict(then.values), columns=then.columns, zone_s=zone_s)
        if said is not NOTHING_SAID:
            context = replace(
                context,
                variant=said.variant or context.variant,
                port=said.port,
                values={**context.values, **said.values},
            )
            if said.trace_id:
                beside = documents.joined(beside, Beside(trace_id=said.trace_id), [])
        context.received_ms = received_ms or message.received_ms
        try:
            decoded = reader(source, context)
        except DecodeError as error:
            return self._undecoded(message, entry, beside, error, context)
        plan = decoded.message
        if self._session is None:
            kept = entry.context
            if kept is not context:
                kept.columns = context.columns
            if plan.session:
                product.remember(decoded, kept)
                kept.device_id = entry.device.key.device_id
        values = decoded.values
        for _, name in plan.whole.identities:
            if name in values:
                beside = self._devices.settle_identity(message, entry, decoded, beside)
                break
        if plan.records and plan.item.identities and message.speaker.device_id:
            self._devices.check_items(message.speaker, product, decoded)
        return Uplink(
            self._make_id(message.received_ms),
            message.payload,
            message.received_ms,
            product,
            entry.device,
            UNSETTLED,
            message.listener,
            message.session_id,
            message.peer,
            decoded,
            None,
            context,
            False,
            (),
            message,
            beside,
        )

    # What is about several devices, or wrapped

    def _topology(
        self,
        message: TopicMessage,
        route: TopicRoute,
        said: Said,
        document: dict[str, Any],
        named: str,
        device_id: str,
        hub_id: str,
    ) -> Reading:
        speaker = message.speaker
        who = route.device_id or device_id or speaker.device_id
        nodes = documents.nodes_of(document, route.hub_id or hub_id or who)
        learned = self._devices.learned(message, nodes)
        uplinks = []
        if any(isinstance(document.get(name), dict) for name in ("metrics", "fields", "data")):
            try:
                entry = self._devices.entry(message, route, named, device_id, hub_id)
                uplinks.append(self._one(message, entry, said, document, []))
            except Ends as ended:
                if isinstance(ended.end, Refused):
                    raise
                uplinks.append(self._dead(message, who, ended.product, Beside(failure=ended.end)))
        times = documents.beside_of(document)
        for node in nodes:
            if not node.has_values:
                continue
            try:
                uplinks.append(self._node(message, route, said, node, learned.get(node.device_id), times))
            except Ends as ended:
                if isinstance(ended.end, Refused):
                    raise
                uplinks.append(self._dead(message, node.device_id, ended.product, Beside(failure=ended.end)))
        if len(uplinks) > 1:
            for number, uplink in enumerate(uplinks):
                uplink.beside = replace(uplink.beside or Beside(), part=number)
        return Reading(uplinks, learned=list(learned.values()))

    def _node(
        self,
        message: TopicMessage,
        route: TopicRoute,
        said: Said,
        node: documents.Node,
        learned: Device | None,
        times: Beside,
    ) -> Uplink:
        known = self._devices.find(message.speaker.tenant, node.device_id)
        if known is None and learned is not None:
            in_topic = bool(message.topic)
            product = self._devices.product(node.product, learned, route, "", False, node.device_id, in_topic=in_topic)
            entry = Entry(
                route, product, learned, SessionContext(node.device_id), self._devices.beside_of(route), None, 0
            )
        else:
            entry = self._devices.entry(message, route, node.product, node.device_id, node.hub_id)
        uplink = self._one(message, entry, said, node.document, [])
        beside = uplink.beside
        if beside is not None:
            beside.device_time, beside.hub_time = (
                beside.device_time or times.device_time,
                beside.hub_time or times.hub_time,
            )
            beside.trace_id = beside.trace_id or times.trace_id
        return uplink

    def _envelope(self, message: TopicMessage, route: TopicRoute, said: Said) -> Uplink | Reading:
        document = read_json(message.payload)
        up: EnvelopeUp | None = open_envelope(message.topic, document)
        if up is None or up.kind != route.envelope:
            up = open_as(route.envelope, document)
        if not up.is_data:
            return Reading()
        entry = self._devices.entry(message, route, said.product, up.device_id, fallback=up.product)
        beside = Beside(tags=up.tags, trace_id=up.trace_id, hub_time=up.received)
        told = replace(said, port=up.port)
        received_ms = unix_ms_from_iso(up.received) if up.received else 0
        beside = documents.joined(entry.beside, beside, [])
        return self._decoded(message, entry, entry.product.read, up.payload, told, beside, received_ms)

    # Records without a spec

    def _without_spec(self, message: TopicMessage, route: TopicRoute, said: Said) -> Uplink | Reading:
        """Roles other than telemetry."""
        form = route.format or format_of(message)
        if form in ("bin", "csv") and route.role in _RECORD_OF_ROLE:
            return self._frame(message, route, said, form)
        document = self._document(message, route, form)
        if route.role in ("status", "lwt"):
            return self._presence(message, route, said, document)
        record = _RECORD_OF_ROLE[route.role]
        if not isinstance(document, dict):
            if record != "log":
                raise DecodeError(DecodeCode.BAD_DOCUMENT, "expected one JSON object")
            return self._plain(message, route, said, documents.plain_text(record, message.payload), {})
        if record != "master":
            return self._plain(message, route, said, documents.plain_of(record, document), document)
        who = route.device_id or message.speaker.device_id
        made = self._plain(message, route, said, documents.provisioned(who, document), document)
        learned = self._devices.learned(message, documents.nodes_of(document, route.hub_id or who))
        return Reading([made], learned=list(learned.values()))

    def _document(self, message: TopicMessage, route: TopicRoute, form: str) -> Any:
        """JSON, or for roles that may be bare words the text."""
        words = route.role in ("status", "lwt", "log")
        if form == "json" and not words:
            return read_json(message.payload)
        if message.payload.lstrip()[:1] in (b"{", b"[") or not words:
            return read_json(message.payload)
        return message.payload.decode("utf-8", "replace").strip().strip('"')

    def _presence(self, message: TopicMessage, route: TopicRoute, said: Said, document: Any) -> Reading:
        will = route.role == "lwt"
        online = documents.is_online(document)
        if online is None and will and not (isinstance(document, dict) and "status" in document):
            online = False
        plain = documents.presence_of(document, online, "last_will" if will else "status")
        uplink = self._plain(message, route, said, plain, document if isinstance(document, dict) else {})
        return Reading([uplink], None if online is None else (uplink.device.key, online))

    def _plain(
        self, message: TopicMessage, route: TopicRoute, said: Said, plain: Plain, document: Mapping[str, Any]
    ) -> Uplink:
        device_id, hub_id, flags = self._devices.payload_identity(message, route, document)
        named = document.get("productId") or said.product
        named = named if isinstance(named, str) else ""
        entry = self._devices.entry(message, route, named, device_id, hub_id, specless=True)
        if not self._verified:
            self._check_signature(message, entry.device.key.device_id)
        own = document.get("device_id") or document.get("device_uuid")
        device = entry.device
        if isinstance(own, str) and own not in (device.key.device_id, device.hub_id):
            flags = [*flags, Violation("device_id", ViolationCode.IDENTITY_DIFFERS)]
        flags = [*flags, *documents.bad_times(document)]
        beside = documents.joined(entry.beside, documents.beside_of(document), flags)
        beside.trace_id = beside.trace_id or said.trace_id
        beside.plain = plain
        return self._uplink(message, entry.product, device, beside, entry.context)

    # Uplinks

    def _undecoded(
        self,
        message: TopicMessage,
        entry: Entry,
        beside: Beside | None,
        error: DecodeError,
        context: SessionContext | None = None,
    ) -> Uplink:
        uplink = self._uplink(message, entry.product, entry.device, beside, context or entry.context)
        uplink.error = error
        return uplink

    def _dead(self, message: TopicMessage, device_id: str, product: CompiledProduct, beside: Beside | None) -> Uplink:
        device = Device(DeviceKey(message.speaker.tenant, device_id), known=False) if device_id else _NOBODY
        return self._uplink(message, product, device, beside, None)

    def _uplink(
        self,
        message: TopicMessage,
        product: CompiledProduct,
        device: Device,
        beside: Beside | None,
        context: SessionContext | None,
    ) -> Uplink:
        return Uplink(
            self._make_id(message.received_ms),
            message.payload,
            message.received_ms,
            product,
            device,
            UNSETTLED,
            message.listener,
            message.session_id,
            message.peer,
            context=context,
            message=message,
            beside=beside,
        )
