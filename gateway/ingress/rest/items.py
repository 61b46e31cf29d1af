"""Items: what a request brings becomes uplinks, each item with a receipt of its own.

Place in the walk: between a body that was cut into items and the flow. An item that nothing can be made of, or that is
beyond the caller's scope, is an error of the answer and never a dead letter: its sender is there to be told. It counts
as an uplink that was refused, so that the sums balance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from decoders.csv_lines import HEADER
from decoders.errors import DecodeError
from gateway.access.scopes import Call, RestGrant, ScopeRefusal
from gateway.domain.device import Principal
from gateway.domain.errors import RefuseReason
from gateway.domain.ports import AckingOutbox, LearningDirectory, PresencePort
from gateway.domain.reading import Reading, Refused
from gateway.domain.receipt import Receipt
from gateway.domain.state import State
from gateway.domain.topic_message import Item, TopicMessage
from gateway.domain.uplink import Uplink
from gateway.ingress.flow import Flow
from gateway.ingress.rest.answers import ItemError, reading_error, refusal_error
from gateway.ingress.rest.groups import ItemGroup, MakeReceipt
from gateway.ingress.rest.receipts import ItemReceipt
from gateway.ingress.topic_flow import Counted, Several
from gateway.ingress.topic_reader import TopicReader
from gateway.observe.metrics import Metrics, TrafficCounters
from gateway.protocol.device_session import UNDETECTED
from gateway.protocol.uplink_topics import TopicRoute

__all__ = ["ItemServices", "ItemSpeaker", "Items", "Offer", "Sending"]

_SCOPE_TEXTS = {
    ScopeRefusal.CALL: "this client may not send data",
    ScopeRefusal.PRODUCT: "this client may not send data of this product",
    ScopeRefusal.DEVICE: "this client may not send data of this device",
}
_NOTHING: Sequence[State] = ()
_NO_UPLINK = ItemError("no_template", "no topic template takes this topic")


@dataclass(slots=True, eq=False)
class ItemSpeaker:
    """A caller that speaks for one device unless its items name another. Implements Speaker."""

    principal: Principal
    tenant: str
    device_id: str
    grant: RestGrant

    @classmethod
    def of(cls, grant: RestGrant, device_id: str) -> ItemSpeaker:
        return cls(grant.principal, grant.tenant, device_id, grant)

    def may_speak_for(self, device_id: str) -> bool:
        return self.grant.may_speak_for(device_id)


@dataclass(slots=True)
class ItemServices:
    reader: TopicReader
    flow: Flow
    outbox: AckingOutbox
    presence: PresencePort
    directory: LearningDirectory
    metrics: Metrics


@dataclass(slots=True, eq=False)
class Sending:
    """What all items of one request have in common. speaker: the grant, or an ItemSpeaker of it. on_sink: as in
    Receipt. request_id stands for the session. is_bounded: an item may be beyond the grant's scope."""

    grant: RestGrant
    speaker: RestGrant | ItemSpeaker
    listener: str
    peer: str
    request_id: str
    on_sink: bool | None = None
    is_bounded: bool = field(init=False)

    def __post_init__(self) -> None:
        grant = self.grant
        scope = grant.scope
        is_whole = scope.products is None and scope.devices is None and not grant.device_id
        self.is_bounded = not (is_whole and scope.has_call(Call.INGEST))

    def message(self, payload: bytes, received_ms: int, topic: str = "") -> TopicMessage:
        return TopicMessage(topic, payload, received_ms, self.speaker, self.listener, self.request_id, self.peer)


class Offer(Protocol):
    """What an item begins with. uplink_id: of its uplink; "" makes one. index: in its request; size: its bytes. group:
    with which it may go; None: it goes by itself."""

    @property
    def group(self) -> ItemGroup | None: ...

    @property
    def index(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def uplink_id(self) -> str: ...

    def receipt(self, record_id: str) -> ItemReceipt:
        """Called once for an item that is taken. record_id: of its first record, "" where it makes none."""
        ...

    def states(self) -> Sequence[State]:
        """Called right after it: what becomes durable with the records."""
        ...

    def joined(self, record_id: str) -> None:
        """Called instead, for an item that goes with the group."""
        ...


class Items:
    """Takes items, for all requests."""

    def __init__(self, services: ItemServices) -> None:
        self._services = services
        self._traffic: dict[tuple[str, str], TrafficCounters] = {}

    def group(self, sending: Sending, make: MakeReceipt) -> ItemGroup | None:
        """For the items of one request; None where each may end otherwise than its neighbours."""
        services = self._services
        on_sink = services.outbox.acks_on_sink if sending.on_sink is None else sending.on_sink
        return None if on_sink else ItemGroup(services.flow, make)

    def read(self, message: TopicMessage, route: TopicRoute | None, item: Item) -> Uplink | Reading | Refused | None:
        """route: None reads it by its topic."""
        reader = self._services.reader
        return reader.read(message) if route is None else reader.read_item(message, route, item)

    def read_usual(self, message: TopicMessage, route: TopicRoute, document: dict[str, Any] | None) -> Uplink | None:
        """An item that is a JSON object of values and times. document: the object; None: that is the payload. None: it
        is unusual, and has to be read as any other."""
        return self._services.reader.read_usual_item(message, route, document)

    def take(
        self, sending: Sending, message: TopicMessage, found: Uplink | Reading | Refused | None, offer: Offer
    ) -> ItemError | None:
        """Acts on what was read of an item. None: its receipt settles now or later (a line that only names columns has
        none); else why it is rejected, and nothing of it is kept."""
        if isinstance(found, Uplink) and not sending.is_bounded and found.error is None and found.beside is None:
            decoded = found.decoded
            if decoded is None or decoded.message.name != HEADER:
                self._offer_one(sending, found, offer)
            return None
        if found is None:
            return self._rejected(message, UNDETECTED, _NO_UPLINK, RefuseReason.REJECTED)
        if isinstance(found, Refused):
            return self._rejected(message, found.product, refusal_error(found.reason.value), found.reason)
        uplinks = [found] if isinstance(found, Uplink) else found.uplinks
        for uplink in uplinks:
            error = _forbidden(sending.grant, uplink) or _unreadable(uplink)
            if error is not None:
                reason = RefuseReason.NOT_AUTHORIZED if error.status == 403 else RefuseReason.REJECTED
                return self._rejected(message, uplink.product.id, error, reason, uplink.error)
        if isinstance(found, Reading):
            error = self._learn(sending.grant, message, found)
            if error is not None:
                return self._rejected(message, "", error, RefuseReason.NOT_AUTHORIZED)
        elif found.decoded is not None and found.decoded.message.name == HEADER:
            return None
        if len(uplinks) == 1:
            self._offer_one(sending, uplinks[0], offer)
        else:
            self._offer(sending, uplinks, offer)
        return None

    def _offer_one(self, sending: Sending, uplink: Uplink, offer: Offer) -> None:
        """What nearly all items are."""
        uplink_id, group = offer.uplink_id, offer.group
        if uplink_id:
            uplink.uplink_id = uplink_id
        traffic = self._counts(uplink.listener, uplink.product.id)
        traffic.frames += 1
        traffic.frame_bytes += len(uplink.raw)
        traffic.received += 1
        flow, result = self._services.flow, None
        if group is not None:
            if group.suits(uplink):
                result = flow.run(uplink)
                if isinstance(result, list) and group.add(offer.index, offer.size, result, traffic):
                    offer.joined(f"{uplink.uplink_id}-0")
                    return
            group.flush()
        receipt = offer.receipt(f"{uplink.uplink_id}-0" if _makes_records(uplink) else "")
        receipt.on_sink = sending.on_sink
        receipt.traffic = traffic
        uplink.receipt = receipt
        uplink.states = offer.states()
        flow.end(uplink, flow.run(uplink) if result is None else result, receipt.reject)

    def _offer(self, sending: Sending, uplinks: Sequence[Uplink], offer: Offer) -> None:
        services = self._services
        if offer.group is not None:
            offer.group.flush()
        uplink_id = offer.uplink_id
        for number, uplink in enumerate(uplinks):
            if uplink_id:
                uplink.uplink_id = f"{uplink_id}.{number}" if number else uplink_id
        receipt = offer.receipt(next((f"{one.uplink_id}-0" for one in uplinks if _makes_records(one)), ""))
        receipt.on_sink = sending.on_sink
        states = offer.states()
        if not uplinks:
            services.outbox.put(receipt, (), states)
            return
        several = Several(services.outbox, receipt, states, len(uplinks))
        for uplink in uplinks:
            traffic = self._counts(uplink.listener, uplink.product.id)
            part = Receipt(Counted(traffic, several.settled))
            part.on_sink = sending.on_sink
            traffic.frames += 1
            traffic.frame_bytes += len(uplink.raw)
            traffic.received += 1
            uplink.receipt = part
            uplink.states = _NOTHING
            services.flow.offer(uplink, receipt.reject)

    def _rejected(
        self,
        message: TopicMessage,
        product: str,
        error: ItemError,
        reason: RefuseReason,
        cause: DecodeError | None = None,
    ) -> ItemError:
        """Counts an item of which no uplink went on."""
        traffic = self._counts(message.listener, product)
        traffic.frames += 1
        traffic.frame_bytes += len(message.payload)
        traffic.received += 1
        if cause is not None:
            traffic.decode_errors[cause.code.value] += 1
        self._services.flow.refuse(Receipt(Counted(traffic, None)), reason.value)
        return error

    def reject_unread(self, listener: str, size: int, error: DecodeError) -> ItemError:
        """An item that is not even text of its form. size: its bytes."""
        traffic = self._counts(listener, UNDETECTED)
        traffic.frames += 1
        traffic.frame_bytes += size
        traffic.received += 1
        traffic.decode_errors[error.code.value] += 1
        self._services.flow.refuse(Receipt(Counted(traffic, None)), RefuseReason.REJECTED.value)
        return reading_error(error.code.value, error.detail, error.field)

    def _learn(self, grant: RestGrant, message: TopicMessage, reading: Reading) -> ItemError | None:
        """What a topology and a status say beside records."""
        services = self._services
        for device in reading.learned:
            if not grant.may_speak_for(device.key.device_id):
                return _out_of_scope(ScopeRefusal.DEVICE)
        for device in reading.learned:
            services.directory.learn(device)
        if reading.present is not None:
            key, online = reading.present
            (services.presence.online if online else services.presence.offline)(key, message.received_ms)
        return None

    def _counts(self, listener: str, product: str) -> TrafficCounters:
        traffic = self._traffic.get((listener, product))
        if traffic is None:
            traffic = self._traffic[listener, product] = self._services.metrics.traffic(listener, product or UNDETECTED)
        return traffic


def _makes_records(uplink: Uplink) -> bool:
    beside = uplink.beside
    if beside is not None and beside.plain is not None:
        return True
    return uplink.decoded is not None and uplink.decoded.message.record != "none"


def _forbidden(grant: RestGrant, uplink: Uplink) -> ItemError | None:
    """Whether the caller may not send this: by its product, its device, or a device behind it."""
    device_id = uplink.device.key.device_id
    if not device_id:
        return None  # nobody is named, which is an error of its own
    product: str | None = uplink.product.id
    if not product and _unreadable(uplink) is not None:
        product = None  # that no product is known may be just what is wrong with it
    refusal = grant.refusal(Call.INGEST, product=product, device_id=device_id)
    if refusal is not None:
        return _out_of_scope(refusal)
    decoded = uplink.decoded
    if decoded is None or (grant.scope.devices is None and not grant.device_id):
        return None
    identity = uplink.product.identity(decoded)
    names = [identity.child_id] if identity is not None else []
    if decoded.message.records:
        parts = [part.identity for part in uplink.product.parts(decoded)]
        names += [one.child_id or one.device_id for one in parts if one is not None]
    if all(not name or grant.may_speak_for(name) for name in names):
        return None
    return _out_of_scope(ScopeRefusal.DEVICE)


def _out_of_scope(refusal: ScopeRefusal) -> ItemError:
    return ItemError(refusal.value, _SCOPE_TEXTS[refusal], status=403)


def _unreadable(uplink: Uplink) -> ItemError | None:
    if uplink.error is not None:
        return reading_error(uplink.error.code.value, uplink.error.detail, uplink.error.field)
    failure = uplink.beside.failure if uplink.beside is not None else None
    return None if failure is None else reading_error(failure.reason, failure.detail, failure.field)
