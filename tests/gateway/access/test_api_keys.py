"""Keys: their form, their hash, and a comparison that tells nothing."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.api_keys import CLIENT_ID, client_id_of, digest_of_hex, hash_api_key, is_one_of, make_api_key

RANDOM = "A-_" + "x" * 40


@given(st.from_regex(CLIENT_ID, fullmatch=True))
def test_a_key_says_whose_it_is(client_id: str) -> None:
    key = make_api_key(client_id)
    assert key.startswith(f"iotlink_{client_id}_")
    assert len(key) == len(client_id) + 52
    assert client_id_of(key) == client_id
    assert make_api_key(client_id) != key


@pytest.mark.parametrize(
    ("key", "client_id"),
    [
        (f"iotlink_erp_{RANDOM}", "erp"),
        (f"iotlink_a_b_{RANDOM}", "a_b"),
        (f"iotlink_a_{'_' * 43}", "a"),
        (f"iotlink_{'a' * 128}_{RANDOM}", "a" * 128),
        (f"iotlink_{'a' * 129}_{RANDOM}", ""),
        (f"iotlink_erp_{RANDOM}x", ""),  # 44 random characters: `erp` is not followed by a key
        (f"iotlink_erp_{RANDOM[:-1]}", ""),
        (f"iotlink_erp_{RANDOM}\n", ""),
        (f"iotlink_erp_{RANDOM[:-1]}=", ""),
        (f"iotlink__{RANDOM}", ""),
        (f"iotlink_{RANDOM}", ""),
        (f"iotlink_é_{RANDOM}", ""),
        (f"Iotlink_erp_{RANDOM}", ""),
        (f" iotlink_erp_{RANDOM}", ""),
        ("", ""),
    ],
)
def test_what_is_a_key(key: str, client_id: str) -> None:
    assert client_id_of(key) == client_id


@pytest.mark.parametrize("client_id", ["", "_a", "a_", "-a", "a b", "é", "a/b", "a:b", "a" * 129])
def test_ids_that_cannot_stand_in_a_key(client_id: str) -> None:
    with pytest.raises(ValueError, match="1 to 128 letters"):
        make_api_key(client_id)


def test_the_hash_is_of_the_whole_key() -> None:
    key = make_api_key("erp")
    assert hash_api_key(key) == hashlib.sha256(key.encode("ascii")).digest()


def test_hashes_in_hex() -> None:
    assert digest_of_hex("0A" * 32) == b"\x0a" * 32
    for text in ("", "0a" * 31, "0a" * 33, "0g" * 32, " " + "0a" * 32, "0a " * 32):
        with pytest.raises(ValueError, match="64 hex digits"):
            digest_of_hex(text)


def test_among_several() -> None:
    one, two, three = (hash_api_key(make_api_key("erp")) for _ in range(3))
    assert is_one_of(one, [one])
    assert is_one_of(two, [one, two])
    assert not is_one_of(three, [one, two])
    assert not is_one_of(one, [])


@pytest.mark.parametrize("known", [0, 1, 3])
@pytest.mark.parametrize("right", [0, 2, 9])
def test_comparing_takes_the_same_time_whatever_is_wrong(
    monkeypatch: pytest.MonkeyPatch, known: int, right: int
) -> None:
    """Every hash is compared, by `hmac.compare_digest`, and one more, so that who has no key takes time too."""
    compared: list[bytes] = []

    def compare(digest: bytes, one: bytes) -> bool:
        compared.append(one)
        return digest == one

    monkeypatch.setattr(hmac, "compare_digest", compare)
    hashes = [hash_api_key(str(number)) for number in range(known)]
    assert is_one_of(hash_api_key(str(right)), hashes) is (right < known)
    assert compared[:-1] == hashes
    assert len(compared) == known + 1
