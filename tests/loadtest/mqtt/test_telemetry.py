"""The messages of the load: of the size that is promised, understood by the product, each with its number."""

from __future__ import annotations

import pytest

from decoders.framing.framer import cut
from decoders.types import SessionContext
from gateway.specs import load_catalog
from loadtest.faults.fleet import number_of
from loadtest.mqtt.telemetry import PAYLOAD_BYTES, PRODUCT, fresh, numbered, topic


def test_every_message_has_100_bytes() -> None:
    messages = [*fresh(200), *(numbered(number) for number in (1, 59, 4_000, 10_000_000))]
    assert {len(message) for message in messages} == {PAYLOAD_BYTES}
    assert len(set(messages)) == len(messages)


@pytest.mark.parametrize("number", [1, 59, 4_000, 10_000_000])
def test_a_record_names_its_message(number: int) -> None:
    product = load_catalog(only=[PRODUCT]).find(PRODUCT).product
    decoded = product.decode(cut(product.framing, numbered(number) + b"\n"), SessionContext("d"))
    [part] = product.parts(decoded)
    assert number_of(part.device_time) == number
    assert part.metrics.keys() == {"tempC", "rpm"}
    assert decoded.violations is None


def test_the_topic_names_the_device() -> None:
    assert topic("d-1") == "devices/d-1/telemetry"
