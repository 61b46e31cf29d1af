from __future__ import annotations

import asyncio
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from structlog.testing import capture_logs

from gateway.access.jwks import MAX_JWKS_BYTES, KeyFetchError, KeyStore
from tests.gateway.access.tokens import EC_KEY, OTHER_RSA_KEY, RSA_KEY, jwk, jwks


class Source:
    """Gives what a test puts into it, when the test says so."""

    def __init__(self, data: bytes | Exception = b"") -> None:
        self.data = data
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self) -> bytes:
        self.asked += 1
        await self.open.wait()
        if isinstance(self.data, Exception):
            raise self.data
        return self.data


class Clock:
    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


async def loaded(*keys: dict[str, str]) -> KeyStore:
    store = KeyStore(Source(jwks(*keys)), "here", Clock())
    assert await store.refresh() == ""
    return store


async def test_a_key_is_found_by_its_id_and_algorithm() -> None:
    store = await loaded(jwk(RSA_KEY, "r1"), jwk(OTHER_RSA_KEY, "r2", alg="RS256", use="sig"), jwk(EC_KEY, "e"))
    assert store.find("r1", "RS256") is not store.find("r2", "RS256")
    assert store.find("e", "ES256") is not None
    assert store.find("e", "RS256") is store.find("r3", "RS256") is store.find("", "RS256") is None
    assert store.find("", "ES256") is store.find("e", "ES256")  # no other could be meant
    assert store.find("other", "ES256") is None


async def test_a_lone_key_without_an_id_serves_every_token() -> None:
    store = await loaded(jwk(RSA_KEY))
    assert store.find("any", "RS256") is store.find("", "RS256") is not None
    store = await loaded(jwk(RSA_KEY), jwk(OTHER_RSA_KEY))
    assert store.find("any", "RS256") is None


SMALL = rsa.generate_private_key(65_537, 1_024)
P384 = {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}


@pytest.mark.parametrize(
    "key",
    [
        jwk(SMALL),
        jwk(RSA_KEY, use="enc"),
        jwk(RSA_KEY, alg="RS512"),
        jwk(RSA_KEY, alg="PS256"),
        P384,
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "new"},
        {},
    ],
)
async def test_keys_for_something_else_are_passed_over(key: dict[str, str]) -> None:
    assert (await loaded(key, jwk(EC_KEY, "e"))).find("", "RS256") is None
    source = Source(jwks(key))
    assert "no signing key" in await KeyStore(source, "here", Clock()).refresh()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no JSON"),
        (b"<html>", "no JSON"),
        (b"[]", "list `keys`"),
        (b'{"keys": {}}', "list `keys`"),
        (b'{"keys": []}', "no signing key"),
        (b'{"keys": [1, null]}', "no signing key"),
        (jwks(*[jwk(EC_KEY)] * 65), "more than 64"),
        (jwks(jwk(RSA_KEY, "k7") | {"e": "!"}), "`k7` cannot be read"),
        (jwks(jwk(RSA_KEY, "k8") | {"e": 3}), "`k8` cannot be read"),
        (jwks(jwk(EC_KEY, "k9") | {"y": jwk(EC_KEY)["x"]}), "`k9` cannot be read"),  # no point of the curve
        (b" " * MAX_JWKS_BYTES + b"{}", "longer than"),
        (KeyFetchError("no route"), "no route"),
    ],
)
async def test_a_broken_answer_is_told_and_keeps_the_keys(data: bytes | Exception, words: str) -> None:
    source = Source(jwks(jwk(RSA_KEY, "r")))
    store = KeyStore(source, "https://issuer.example/keys", Clock())
    await store.refresh()
    source.data = data
    with capture_logs() as logs:
        assert words in await store.refresh()
    assert store.find("r", "RS256") is not None
    assert store.ready
    (line,) = logs
    assert line["event"] == "jwks_failed"
    assert line["source"] == "https://issuer.example/keys"
    assert line["keys_kept"] == 1


async def test_private_parts_are_not_kept() -> None:
    store = await loaded(jwk(RSA_KEY, "r") | {"d": "AQAB", "p": "AQAB"})
    key = store.find("r", "RS256")
    assert key is not None
    assert not key.is_private


async def test_keys_are_asked_for_at_most_once_a_minute_and_once_for_all_who_wait() -> None:
    clock, source = Clock(), Source(jwks(jwk(RSA_KEY, "r")))
    store = KeyStore(source, "here", clock)
    source.open.clear()
    done = [asyncio.Event(), asyncio.Event()]
    assert store.request(done[0].set)
    assert store.request(done[1].set)
    assert not store.ready
    source.open.set()
    await asyncio.wait_for(asyncio.gather(*(one.wait() for one in done)), 30)
    assert source.asked == 1
    assert store.ready
    clock.now += 59
    assert not store.request(done[0].set)
    clock.now += 1
    again = asyncio.Event()
    assert store.request(again.set)
    await asyncio.wait_for(again.wait(), 30)
    assert source.asked == 2


async def test_those_who_wait_are_told_of_a_failure_too() -> None:
    store = KeyStore(Source(KeyFetchError("no route")), "here", Clock())
    done = asyncio.Event()
    assert store.request(done.set)
    await asyncio.wait_for(done.wait(), 30)
    assert not store.ready


async def test_so_many_may_wait() -> None:
    source = Source(jwks(jwk(RSA_KEY)))
    source.open.clear()
    store = KeyStore(source, "here", Clock())
    told: list[int] = []
    assert all(store.request(lambda: told.append(1)) for _ in range(1_000))
    assert not store.request(lambda: told.append(2))
    last = asyncio.create_task(source.open.wait())
    source.open.set()
    await last
    store.close()


async def test_old_keys_are_asked_for_again_and_serve_on() -> None:
    clock, source = Clock(), Source(jwks(jwk(RSA_KEY, "r")))
    store = KeyStore(source, "here", clock)
    await store.refresh()
    store.freshen()
    assert source.asked == 1
    clock.now += 3_600
    source.data = jwks(jwk(EC_KEY, "e"))
    store.freshen()
    store.freshen()
    assert store.find("r", "RS256") is not None
    done = asyncio.Event()
    assert store.request(done.set)  # joins the one that is on its way
    await asyncio.wait_for(done.wait(), 30)
    assert source.asked == 2
    assert store.find("r", "RS256") is None
    assert store.find("e", "ES256") is not None


async def test_closing_ends_a_request() -> None:
    source = Source()
    source.open.clear()
    store = KeyStore(source, "here", Clock())
    done = asyncio.Event()
    assert store.request(done.set)
    store.close()
    await asyncio.wait_for(done.wait(), 30)  # whoever waited is answered all the same
    assert not store.ready


def test_the_vectors_are_what_they_say() -> None:
    assert json.loads(jwks(jwk(EC_KEY, "e")))["keys"][0]["crv"] == "P-256"
    assert isinstance(EC_KEY.curve, ec.SECP256R1)
