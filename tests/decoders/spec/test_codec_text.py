from __future__ import annotations

from decoders.spec.codec_text import construct_text, generated_text
from tests.decoders.sensor import compiled, loaded
from tests.decoders.spec.shipped import shipped
from tests.decoders.spec.test_show import STRUCTURES


def test_the_constructs_are_shown_as_they_are_nested() -> None:
    lines = construct_text(compiled(STRUCTURES)).splitlines()
    assert "  m (at least 2 bytes)" in lines  # the two that are always there
    assert "    items: Array(count)" in lines
    assert "      rest: BytesInteger(2, swapped)" in lines
    assert "    Switch(count)" in lines
    assert "    If(count > 1)" in lines
    assert "    TagList(key=BytesInteger(1), unknown=skip)" in lines
    sensor = construct_text(compiled())
    assert "start: Const(0xA5, BytesInteger(1))" in sensor
    assert "check crc16_modbus, frame[1:-2]" in sensor


def test_the_generated_source_is_that_of_the_fused_codec() -> None:
    product = compiled()
    fused = product.kinds[0].fused
    assert fused is not None
    assert fused.source in generated_text(product)
    assert "none: asked for construct" in generated_text(loaded(codec="construct").product)


def test_every_product_has_both() -> None:
    for item in shipped().values():
        assert item.product.id in construct_text(item.product)
        assert "def decode" in generated_text(item.product) or "# none" in generated_text(item.product)
