from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.stripes import Stripes, hash_key_of, partition_key


def test_partition_key() -> None:
    assert partition_key("tenant/dev-1") == "tenant/dev-1"
    assert partition_key("x" * 256) == "x" * 256
    for lane in ("x" * 257, "é" * 129, "😀" * 65, ""):
        key = partition_key(lane)
        assert len(key) == 64
        assert key == partition_key(lane)
    assert partition_key("x" * 257) != partition_key("x" * 258)


@given(lane=st.text(), bits=st.integers(0, 10))
def test_a_stripe_is_the_slice_of_hash_keys_in_which_the_lane_lies(lane: str, bits: int) -> None:
    stripes = Stripes(1 << bits)
    hash_key = int.from_bytes(hashlib.md5(partition_key(lane).encode()).digest())
    assert hash_key_of(lane) == hash_key
    assert stripes.of(lane) == hash_key >> (128 - bits)
    middle = int(stripes.hash_keys[stripes.of(lane)])
    width = 1 << (128 - bits)
    assert abs(middle - hash_key) <= width // 2
    assert middle % width == width // 2


def test_hash_keys_are_in_range_and_different() -> None:
    for count in (1, 2, 64, 1024):
        keys = [int(key) for key in Stripes(count).hash_keys]
        assert keys == sorted(set(keys))
        assert len(keys) == count
        assert 0 <= keys[0] <= keys[-1] < 1 << 128


@pytest.mark.parametrize("count", [0, -1, 3, 2048])
def test_only_powers_of_two(count: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Stripes(count)
