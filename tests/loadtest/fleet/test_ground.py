from __future__ import annotations

import asyncio

from loadtest.fleet.ground import PORTS_OF_ADDRESS, Ground, sources


def test_few_connections_come_from_wherever_the_system_says() -> None:
    assert sources(3, loopback=True) == [None] * 3


def test_many_come_from_several_addresses() -> None:
    found = sources(2 * PORTS_OF_ADDRESS + 1, loopback=True)
    counts: dict[str, int] = {}
    for source in found:
        assert source is not None
        counts[source[0]] = counts.get(source[0], 0) + 1
    assert counts == {"127.0.0.2": PORTS_OF_ADDRESS, "127.0.0.3": PORTS_OF_ADDRESS, "127.0.0.4": 1}


def test_another_machine_sees_one_address_of_ours() -> None:
    assert sources(PORTS_OF_ADDRESS + 1, loopback=False) == [None] * (PORTS_OF_ADDRESS + 1)


async def test_the_end_ends_what_is_under_way() -> None:
    ground, ended = Ground(1), asyncio.Event()

    async def connecting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    ground.spawn(connecting(), "connecting")
    await asyncio.sleep(0)
    await ground.end()
    assert ended.is_set()
    assert ground.ended


def test_chance_is_the_same_for_a_seed() -> None:
    assert Ground(5).backoff_s() == Ground(5).backoff_s()
