from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from decoders.product import CompiledProduct
from gateway.domain.device import Device, DeviceKey
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.uplink import Uplink
from gateway.protocol.ack_order import AckOrder
from tests.gateway.fakes import LineProduct

PRODUCT: CompiledProduct = LineProduct()
DEVICE = Device(DeviceKey("", "d"))


def make_uplink(number: int) -> Uplink:
    raw = b"x" * (number + 1)
    return Uplink(str(number), raw, 0, PRODUCT, DEVICE, Receipt(), "l", "s")


def test_a_settled_uplink_waits_for_those_before_it() -> None:
    order = AckOrder()
    first, second, third = (make_uplink(n) for n in range(3))
    for uplink in (first, second, third):
        order.put(uplink)
    second.receipt.outcome = Outcome.ACCEPTED
    assert order.take_settled() == []
    first.receipt.outcome = Outcome.REFUSED
    assert order.take_settled() == [first, second]
    assert order.take_settled() == []
    assert (len(order.waiting), order.waiting_bytes) == (1, 3)


def test_clear_forgets_all() -> None:
    order = AckOrder()
    order.put(make_uplink(4))
    order.clear()
    assert (len(order.waiting), order.waiting_bytes) == (0, 0)


@given(st.integers(1, 30).flatmap(lambda n: st.permutations(range(n))), st.data())
def test_whatever_the_order_of_settling_uplinks_leave_in_order_of_arrival(
    settle: list[int], data: st.DataObject
) -> None:
    order = AckOrder()
    uplinks = [make_uplink(n) for n in range(len(settle))]
    left: list[Uplink] = []
    arrived = 0
    for index in settle:
        while arrived <= index or (arrived < len(uplinks) and data.draw(st.booleans())):
            order.put(uplinks[arrived])
            arrived += 1
        uplinks[index].receipt.outcome = Outcome.ACCEPTED
        run = order.take_settled()
        left += run
        assert order.waiting_bytes == sum(len(uplink.raw) for uplink in order.waiting)
        assert not order.waiting or order.waiting[0].receipt.outcome is None
    assert left == uplinks
    assert order.waiting_bytes == 0
