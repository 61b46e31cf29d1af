"""Every golden frame of the shipped products, read, built again and read again: how many come out with the same values.

What a frame holds and no value says (reserved bits, the spelling of a number) is lost on the way; figures may get
better, never worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from decoders.catalog import LoadedProduct
from decoders.encode import Encoder
from decoders.errors import DecodeError, EncodeError
from decoders.framing.framer import cut
from decoders.golden import GoldenCase
from decoders.layout import Value, walk
from decoders.product import CompiledProduct
from tests.decoders.spec.shipped import shipped

OTHERS = {
    "arwin_lrs": (0, 3),
    "coban_gps103": (0, 38),
    "concox_gt06": (1, 2),
    "dragino_lht65": (1, 2),
    "dragino_small": (1, 7),
    "dsmr_p1": (0, 4),
    "jtt_808": (0, 2),
    "khd": (0, 1),
    "milesight_at101": (0, 1),
    "milesight_em300_th": (0, 1),
    "milesight_ts302": (0, 2),
    "ruptela": (0, 5),
    "sinotrack_h02": (4, 35),
    "teltonika_codec8": (1, 0),
    "tk103": (1, 8),
    "wmbus": (34, 6),
}
"""Products of which not all frames come out alike: how many cannot be built, how many have other values."""


def frames(loaded: LoadedProduct) -> Iterator[tuple[CompiledProduct, GoldenCase, Encoder, dict[str, Any]]]:
    """Frames of bytes or text that can be read, with what builds their message, and their values."""
    for case in (case for file in loaded.golden.values() for case in file.cases):
        form = loaded.product.variants[case.variant] if case.variant else loaded.product
        if case.error or form.body_codec(case.wire, text=case.text is not None) is not None:
            continue
        decoded = form.read(case.wire, case.context(), text=case.text is not None)
        encoder = form.encoders.get((cut(form.framing, case.wire).kind.index, decoded.message.name))
        if encoder is not None:
            yield form, case, encoder, decoded.values


def built_again(form: CompiledProduct, case: GoldenCase, encoder: Encoder, values: dict[str, Any]) -> bool | None:
    """Whether the values are the same again; None for a frame that cannot be built."""
    context = case.context()
    zone_s = form.zone_s if context.zone_s is None else context.zone_s
    try:
        wire = encoder.encode(values, zone_s, fill=True)
    except EncodeError:
        return None
    try:
        found = form.read(wire, case.context()).values
    except DecodeError:
        return False
    computed = {node.name for node in walk(encoder.nodes) if isinstance(node, Value) and node.check is not None}
    return all(found.get(name) == values.get(name) for name in {*found, *values} - computed)


def test_frames_are_built_with_the_values_that_they_were_read_as() -> None:
    worse = {}
    for product_id, loaded in shipped().items():
        outcomes = [built_again(form, case, encoder, values) for form, case, encoder, values in frames(loaded)]
        figures = outcomes.count(None), outcomes.count(False)
        known = OTHERS.get(product_id, (0, 0))
        if figures[0] > known[0] or figures[1] > known[1]:
            worse[product_id] = figures
    assert worse == {}
