"""Whole runs against real gateways: every frame that was acknowledged is in the sink."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from decoders.catalog import Catalog
from loadtest.faults.processes import RunFailed
from loadtest.fleet import ground
from loadtest.fleet.limits import NotAllowed
from loadtest.fleet.report import html
from loadtest.fleet.rig import Rig
from loadtest.fleet.runner import Others, run
from tests.loadtest.fleet.runs import small

pytestmark = pytest.mark.e2e


async def test_all_faces_balance(tmp_path: Path, proven: Catalog) -> None:
    outcome = await run(small(), proven, tmp_path)
    assert outcome.holds, (outcome.problems, outcome.balance)
    balance = outcome.balance
    assert balance.sent == balance.acknowledged == balance.arrived
    assert 438 <= balance.sent <= 442  # 2.2 s at 200 a second
    assert (balance.lost, balance.disordered, balance.repeated, balance.resent) == (0, 0, 0, 0)
    assert {name for name, one in outcome.answers.items() if one.count} == {"tcp", "mqtt", "rest"}
    assert outcome.until_sink.count == sum(one.count for one in outcome.answers.values()) >= 400
    assert outcome.counts["idle"]["connected"] == 5
    assert outcome.resources.frames > 0
    assert outcome.resources.rss_end_mib > 1
    assert outcome.resources.idle_kib is not None
    assert outcome.samples
    ElementTree.fromstring(html(outcome).partition("\n")[2])


async def test_an_outage_and_a_reconnect_lose_nothing(
    tmp_path: Path, proven: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "PORTS_OF_ADDRESS", 10)  # devices come from 127.0.0.2 to 127.0.0.5
    scenario = small(
        gateway={"sink": "kinesis", "shards": 2},
        events=[
            {"do": "sink_away", "at_s": 0.3, "for_s": 0.9},
            {"do": "reconnect", "at_s": 0.6, "share": 0.5, "within_s": 0.3},
        ],
    )
    outcome = await run(scenario, proven, tmp_path)
    assert outcome.holds, (outcome.problems, outcome.balance)
    assert outcome.balance.sent == outcome.balance.acknowledged == outcome.balance.arrived
    assert sorted(one.what for one in outcome.happened) == ["22 connections cut, back within 0.3 s", "sink away"]
    assert outcome.back_s is not None
    assert all(one.until_s is not None for one in outcome.happened)
    assert outcome.until_sink.count > 0


async def test_gateways_of_others_are_compared_with_their_files(tmp_path: Path, proven: Catalog) -> None:
    scenario = small(load=[{"seconds": 1.0, "rate": 100.0}])
    async with Rig(scenario, tmp_path, scenario.fleet.tcp.products) as theirs:
        others = Others(theirs.front, theirs.key, theirs.record_folders)
        outcome = await run(scenario, proven, tmp_path, others)
        assert outcome.holds, (outcome.problems, outcome.balance)
        assert outcome.checked
        assert outcome.balance.arrived == outcome.balance.acknowledged > 0
        assert outcome.resources.cpu_s_per_100k is None
        strangers = small(fleet={"tcp": {"devices": 0}, "idle": 0}, settle_s=2.0)
        unseen = await run(strangers, proven, tmp_path, Others(theirs.front, "x"))
        assert not unseen.checked
        assert "401" in next(iter(unseen.errors))  # that was no key
        assert not unseen.holds


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, "35 devices speak TCP"),
        ({"events": [{"do": "restart", "at_s": 1.0}]}, "`restart` is done only to gateways"),
    ],
)
async def test_what_others_cannot_be_asked_for(
    tmp_path: Path, proven: Catalog, more: dict[str, Any], reason: str
) -> None:
    with pytest.raises(NotAllowed, match=reason):
        await run(small(**more), proven, tmp_path, Others({"mqtt": ("127.0.0.1", 1883)}))


async def test_another_machine_must_be_meant(tmp_path: Path, proven: Catalog) -> None:
    with pytest.raises(NotAllowed, match="--allow-remote"):
        await run(small(), proven, tmp_path, Others({"tcp": ("192.0.2.1", 5023)}))


async def test_a_gateway_that_does_not_start_ends_the_run(tmp_path: Path, proven: Catalog) -> None:
    with pytest.raises(RunFailed, match=r"did not start.*no_such_key"):
        await run(small(gateway={"settings": ["no_such_key=1"]}), proven, tmp_path)
