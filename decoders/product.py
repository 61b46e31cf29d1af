"""CompiledProduct: one spec, ready to run. Immutable, shared by all sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from decoders.document import JsonCodec
from decoders.encode import Encoder
from decoders.errors import DecodeCode, DecodeError
from decoders.framing.escape import unescape
from decoders.framing.plan import Escape, Frame, FrameKind, Framing
from decoders.fused.codec import FusedCodec, FusedDecode
from decoders.plan import Decoded, MessagePlan
from decoders.reference.codec import FrameLayout, ReferenceCodec
from decoders.reference.raw_tree import Trace
from decoders.replies import ReplyPlan, render_all
from decoders.spec.model import SpecFile
from decoders.types import Identity, RecordPart, SessionContext

_UNSOUND = frozenset(
    {
        DecodeCode.NOT_A_FRAME,
        DecodeCode.BAD_CHECK,
        DecodeCode.BAD_CONST,
        DecodeCode.BAD_ESCAPE,
        DecodeCode.UNKNOWN_MESSAGE,
    }
)


@dataclass(slots=True)
class KindCodec:
    """How one kind of frame is decoded. `why_not_fused` says why `fused` is None; `use_fused` is set once proven."""

    kind: FrameKind
    layout: FrameLayout
    reference: ReferenceCodec | None
    fused: FusedCodec | None
    why_not_fused: str
    json: JsonCodec | None
    escape: Escape | None = field(init=False)
    fast: FusedDecode | None = field(init=False, default=None)  # what frames are tried with first

    def __post_init__(self) -> None:
        self.escape = self.kind.escape

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
    zone_s: int
    encoders: Mapping[tuple[int, str], Encoder]
    variants: dict[str, CompiledProduct] = field(default_factory=dict)

    def decode(self, frame: Frame, context: SessionContext) -> Decoded:
        """One frame -> Decoded. Raises DecodeError with offset, field path and what was read before."""
        if context.variant and context.variant in self.variants:
            return self.variants[context.variant].decode(frame, context)
        kind = self.kinds[frame.kind.index]
        data = frame.wire if kind.escape is None else unescape(kind.escape, frame.wire)
        zone_s = self.zone_s if context.zone_s is None else context.zone_s
        if kind.fast is None:
            name, values = self._reference(kind, data, context, zone_s)
        else:
            try:
                name, values = kind.fast(data, context, zone_s)
            except Exception:  # whatever the fast path refuses or stumbles over, the reference codec has the word
                name, values = self._reference(kind, data, context, zone_s)
        plan = self.messages[name]
        return Decoded(plan, values, None if plan.check is None else plan.check(values))

    def _reference(
        self, kind: KindCodec, data: bytes, context: SessionContext, zone_s: int, trace: list[Trace] | None = None
    ) -> tuple[str, dict[str, Any]]:
        if kind.json is not None:
            return kind.json.decode(data)
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

    def remember(self, decoded: Decoded, context: SessionContext) -> None:
        """Puts what a login says (device id, zone, values) into the session's context."""
        identity = decoded.message.identity(decoded.values)
        if identity is not None:
            context.device_id = identity.hub_id or identity.device_id or context.device_id
        for what, name in decoded.message.session:
            value = decoded.values.get(name)
            if value is None:
                continue
            if what == "zone":
                context.zone_s = int(value)
            else:
                context.values[name] = value

    def parts(self, decoded: Decoded) -> list[RecordPart]:
        """The values of each record that the message makes."""
        return decoded.message.parts(decoded.values, decoded.violations)

    def replies(self, message: str, values: Mapping[str, Any], context: SessionContext, now_ms: int) -> list[bytes]:
        """The spec's replies to a message with these values, as wire bytes, in order; [] when there are none.

        message "": the product's `unknown_message` replies. A reply that needs a value that is not there (a frame
        that failed to decode) is left out.
        """
        plans = self.reply_plans.get(message)
        if not plans:
            return []
        for plan in plans:
            if plan.of_session:
                values = {**values, "now": now_ms, "device_id": context.device_id, "received": context.received_ms}
                break
        return render_all(plans, values)
