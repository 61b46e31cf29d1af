"""What operators see of the delivery."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gateway.delivery.watch import DeliveryWatch
from gateway.domain.errors import SinkError
from gateway.observe.health import ComponentHealth, State
from gateway.observe.metrics import Metrics

if TYPE_CHECKING:
    from tests.gateway.delivery.conftest import Ledger, RecordFactory, RigFactory, ScriptedSink

ARRIVED_MS = 1_772_323_200_000


def samples(watch: DeliveryWatch) -> dict[str, float]:
    families = (family for family in watch.metrics() if family.name != "iotlink_outbox_waiting")
    return {f"{s.name}{{{s.labels['sink']}}}": s.value for family in families for s in family.samples}


async def test_a_sink_that_is_down_is_seen_and_makes_nothing_unready(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    watch = DeliveryWatch(["scripted"], lambda: ARRIVED_MS + 7_500, Metrics())
    assert watch.sinks_health() == ComponentHealth()
    assert watch.problem() is None
    assert set(samples(watch).values()) == {0}
    fifo_sink.script += [SinkError("no route to host", code="connection")] * 10_000
    async with rig(fifo_sink, drain_s=0) as r:
        watch.outbox = r.outbox
        r.outbox.put(ledger.receipt(), [make_record(size=300) for _ in range(4)])
        await ledger.wait()
        await r.until(lambda: watch.sinks_health().state is State.DEGRADED)
        error = "connection: no route to host"
        assert watch.sinks_health() == ComponentHealth(
            State.DEGRADED,
            f"scripted: {error}",
            parts={"scripted": ComponentHealth(State.DOWN, error, {"backlog_records": 4})},
        )
        assert samples(watch) == {
            "iotlink_sink_backlog_records{scripted}": 4,
            "iotlink_sink_oldest_seconds{scripted}": 7.5,
            "iotlink_sink_window_bytes{scripted}": 1200,
        }
        assert watch.problem() is None
        fifo_sink.script.clear()
        await r.until(lambda: watch.sinks_health().state is State.OK)
        await r.until_delivered()
        assert set(samples(watch).values()) == {0}


async def test_a_full_spool_is_a_problem(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    watch = DeliveryWatch(["scripted"], lambda: ARRIVED_MS, Metrics())
    fifo_sink.gate.clear()
    async with rig(fifo_sink, max_bytes=400_000, segment_bytes=50_000, drain_s=0) as r:
        watch.outbox = r.outbox
        r.outbox.on_room(watch.on_room)
        with capture_logs() as lines:
            while r.outbox.has_room():
                r.outbox.put(ledger.receipt(), [make_record(size=5_000)])
                await ledger.wait()
            assert str(watch.problem()).startswith("full: ")
            fifo_sink.gate.set()
            await r.until(r.outbox.has_room)
        assert [line["event"] for line in lines if line["event"].startswith("spool_")] == [
            "spool_full",
            "spool_has_room",
        ]


async def test_a_full_disk_is_named_with_its_place(
    rig: RigFactory,
    fifo_sink: ScriptedSink,
    ledger: Ledger,
    make_record: RecordFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    watch = DeliveryWatch(["scripted"], lambda: ARRIVED_MS, Metrics())
    async with rig(fifo_sink) as r:
        watch.outbox = r.outbox
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", full)
            r.outbox.put(ledger.receipt(), [make_record()])
            await ledger.wait()
            assert str(watch.problem()).startswith(f"disk full: {r.spool.directory}: ")
