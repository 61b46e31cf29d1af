"""Golden frames become frames of any number of devices: with ids, serial numbers and times of their own.

Place in the walk: before it; what a device would send is made here. A golden frame is read by the reference codec, the
places of its ids, serial numbers and times are kept, and each new frame is the old one with those bytes replaced and
the check values mended. Where that does not work, the golden frame is sent as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from decoders.catalog import LoadedProduct
from decoders.check_places import fill_in
from decoders.errors import DecodeError, EncodeError
from decoders.framing.escape import stuff, unescape
from decoders.framing.framer import cut
from decoders.golden import GoldenCase
from decoders.inverse import to_raw
from decoders.layout import BytesWire, Derived, IntWire, Prefix, Value, walk
from decoders.plan import Decoded
from decoders.product import CompiledProduct, KindCodec
from decoders.raw import write_form
from decoders.reference.raw_tree import Trace
from decoders.times import Zone, unix_ms_from_iso
from decoders.types import SessionContext

__all__ = ["FrameTemplate", "Script", "SentFrame", "scripts_of"]

SERIAL_NAMES = frozenset({"serial", "serial_number", "sequence", "sequence_number", "seq"})
HEARTBEAT_NAME = "heartbeat"
_FIRST_DIGIT = {"device": "8", "hub": "8", "child": "6"}


@dataclass(slots=True)
class SentFrame:
    """One frame, ready to be sent, and what must come back: `replies` in order; with `exact` False only their sizes
    are known, because they hold the time. records: how many records the gateway makes of it. values: what it says."""

    wire: bytes
    replies: list[bytes]
    exact: bool
    records: int
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def reply_bytes(self) -> int:
        return sum(map(len, self.replies))


@dataclass(slots=True, frozen=True)
class _Place:
    """A field whose bytes are replaced. role: `device`, `hub`, `child`, `serial` or `time`. base_ms: golden time."""

    role: str
    offset: int
    size: int
    node: Value
    digits: int = 0
    base_ms: int = 0


@dataclass(slots=True)
class FrameTemplate:
    """One golden frame and the places in it that differ from frame to frame.

    renewable: what answers it depends on nothing that changes but its serial number.
    names_in_body: the message itself names the device, and not the header of every frame: it is a login.
    session_id: (role, digits) of the id of who holds the connection, or None when the frame does not say it.
    """

    name: str
    product: CompiledProduct
    kind: KindCodec
    data: bytes
    message: str
    records: int
    places: list[_Place] = field(default_factory=list)
    newest_ms: int = 0
    exact: bool = True
    reply_count: int = 0
    names_in_body: bool = False
    renewable: bool = True

    @property
    def session_id(self) -> tuple[str, int] | None:
        for place in self.places:
            if place.role in ("device", "hub"):
                return place.role, place.digits
        return None

    def wire(self, number: int, serial: int, now_ms: int, zone_s: Zone | None = None) -> bytes:
        """The frame of device `number`. Times of the frame move so that the newest is `now_ms`.

        zone_s: of the device's clock; None: as the spec says. Raises EncodeError.
        """
        if zone_s is None:
            zone_s = self.product.zone_s
        data = bytearray(self.data)
        for place in self.places:
            end = place.offset + place.size
            wire = place.node.wire
            if place.role == "serial":
                assert isinstance(wire, IntWire)
                data[place.offset : end] = _integer(serial % (1 << wire.size * 8), wire)
            elif place.role == "time":
                moved = now_ms - self.newest_ms + place.base_ms
                raw = to_raw(place.node.name, place.node.convert, moved, zone_s)
                if isinstance(wire, IntWire):
                    data[place.offset : end] = _integer(raw, wire)
                else:
                    assert isinstance(wire, BytesWire)
                    data[place.offset : end] = write_form(raw, wire, place.size, place.node.name)
            else:
                assert isinstance(wire, BytesWire)
                text = device_number(place.role, number, place.digits)
                data[place.offset : end] = write_form(text, wire, place.size, place.node.name)
        fill_in(self.kind.layout.checks_of(self.message), data)
        escape = self.kind.kind.escape
        return bytes(data) if escape is None else stuff(escape, bytes(data))

    def render(self, number: int, serial: int, now_ms: int, context: SessionContext) -> SentFrame:
        """The frame with what must come back. context: what the gateway's session knows by now; a login adds to it."""
        wire = self.wire(number, serial, now_ms, context.zone_s)
        decoded = self.product.decode(cut(self.product.framing, wire), context)
        if decoded.message.login:
            self.product.remember(decoded, context)
        replies = self.product.replies(self.message, decoded.values, context, now_ms, decoded.kind)
        return SentFrame(wire, replies, self.exact, self.records, decoded.values)

    def renew(self, frame: SentFrame, number: int, serial: int, now_ms: int, context: SessionContext) -> SentFrame:
        """What `render` makes with another serial number and time, at a tenth of the cost. frame: an earlier one."""
        if not self.renewable:
            return self.render(number, serial, now_ms, context)
        values = frame.values
        for place in self.places:
            if place.role == "serial":
                values = {**values, place.node.name: serial % (1 << place.size * 8)}
        wire = self.wire(number, serial, now_ms, context.zone_s)
        replies = self.product.replies(self.message, values, context, now_ms, self.kind.kind.index)
        return SentFrame(wire, replies, self.exact, self.records, values)


@dataclass(slots=True, frozen=True)
class Script:
    """What one device says: a login, where the product has one, then its data frames in turn. heartbeat: what it says
    when there is nothing to say, where the product has that; it may be among the data frames as well."""

    product: CompiledProduct
    login: FrameTemplate | None
    data: Sequence[FrameTemplate]
    heartbeat: FrameTemplate | None = None


def device_number(role: str, number: int, digits: int) -> str:
    """Id of a simulated device: 8 (a child: 6), zeros, its number. The number is cut off to fit."""
    text = str(number)[-(digits - 1) :] if digits > 1 else ""
    return _FIRST_DIGIT[role] + text.rjust(digits - 1, "0")


def scripts_of(loaded: LoadedProduct) -> list[Script]:
    """All ways in which a device of this product can speak; [] when no golden frame can be used.

    Data frames that name no device follow a login; those that do stay among frames that name it in the same way.
    """
    templates = [template for case in loaded.cases() if (template := _template(loaded.product, case)) is not None]
    order = list(loaded.product.messages)
    logins = [template for template in templates if template.session_id and not template.records]
    logins.sort(key=lambda login: (not login.names_in_body, not login.reply_count, order.index(login.message)))
    data = [template for template in templates if template.records]
    scripts = []
    for way in dict.fromkeys(template.session_id for template in data if template.session_id):
        own = [login for login in logins if login.session_id == way and login.names_in_body]
        script = [template for template in data if template.session_id == way]
        scripts.append(Script(loaded.product, own[0] if own else None, script, _heartbeat(templates, way)))
    silent = [template for template in data if template.session_id is None]
    if silent and logins:
        scripts.append(Script(loaded.product, logins[0], silent, _heartbeat(templates, None)))
    elif silent and not scripts:
        scripts.append(Script(loaded.product, None, silent, _heartbeat(templates, None)))
    return scripts


def _heartbeat(templates: Sequence[FrameTemplate], session_id: tuple[str, int] | None) -> FrameTemplate | None:
    """Of messages called so the shortest that is answered and names the device in the same way; without a record if
    there is one."""
    found = [
        template
        for template in templates
        if HEARTBEAT_NAME in template.message and template.reply_count and template.session_id == session_id
    ]
    return min(found, key=lambda template: (template.records, len(template.data)), default=None)


def _template(product: CompiledProduct, case: GoldenCase) -> FrameTemplate | None:
    """The template of a good golden frame; without places where those could not be replaced."""
    if case.error or case.port:
        return None
    context = case.context()
    try:
        frame = cut(product.framing, case.wire)
        kind = product.kinds[frame.kind.index]
        if kind.reference is None:
            return None
        data = frame.wire if kind.kind.escape is None else unescape(kind.kind.escape, frame.wire)
        decoded = product.decode(frame, context)
        trace: list[Trace] = []
        zone_s = product.zone_s if context.zone_s is None else context.zone_s
        kind.reference.decode(data, context, zone_s, trace)
    except DecodeError:
        return None
    if decoded.violations and decoded.message.policy == "reject":
        return None
    records = 0 if decoded.message.record == "none" else len(product.parts(decoded))
    template = FrameTemplate(case.name, product, kind, data, decoded.message.name, records)
    early, late = (
        product.replies(template.message, decoded.values, context, now, decoded.kind) for now in (1, 1_700_000_000_000)
    )
    template.exact, template.reply_count = early == late, len(early)
    front = {getattr(node, "name", "") for node in walk((*kind.layout.header, *kind.layout.trailer))}
    identities = decoded.message.whole.identities
    template.names_in_body = any(role != "child" and name not in front for role, name in identities)
    places = _places(kind, decoded, trace)
    for chosen in (places, [place for place in places if place.role != "time"], []):
        template.places = chosen
        template.newest_ms = max((place.base_ms for place in chosen), default=0)
        if _holds(template, decoded):
            template.renewable = _is_renewable(template)
            return template
    return template if not decoded.message.login else None


def _places(kind: KindCodec, decoded: Decoded, trace: Sequence[Trace]) -> list[_Place]:
    """Fields of the frame that can be replaced without changing its size."""
    layout = kind.layout.messages[decoded.message.name]
    roles = {name: role for role, name in decoded.message.whole.identities}
    for node in walk((*layout.header, *layout.body, *layout.trailer)):
        if isinstance(node, Derived) and node.name in roles:  # an id by formula: what it is made of is replaced
            roles |= dict.fromkeys(node.formula.names, roles[node.name])
    places = []
    for item in trace:
        place = _place(item, item.node, roles.get(item.path, "")) if isinstance(item.node, Value) else None
        if place is not None:
            places.append(place)
    return places


def _place(item: Trace, node: Value, role: str) -> _Place | None:
    wire = node.wire
    if isinstance(wire, IntWire) and wire.size != item.size:
        return None
    if role:
        return _identity_place(item, node, role)
    if isinstance(wire, IntWire) and item.path in SERIAL_NAMES and node.const is None and not node.bits:
        return _Place("serial", item.offset, item.size, node)
    if node.convert.clock and isinstance(wire, IntWire | BytesWire):
        text = node.convert.function()(item.raw, 0)
        if isinstance(text, str):
            return _Place("time", item.offset, item.size, node, base_ms=unix_ms_from_iso(text))
    return None


def _identity_place(item: Trace, node: Value, role: str) -> _Place | None:
    """An id of digits in a field of its own. Its prefix, padding and unused digits stay as they are."""
    wire = node.wire
    plain = replace(node.convert, missing=False).plain
    if not isinstance(wire, BytesWire) or not isinstance(item.raw, str) or not plain:
        return None
    offset, size = item.offset, item.size
    if isinstance(wire.size, Prefix):
        offset, size = offset + wire.size.wire.size, size - wire.size.wire.size
    digits = len(item.raw.replace(":", ""))
    return _Place(role, offset, size, node, digits=digits) if digits else None


def _holds(template: FrameTemplate, golden: Decoded) -> bool:
    """Whether frames of two devices are read as the golden one is, but for their own ids."""
    seen = []
    for number in (1, 2):
        try:
            wire = template.wire(number, number, 1_750_000_000_000)
            decoded = template.product.decode(cut(template.product.framing, wire), SessionContext())
        except (DecodeError, EncodeError, ValueError, OverflowError):
            return False
        if decoded.message is not golden.message or decoded.violations != golden.violations:
            return False
        seen.append(template.product.identity(decoded))
    return seen[0] != seen[1] or not golden.message.login


def _is_renewable(template: FrameTemplate) -> bool:
    context = SessionContext()
    first = template.render(1, 1, 1_750_000_000_000, context)
    later = template.render(1, 2, 1_750_000_001_000, context)
    renewed = template.renew(first, 1, 2, 1_750_000_001_000, context)
    return renewed.replies == later.replies or not template.exact


def _integer(value: int, wire: IntWire) -> bytes:
    return value.to_bytes(wire.size, "big" if wire.big else "little")
