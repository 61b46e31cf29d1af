from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.access.denials import DenyCode
from gateway.access.jwt import KeysMissing, TokenRefused
from gateway.access.rest import TokenRefusal
from gateway.access.rest_denials import DenyReason
from gateway.access.rest_tokens import RestTokens


class FakeStore:
    """Answers at once, later never, or not at all."""

    def __init__(self, *, ready: bool, asks: bool = True, answers: bool = True) -> None:
        self.ready = ready
        self.asks = asks
        self.answers = answers

    def request(self, done: Callable[[], None]) -> bool:
        if self.asks and self.answers:
            done()
            done()
        return self.asks


class FakeVerifier:
    """Gives these one after the other."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)

    def claims(self, token: bytes) -> Any:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return None, outcome


async def verify(*outcomes: Any) -> Any:
    verifier: Any = FakeVerifier(*outcomes)
    return await RestTokens(verifier, wait_s=0.01).verify("eyJ")


def missing(**more: bool) -> KeysMissing:
    store: Any = FakeStore(**{"ready": True, **more})
    return KeysMissing(store)


async def test_claims_come_at_once_or_once_the_keys_are_there() -> None:
    assert await verify({"sub": "a"}) == {"sub": "a"}
    assert await verify(missing(), {"sub": "a"}) == {"sub": "a"}


@pytest.mark.parametrize("code", [code for code in DenyCode if code.value.startswith("token_")])
async def test_refusals_keep_their_code(code: DenyCode) -> None:
    with pytest.raises(TokenRefusal) as caught:
        await verify(TokenRefused(code))
    assert caught.value.reason.value == code.value


@pytest.mark.parametrize(
    ("outcomes", "reason"),
    [
        ([missing(), missing()], DenyReason.TOKEN_KEY),
        ([missing(asks=False)], DenyReason.TOKEN_KEY),
        ([missing(ready=False, asks=False)], DenyReason.KEYS_UNAVAILABLE),
        ([missing(ready=False, answers=False)], DenyReason.KEYS_UNAVAILABLE),
    ],
)
async def test_keys_that_do_not_come(outcomes: list[Any], reason: DenyReason) -> None:
    with pytest.raises(TokenRefusal) as caught:
        await verify(*outcomes)
    assert caught.value.reason is reason
