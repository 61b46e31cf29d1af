"""CompiledProduct: one spec, ready to run. Immutable, shared by all sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from decoders.check_places import CheckPlace
from decoders.csv_lines import HEADER, CsvCodec, lines_of
from decoders.csv_payload import plan_of_lines, read_lines
from decoders.document import JsonCodec
from decoders.document_frame import DocumentFrame
from decoders.encode import Encoder
from decoders.errors import DecodeCode, DecodeError
from decoders.faults import FAULTS, flagged
from decoders.framing.escape import unescape
from decoders.framing.framer import cut
from decoders.framing.plan import Frame, FrameKind, Framing, Transcoding
from decoders.fused.codec import FusedCodec, FusedDecode
from decoders.fused.refusal import Refused, Unsupported
from decoders.fused_encoder import ZONE_OF_SESSION
from decoders.plan import Decoded, MessagePlan
from decoders.reference.codec import FrameLayout, ReferenceCodec
from decoders.reference.raw_tree import Trace
from decoders.replies import ReplyPlan, render_all
from decoders.session_zone import seconds_of, zone_told
from decoders.spec.model import SpecFile
from decoders.spec.origins import Origins
from decoders.times import Zone
from decoders.types import Identity, RecordPart, SessionContext, Violation, ViolationCode

_UNSOUND = frozenset(
    {
        DecodeCode.NOT_A_FRAME,
        DecodeCode.BAD_CHECK,
        DecodeCode.BAD_CONST,
        DecodeCode.BAD_ESCAPE,
        DecodeCode.UNKNOWN_MESSAGE,
    }
)

_Read = Callable[[Any, SessionContext, Zone], tuple[str, dict[str, Any]]]
_HEADER_PLAN = MessagePlan(HEADER, "none", login=False)


@dataclass(slots=True)
class KindCodec:
    """How one kind of frame is decoded. `use_fused` is set once proven.

    generate: makes the fused codec, which is done when it is first asked for; it raises Unsupported.
    """

    kind: FrameKind
    layout: FrameLayout
    reference: ReferenceCodec | None
    generate: Callable[[], FusedCodec] | None
    why_not: str
    document: DocumentFrame | None
    escape: Transcoding | None = field(init=False)
    flagged: Mapping[str, Sequence[CheckPlace]] = field(init=False)  # message -> check values that refuse no frame
    fast: FusedDecode | None = field(init=False, default=None)  # what frames are tried with first
    _fused: FusedCodec | None = field(init=False, default=None)
    _left_out: Mapping[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.escape = self.kind.escape
        checks = {name: [place for place in self.layout.checks_of(name) if place.flag] for name in self.layout.messages}
        self.flagged = {name: places for name, places in checks.items() if places}

    @property
    def fused(self) -> FusedCodec | None:
        """The generated codec; None where there is none, and `why_not_fused` then says why."""
        generate, self.generate = self.generate, None
        if generate is not None:
            try:
                self._fused = generate()
            except Unsupported as error:
                self.why_not = str(error)
            else:
                self._fused.leave_out(self._left_out)
        return self._fused

    @property
    def why_not_fused(self) -> str:
        return self.why_not if self.fused is None else ""

    def trust(self, others: Mapping[str, str]) -> None:
        """A remembered proof holds for the fused codec; the reference codec reads `others` (message -> why). The codec
        is generated for the first frame, so that a start does not wait for products that nobody uses."""
        self._left_out = others
        self.fast = self._first

    def _first(self, data: bytes, context: SessionContext, zone: Zone) -> tuple[str, dict[str, Any]]:
        self.use_fused = True
        if self.fast is None:
            raise Refused
        return self.fast(data, context, zone)

    @property
    def use_fused(self) -> bool:
        return self.fast is not None

    @use_fused.setter
    def use_fused(self, proven: bool) -> None:
        self.fast = self.fused.decode if proven and self.fused is not None else None


@dataclass(slots=True, eq=False)
class CompiledProduct:
    """One spec (one variant of it), ready to run.

    `decode` never raises anything but DecodeError, whose `values` hold at least header and trailer where the frame
    itself was sound (right length and check value).
    """

    id: str
    version: int
    digest: str
    spec: SpecFile
    framing: Framing
    kinds: tuple[KindCodec, ...]
    messages: Mapping[str, MessagePlan]
    reply_plans: Mapping[str, list[ReplyPlan]]
    zone_s: Zone
    encoders: Mapping[tuple[int, str], Encoder]
    variants: dict[str, CompiledProduct] = field(default_factory=dict)
    origins: Origins = field(default_factory=Origins)  # which row each node of the layouts is from
    json: JsonCodec | None = None  # of bodies without a frame
    csv: CsvCodec | None = None
    _of_lines: dict[str, tuple[MessagePlan, MessagePlan]] = field(default_factory=dict)  # message -> of one, of several

    @property
    def rows(self) -> int:
        """Rows of all messages in all kinds of frame."""
        return sum(kind.layout.rows for kind in self.kinds)

    def decode(self, frame: Frame, context: SessionContext) -> Decoded:
        """One frame -> Decoded. Raises DecodeError with offset, field path and what was read before."""
        if context.variant and context.variant in self.variants:
            return self.variants[context.variant].decode(frame, context)
        kind = self.kinds[frame.kind.index]
        data = frame.wire if kind.escape is None else unescape(kind.escape, frame.wire)
        zone_s = self.zone_s if context.zone_s is None else context.zone_s
        try:
            name, values = self._values(kind, data, context, zone_s)
        except DecodeError as error:
            error.kind = frame.kind.index
            raise
        plan = self.messages[name] if kind.document is None else self.messages.get(name, _HEADER_PLAN)
        told = zone_told(plan, values) if plan.session else None
        if told is not None and told[1] is not None and told[1] != zone_s and not context.zone_fixed:
            name, values = self._values(kind, data, context, told[1])
        violations = None if plan.check is None else plan.check(values)
        if FAULTS in values:
            violations = flagged(values, violations)
        if name in kind.flagged:
            violations = _wrong_checks(kind.flagged[name], data, violations)
        return Decoded(plan, values, _wrong_zone(told, violations), frame.kind.index)

    def _values(
        self, kind: KindCodec, data: bytes, context: SessionContext, zone_s: Zone
    ) -> tuple[str, dict[str, Any]]:
        if kind.fast is None:
            return self._reference(kind, data, context, zone_s)
        try:
            return kind.fast(data, context, zone_s)
        except Exception:  # whatever the fast path refuses or stumbles over, the reference codec has the word
            return self._reference(kind, data, context, zone_s)

    def read(self, wire: bytes, context: SessionContext, *, text: bool = False) -> Decoded:
        """One whole frame as it stood on the wire; for products without framing the payload. text: it is known to be
        text, so that a payload is JSON or CSV where the product speaks these. Raises DecodeError."""
        if context.variant and context.variant in self.variants:
            return self.variants[context.variant].read(wire, context, text=text)
        codec = self.body_codec(wire, text=text)
        if codec is not None:
            return self._document(codec, wire, context)
        try:
            frame = cut(self.framing, wire)
        except DecodeError as error:
            lines = self._codec_of_lines(wire, error)
            if lines is None:
                raise
            return self._document(lines, wire, context)
        return self.decode(frame, context)

    def _codec_of_lines(self, wire: bytes, error: DecodeError) -> CsvCodec | None:
        """What reads a payload that has more in it than its first frame, if that is a line of CSV."""
        if error.code is not DecodeCode.TRAILING_BYTES or self.csv is None:
            return None
        document = self.kinds[cut(self.framing, wire[: error.offset]).kind.index].document
        return self.csv if document is not None and document.is_line else None

    def body_codec(self, wire: bytes, *, text: bool = False) -> JsonCodec | CsvCodec | None:
        """What reads a payload that is a document; None for frames, and for payloads of bytes."""
        framed = self.spec.frame is not None or bool(self.spec.frames)
        if framed or not (text or not self.kinds[0].layout.selectors):
            return None
        if self.json is not None and (self.csv is None or wire.lstrip()[:1] in (b"{", b"[")):
            return self.json
        return self.csv

    def decode_json(self, data: bytes, context: SessionContext) -> Decoded:
        """One JSON document without a frame: the body of a message or request. Raises DecodeError."""
        if context.variant and context.variant in self.variants:
            return self.variants[context.variant].decode_json(data, context)
        return self._document(self.json, data, context)

    def read_json(self, document: Any, context: SessionContext) -> Decoded:
        """As `decode_json`, of what the document says (`decoders.json_text.read_json`)."""
        if context.variant and context.variant in self.variants:
            return self.variants[context.variant].read_json(document, context)
        if self.json is None:
            raise self._not_in_this_form()
        return self._read_by(self.json.read, document, context)

    def read_plain(self, document: dict[str, Any], colons: int, context: SessionContext) -> Decoded | None:
        """As `read_json`, of what `decoders.json_text.read_plain` has read; None where that is not enough to tell."""
        if self.json is None or context.variant:
            return None
        found = self.json.read_plain(document, colons, self.zone_s if context.zone_s is None else context.zone_s)
        if found is None:
            return None
        name, values = found
        plan = self.messages[name]
        if plan.session:
            return None
        return Decoded(plan, values, None if plan.check is None else plan.check(values))

    def decode_csv(self, data: bytes, context: SessionContext) -> Decoded:
        """CSV without a frame. A line that names columns gives a message without a record; the context keeps them for
        the lines behind it. Of several lines each is a record. Raises DecodeError."""
        if context.variant and context.variant in self.variants:
            return self.variants[context.variant].decode_csv(data, context)
        return self._document(self.csv, data, context)

    def _document(self, codec: JsonCodec | CsvCodec | None, data: bytes, context: SessionContext) -> Decoded:
        if codec is None:
            raise self._not_in_this_form()
        if isinstance(codec, CsvCodec) and len(lines := lines_of(data)) > 1:
            zone_s = self.zone_s if context.zone_s is None else context.zone_s
            if codec.message not in self._of_lines:
                plan = self.messages[codec.message]
                self._of_lines[codec.message] = plan, plan_of_lines(plan)
            return read_lines(codec, self._of_lines, _HEADER_PLAN, lines, context, zone_s)
        return self._read_by(codec.decode, data, context)

    def _not_in_this_form(self) -> DecodeError:
        return DecodeError(DecodeCode.UNKNOWN_MESSAGE, f"no message of `{self.id}` comes in this form")

    def _read_by(
        self,
        read: Callable[[Any, SessionContext, Zone], tuple[str, dict[str, Any]]],
        what: Any,
        context: SessionContext,
    ) -> Decoded:
        zone_s = self.zone_s if context.zone_s is None else context.zone_s
        name, values = read(what, context, zone_s)
        plan = self.messages.get(name, _HEADER_PLAN)
        told = zone_told(plan, values) if plan.session else None
        if told is not None and told[1] is not None and told[1] != zone_s and not context.zone_fixed:
            name, values = read(what, context, told[1])
        violations = None if plan.check is None else plan.check(values)
        if FAULTS in values:
            violations = flagged(values, violations)
        return Decoded(plan, values, violations if told is None else _wrong_zone(told, violations))

    def _reference(
        self, kind: KindCodec, data: bytes, context: SessionContext, zone_s: Zone, trace: list[Trace] | None = None
    ) -> tuple[str, dict[str, Any]]:
        if kind.document is not None:
            return kind.document.decode(data, context, zone_s)
        assert kind.reference is not None
        return kind.reference.decode(data, context, zone_s, trace)

    def sound(self, frame: Frame) -> bool:
        """True when the frame is this product's beyond doubt: right marks, right check value, a known message."""
        try:
            self.decode(frame, SessionContext())
        except DecodeError as error:
            return error.code not in _UNSOUND
        return True

    def identity(self, decoded: Decoded) -> Identity | None:
        """Who the frame says it is from, or None when it says nothing."""
        return decoded.message.identity(decoded.values)

    def login(self, decoded: Decoded) -> Identity | None:
        """Who a frame logs in on a connection of nobody yet: whom it names itself, else whom its first record that
        names a device or hub is about."""
        identity = decoded.message.identity(decoded.values)
        if identity is None or not (identity.hub_id or identity.device_id):
            return decoded.message.record_identity(decoded.values) or identity
        return identity

    def remember(self, decoded: Decoded, context: SessionContext) -> None:
        """Puts what a login says (device id, zone, values) into the session's context."""
        identity = self.identity(decoded) if context.device_id else self.login(decoded)
        if identity is not None:
            context.device_id = identity.hub_id or identity.device_id or context.device_id
        for what, name in decoded.message.session:
            value = decoded.values.get(name)
            if value is None:
                continue
            if what == "keep":
                context.values[name] = value
            elif not context.zone_fixed and (zone_s := seconds_of(value)) is not None:
                context.zone_s = zone_s

    def answers(self, message: str) -> bool:
        """Whether the spec has replies to this message."""
        return bool(self.reply_plans.get(message))

    def parts(self, decoded: Decoded) -> list[RecordPart]:
        """The values of each record that the message makes."""
        return decoded.message.parts(decoded.values, decoded.violations)

    def no_metrics(self, message: MessagePlan, names: Sequence[str]) -> tuple[str, ...] | None:
        """Which of the values of these names are in no record's metrics, where they all stand in the only part; None
        where `parts` has to tell."""
        return message.no_metrics(names)

    def replies(
        self,
        message: str,
        values: Mapping[str, Any],
        context: SessionContext,
        now_ms: int,
        kind: int = -1,
        left_out: list[str] | None = None,
    ) -> list[bytes]:
        """The spec's replies to a message with these values, as wire bytes, in order; [] when there are none.

        message "": the product's `unknown_message` replies. now_ms: Unix ms of now, taken for the arrival too where the
        context knows none. kind: of the request's frame, which is the reply's too where its message comes in it. A
        reply that needs a value that is not there (a frame that failed to decode), or has one that its row cannot hold,
        is left out; left_out gets why.
        """
        plans = self.reply_plans.get(message)
        if not plans:
            return []
        for plan in plans:
            if plan.of_session:
                session = {"now": now_ms, "device_id": context.device_id, "received": context.received_ms or now_ms}
                values = {**context.values, **values, **session}
                if context.zone_s is not None:
                    values[ZONE_OF_SESSION] = context.zone_s
                break
        return render_all(plans, values, kind, left_out)


def _wrong_checks(
    places: Sequence[CheckPlace], data: bytes, violations: list[Violation] | None
) -> list[Violation] | None:
    """The violations with those of check values that are wrong."""
    wrong = [Violation(place.name, ViolationCode.BAD_CHECK) for place in places if place.difference(data)]
    return [*(violations or ()), *wrong] if wrong else violations


def _wrong_zone(told: tuple[str, int | None] | None, violations: list[Violation] | None) -> list[Violation] | None:
    """The violations with that of a zone that is none."""
    if told is None or told[1] is not None:
        return violations
    return [*(violations or ()), Violation(told[0], ViolationCode.BAD_ZONE)]
