from __future__ import annotations

import itertools

import pytest

from decoders.catalog import Catalog
from loadtest.faults.processes import RunFailed
from loadtest.fleet import crowd as crowd_module
from loadtest.fleet.balance import SinkBalance
from loadtest.fleet.crowd import Crowd
from loadtest.fleet.ground import Ground
from loadtest.fleet.speech import NothingToSay
from tests.loadtest.fleet.playground import ground
from tests.loadtest.fleet.runs import small


def made(catalog: Catalog, **fleet: object) -> Crowd:
    return Crowd(small(fleet=fleet).fleet, catalog, Ground(1), SinkBalance())


def test_every_device_has_an_id_of_its_own(proven: Catalog) -> None:
    crowd = made(proven)
    assert len({numbers.device_id for numbers in crowd.numbers}) == 50


def test_frames_are_spread_over_the_faces_by_their_shares(proven: Catalog) -> None:
    crowd = made(proven, rest={"devices": 10, "share": 0.0})
    for moment in range(80):
        next(crowd._turn).send(float(moment))
    sent = {face: crowd.tallies[face].sent for face in ("tcp", "mqtt", "rest")}
    assert sent == {"tcp": 60, "mqtt": 20, "rest": 0}
    each = [numbers.sent for numbers in crowd.numbers[:40]]
    assert each == [2] * 40  # each face's devices in turn


def test_a_product_that_has_nothing_to_say_is_named(proven: Catalog) -> None:
    with pytest.raises(NothingToSay, match="elsys"):
        made(proven, tcp={"devices": 1, "products": ["elsys"]})


async def test_who_is_not_let_in_ends_the_run(proven: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd_module, "GUARD_S", 0.0)
    async with ground(tcp=1, mqtt=1, rest=1) as shared:  # nobody listens on port 1
        fleet = small(fleet={"connect_per_s": 100_000.0, "mqtt": {"devices": 0}, "rest": {"devices": 0}}).fleet
        crowd = Crowd(fleet, proven, shared, SinkBalance())
        with pytest.raises(RunFailed, match="0 of 30 devices were let in"):
            await crowd.connect_all()
        await crowd.leave()


def test_random_ids_do_not_repeat_over_products(proven: Catalog) -> None:
    crowd = made(proven, tcp={"devices": 40, "products": ["concox_gt06", "jtt_808"]})
    ids = [numbers.device_id for numbers in crowd.numbers[:40]]
    assert len(set(ids)) == 40
    assert all(one != other for one, other in itertools.pairwise(ids))
