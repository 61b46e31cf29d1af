from __future__ import annotations

from gateway.ingress.tcp import ListenerOptions
from tests.gateway.fakes import LineProduct
from tests.gateway.ingress.rig import Rig


async def test_a_frame_becomes_a_record_and_is_answered() -> None:
    async with Rig() as rig:
        peer = await rig.log_in("dev-1")
        peer.send(b"D1\nH\n")
        assert await peer.read_exactly(5) == b"d1\nh\n"
        (record,) = rig.outbox.records
        assert (record.lane, record.received_ms) == ("dev-1", rig.clock.now_ms)


async def test_several_listeners_have_their_own_products_and_tenants() -> None:
    rig = Rig()
    options = ListenerOptions("second", "127.0.0.1", 0, tenant="acme")
    second = rig.server.add(options, lambda: [LineProduct("other")])
    async with rig:
        await rig.log_in("dev-1")
        peer = await rig.connect(to=second)
        peer.send(b"Ldev-1\nD1\n")
        assert await peer.read_exactly(10) == b"ldev-1\nd1\n"
        assert [record.lane for record in rig.outbox.records] == ["acme/dev-1"]
        assert (rig.listener.connections, second.connections) == (1, 1)
        assert rig.metrics.traffic("second", "other").received == 2
