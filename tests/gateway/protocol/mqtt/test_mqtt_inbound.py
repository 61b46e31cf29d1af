"""An Inbound is a Receipt in every field, though it sets them itself."""

from __future__ import annotations

from gateway.domain.receipt import Receipt
from gateway.protocol.mqtt.inbound import Inbound


def test_it_has_every_field_of_a_receipt() -> None:
    plain, inbound = Receipt(), Inbound(lambda receipt: None, None, None, 0)
    for name in Receipt.__slots__:
        if name != "on_settled":
            assert getattr(inbound, name) == getattr(plain, name), name
