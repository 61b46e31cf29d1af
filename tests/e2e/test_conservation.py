"""Received = accepted + duplicate + dead-lettered + refused + in flight: in every scrape, under load, on all faces."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.domain.receipt import Outcome
from loadtest.fake_kinesis import FakeKinesis
from tests.deploy.live_gateway import PER_ROUND, all_faces, scrape, talk
from tests.e2e.rig import RunningGateway, Samples, aws_credentials, kinesis_sink, until

pytestmark = pytest.mark.e2e

ROUNDS = 25


async def scraped(rig: RunningGateway) -> Samples:
    return Samples(text_string_to_metric_families(await scrape(rig)))


def unaccounted(samples: Samples) -> int:
    """The expression of `iotlink:uplinks_unaccounted`."""
    received, settled = (samples.total(f"iotlink_uplinks_{name}_total") for name in ("received", "settled"))
    return received - settled - samples.total("iotlink_outbox_waiting")


async def watch(rig: RunningGateway, until_done: asyncio.Event) -> list[Samples]:
    found = []
    while not until_done.is_set():
        found.append(await scraped(rig))
    return found


@pytest.mark.parametrize("ack_on", ["spool", "sink"])
async def test_it_holds_in_every_scrape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ack_on: str) -> None:
    for name, value in aws_credentials().items():
        monkeypatch.setenv(name, value)
    async with FakeKinesis() as kinesis:
        kinesis.create_stream("telemetry")
        kinesis.faults.delay_s = 0.02  # so that there is something in flight to be seen
        settings = all_faces(tmp_path, ack_on=ack_on, sinks=kinesis_sink(kinesis.url))
        async with RunningGateway(tmp_path, settings) as rig:
            done = asyncio.Event()
            watching = asyncio.create_task(watch(rig, done))
            await talk(rig, ROUNDS)
            done.set()
            seen = await watching
            await rig.settled(ROUNDS * PER_ROUND)
            assert all(unaccounted(samples) <= 0 for samples in seen)
            assert any(samples.total("iotlink_uplinks_in_flight") for samples in seen)
            assert any(samples.total("iotlink_outbox_waiting") for samples in seen)
            await until(lambda: rig.total("iotlink_outbox_waiting") == 0, "nothing waits")
            last = await scraped(rig)
            assert unaccounted(last) == 0
            outcomes = {
                outcome.value: last.total("iotlink_uplinks_settled_total", outcome=outcome) for outcome in Outcome
            }
            assert outcomes == {
                "accepted": ROUNDS * 5,
                "duplicate": ROUNDS,
                "dead_lettered": ROUNDS * 3,
                "refused": ROUNDS * 3,
            }
            assert sum(outcomes.values()) == last.total("iotlink_uplinks_received_total") == ROUNDS * PER_ROUND


async def test_an_uplink_that_was_forgotten_is_seen(tmp_path: Path) -> None:
    """A mistake of ours, played: an uplink is counted and its receipt is dropped."""
    async with RunningGateway(tmp_path, all_faces(tmp_path)) as rig:
        await talk(rig)
        await rig.settled(PER_ROUND)
        traffic = rig.gateway.metrics.traffic("rest", "unknown")
        traffic.received += 1
        assert unaccounted(await scraped(rig)) == 1
        traffic.received -= 1
