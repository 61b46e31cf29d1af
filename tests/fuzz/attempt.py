"""One attempt of the fuzzer: bytes into a product's framer and both of its codecs. What it finds is an AssertionError.

Used by the fuzzer (`fuzz_decode.py`) and by the test that replays its corpus.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from decoders.catalog import Catalog
from decoders.encode import seal
from decoders.errors import DecodeError, EncodeError
from decoders.framing.framer import Framer
from decoders.framing.plan import Frame, WholeChunk
from decoders.golden import same
from decoders.product import CompiledProduct
from decoders.types import SessionContext

MODES = ("stream", "frame", "sealed")
_PORTS = 256


@dataclass(slots=True, frozen=True)
class Attempt:
    """stream: `data` is what a connection sends. frame: it is one frame of kind `kind`. sealed: the same, with lengths
    and check values mended."""

    mode: str
    kind: int
    port: int
    data: bytes

    @classmethod
    def of(cls, raw: bytes, kinds: int) -> Attempt:
        """From the bytes of a fuzzer: two of them choose, the rest is the data."""
        choice, port = (*raw[:2], 0, 0)[:2]
        return cls(MODES[choice % len(MODES)], choice // len(MODES) % kinds, port % _PORTS, raw[2:])


def forms_of(catalog: Catalog) -> dict[str, CompiledProduct]:
    """Products and their variants: `product`, `product@variant`."""
    return {
        f"{product_id}@{variant}" if variant else product_id: form
        for product_id, loaded in catalog.products.items()
        for variant, form in loaded.forms().items()
    }


def try_attempt(product: CompiledProduct, attempt: Attempt) -> int:
    """Decodes; gives the number of frames that were read. Raises AssertionError when the codecs differ, and whatever
    a decoder raises that is no DecodeError."""
    if attempt.mode == "stream":
        whole, pieces = Framer(product.framing), Framer(product.framing)
        frames = whole.receive(attempt.data)
        if any(isinstance(kind.kind.size, WholeChunk) for kind in product.kinds):  # a chunk is what arrives together
            return _read(product, frames, attempt.port)
        middle = len(attempt.data) // 2
        halves = pieces.receive(attempt.data[:middle]) + pieces.receive(attempt.data[middle:])
        assert [(frame.kind.index, frame.wire) for frame in frames] == [
            (frame.kind.index, frame.wire) for frame in halves
        ], "the frames depend on how the stream was split"
    else:
        data = attempt.data
        kind = product.kinds[attempt.kind]
        if attempt.mode == "sealed" and len(data) >= kind.layout.least:
            mended = bytearray(data)
            try:
                seal(kind.layout, mended)
                data = bytes(mended)
            except (EncodeError, OverflowError):
                pass
        frames = [Frame(kind.kind, data)]
        if product.body_codec(data, text=True) is not None:  # it may be the body of a message or request as well
            with contextlib.suppress(DecodeError):
                product.read(data, SessionContext(port=attempt.port), text=True)
    return _read(product, frames, attempt.port)


def _read(product: CompiledProduct, frames: list[Frame], port: int) -> int:
    read = 0
    for frame in frames:
        try:
            decoded = product.decode(frame, SessionContext(port=port))
            product.parts(decoded)
            product.replies(decoded.message.name, decoded.values, SessionContext(), 0)
            read += 1
        except DecodeError:
            pass
        _same_on_both(product, frame, port)
    return read


def _same_on_both(product: CompiledProduct, frame: Frame, port: int) -> None:
    """What the fused codec reads, the reference codec reads too, and finds the same."""
    kind = product.kinds[frame.kind.index]
    if not kind.use_fused:
        return

    def outcome(*, fused: bool) -> tuple[str, dict[str, object]] | None:
        kind.use_fused = fused
        try:
            decoded = product.decode(frame, SessionContext(port=port))
        except DecodeError:
            return None
        finally:
            kind.use_fused = True
        return decoded.message.name, decoded.values

    one, other = outcome(fused=True), outcome(fused=False)
    assert (one is None) == (other is None), f"fused gives {one}, construct {other}"
    if one is not None and other is not None:
        agree = one[0] == other[0] and one[1].keys() == other[1].keys() and same(one[1], other[1], 0.0)
        assert agree, f"fused gives {one}, construct {other}"
