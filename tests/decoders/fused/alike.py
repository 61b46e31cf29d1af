"""Reading a frame with both codecs, which give the same or both refuse; and finding frames that are read at all."""

from __future__ import annotations

import json
from typing import Any

from decoders.compile import compile_spec
from decoders.encode import seal
from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.faults import FAULTS
from decoders.framing.escape import unescape
from decoders.framing.framer import cut
from decoders.fused.refusal import Refused
from decoders.layout import BytesWire, IntWire, Value
from decoders.product import CompiledProduct, KindCodec
from decoders.spec.model import SpecFile
from decoders.spec.source import load, validate
from decoders.types import SessionContext
from tests.decoders.specs import exact

CONTEXTS = (
    SessionContext(),
    SessionContext(device_id="123", port=3, zone_s=3600, received_ms=1_750_000_000_123, values={"kept": 2}),
)
_TRIES = 10
_BYTES = (0, 0x31, 1, 2, 4, 0x30, 8, 3, 16, 5)


def compiled(spec: dict[str, Any]) -> CompiledProduct:
    """Raises SpecError."""
    document = load("{product: sample, " + json.dumps(spec)[1:], "spec.yaml")
    return compile_spec(validate(SpecFile, document), document)


def read_alike(product: CompiledProduct, kind: KindCodec, data: bytes, context: SessionContext) -> DecodeError | None:
    """Asserts that both codecs read the frame alike; gives the error of the reference codec. Messages that only the
    reference codec reads are not compared."""
    assert kind.reference is not None
    zone = product.zone_s if context.zone_s is None else context.zone_s
    why: DecodeError | None = None
    truth: tuple[str, dict[str, Any]] | None = None
    try:
        truth = kind.reference.decode(data, context, zone)
    except DecodeError as error:
        why = error
    if kind.fused is None:
        return why
    try:
        other = kind.fused.decode(data, context, zone)
    except (Refused, DecodeError):
        other = None
    if truth is None:
        assert other is None, f"{data.hex()}: construct says {why}"
    elif truth[0] not in kind.fused.others:
        if other is None and FAULTS in truth[1]:
            return None  # which the generated code may leave to construct
        assert other is not None, f"{data.hex()}: fused refuses {truth}"
        assert (other[0], exact(other[1])) == (truth[0], exact(truth[1])), data.hex()
    return why


def read_around(product: CompiledProduct, data: bytes, context: SessionContext, *, text: bool = False) -> None:
    """Reads the frame, and others that are a little nearer to one that can be read, until one is. Frames of the only
    kind are also read with the lengths and check values mended of each message."""
    frame = bytearray(data)
    for step in range(_TRIES):
        error = _read(product, bytes(frame), context, text=text)
        if error is None or not _nearer(frame, error, step, text=text):
            return


def _read(product: CompiledProduct, wire: bytes, context: SessionContext, *, text: bool) -> DecodeError | None:
    (kind,) = product.kinds
    if text:
        try:
            return read_alike(product, kind, cut(product.framing, wire).wire, context)
        except DecodeError:
            return None
    for name in kind.layout.messages:
        mended = bytearray(wire)
        try:
            seal(kind.layout, mended, message=name)
        except (EncodeError, OverflowError):
            continue
        if mended != wire:
            read_alike(product, kind, bytes(mended), context)
    if kind.kind.escape is not None:
        try:
            read_alike(product, kind, unescape(kind.kind.escape, wire), context)
        except DecodeError as error:
            assert error.code == DecodeCode.BAD_ESCAPE  # noqa: PT017 - of what is no stuffed frame
    return read_alike(product, kind, wire, context)


def _nearer(frame: bytearray, error: DecodeError, step: int, *, text: bool) -> bool:
    """Changes what the error complains of; False where nothing is known that could help."""
    at = error.offset or 0
    node = error.node
    if error.code == DecodeCode.TRUNCATED:
        if text:
            frame[-1:-1] = b",1" if step % 2 else b"1"
        else:
            frame += bytes([step % 3, 1, 2][: 1 + step % 3])
    elif error.code == DecodeCode.BAD_CONST and isinstance(node, Value):
        raw = _constant(node)
        frame[at : at + len(raw)] = raw
    elif error.code == DecodeCode.TRAILING_BYTES:
        del frame[at : at + 1]
    elif at < len(frame):
        frame[at] = 0x31 if text and not step else _BYTES[step]
    else:
        return False
    return True


def _constant(node: Value) -> bytes:
    if isinstance(node.wire, IntWire) and isinstance(node.const, int):
        return node.const.to_bytes(node.wire.size, "big" if node.wire.big else "little")
    if isinstance(node.wire, BytesWire) and node.wire.form == "hex":
        return bytes.fromhex(str(node.const))
    return str(node.const).encode()
