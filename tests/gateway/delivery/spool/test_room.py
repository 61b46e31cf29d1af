from __future__ import annotations

from gateway.delivery.spool.room import UNCOMMITTED_HIGH_BYTES, UNCOMMITTED_MAX_BYTES, Room


def watched(max_bytes: int) -> tuple[Room, list[bool]]:
    room, calls = Room(max_bytes), list[bool]()
    room.callbacks.append(calls.append)
    return room, calls


def test_the_door_closes_below_the_cap_and_opens_at_three_quarters() -> None:
    room, calls = watched(800)
    assert room.take(699)
    assert room.is_open
    assert room.take(1)
    assert not room.is_open
    assert room.take(100), "who was reading may bring the rest"
    assert not room.take(1)
    room.give_back(800)
    room.update(601)
    assert not room.is_open
    room.update(600)
    assert room.is_open
    assert calls == [False, True]


def test_bytes_in_memory_have_marks_of_their_own() -> None:
    room, calls = watched(1 << 40)
    assert room.take(UNCOMMITTED_HIGH_BYTES)
    assert room.take(UNCOMMITTED_MAX_BYTES - UNCOMMITTED_HIGH_BYTES)
    assert not room.take(1)
    room.give_back(UNCOMMITTED_MAX_BYTES - UNCOMMITTED_HIGH_BYTES // 2)
    room.update(0)
    assert calls == [False, True]


def test_a_full_disk_closes_the_door_until_it_says_otherwise() -> None:
    room, calls = watched(800)
    room.disk_full = True
    room.update(0)
    assert not room.take(1)
    room.disk_full = False
    room.update(0)
    assert room.take(1)
    assert calls == [False, True]
