"""`builds` of a golden file: messages that the gateway sends, built and compared with frames that somebody vouches for.

Beside `decoders.golden`, which runs frames the other way: from bytes to values.
"""

from __future__ import annotations

from decoders.encode import Encoder, strangers
from decoders.errors import DecodeError, EncodeError
from decoders.golden import Difference, GoldenBuild
from decoders.product import CompiledProduct
from decoders.read_back import arrival_of, lost_values
from decoders.times import unix_ms_from_iso, zone_of
from decoders.types import SessionContext

__all__ = ["encoders_of", "run_build"]


def encoders_of(product: CompiledProduct, message: str) -> dict[str, Encoder]:
    """What builds a message, by the name of the kind of frame; {} for one that comes as JSON or CSV only."""
    names = {item.kind.index: item.kind.name for item in product.kinds}
    return {names.get(index, ""): encoder for (index, name), encoder in product.encoders.items() if name == message}


def run_build(product: CompiledProduct, build: GoldenBuild) -> list[Difference]:
    """Builds the message and says what is not as it should be: the frame, and values that are not in it."""
    form = product.variants.get(build.variant, product) if build.variant else product
    encoders = encoders_of(form, build.message)
    encoder = encoders.get(build.frame) if build.frame else next(iter(encoders.values()), None)
    if encoder is None:
        return [Difference("message", f"a frame of `{build.message}`", ", ".join(encoders) or "no kind of frame")]
    for path, known in strangers(encoder.nodes, build.values):
        return [Difference(path, "a value of the message", f"no row of this name; there are {', '.join(known)}")]
    zone_s = zone_of(build.zone) if build.zone else form.zone_s
    wanted = build.wire
    try:
        received_ms = unix_ms_from_iso(build.received_at) if build.received_at else arrival_of(encoder, build.values)
        session = {"received": received_ms / 1000} if received_ms else {}
        fill = not form.spec.messages[build.message].downlink
        wire = encoder.encode(build.values, zone_s, fill=fill, session=session)
        if wire != wanted:
            return [_difference(wanted, wire, text=build.text is not None)]
        context = SessionContext(received_ms=received_ms, zone_s=zone_s)
        lost = lost_values(encoder, wire, build.values, context, zone_s)
    except (EncodeError, DecodeError) as error:
        return [Difference("frame", "a frame that is built and read again", str(error))]
    return [Difference(each.field, each.wanted, each.found) for each in lost]


def _difference(wanted: bytes, built: bytes, *, text: bool) -> Difference:
    pairs = enumerate(zip(wanted, built, strict=False))
    place = next((at for at, (one, other) in pairs if one != other), min(len(wanted), len(built)))
    if text:
        return Difference(f"text from {place}", wanted.decode("utf-8", "replace"), built.decode("utf-8", "replace"))
    return Difference(f"hex from byte {place}", wanted.hex(), built.hex())
