"""Claims become a scope by the issuer's rule."""

from __future__ import annotations

import pytest

from gateway.access.scopes import Call, Scope
from gateway.access.token_scopes import TokenRule, token_scope, token_subject

RULE = TokenRule(
    "https://issuer.example",
    {"ADMIN": frozenset({Call.OPERATE}), "push data": frozenset({Call.INGEST}), "all": frozenset(Call)},
    scope=Scope.of(["admin"], ["prod-a"], ["truck-*"], "acme"),
)


@pytest.mark.parametrize(
    ("claims", "calls"),
    [
        ({}, set()),
        ({"scope": "openid iotlink/ingest iotlink/read"}, {Call.INGEST, Call.READ}),
        ({"scope": ["iotlink/ingest"]}, {Call.INGEST}),
        ({"scp": "iotlink/admin"}, {Call.ADMIN}),
        ({"scope": "ingest iotlink/ iotlink/write IOTLINK/ingest"}, set()),
        ({"cognito:groups": ["ADMIN", "others"]}, {Call.OPERATE}),
        ({"roles": ["push data"]}, {Call.INGEST}),
        ({"roles": "push data"}, set()),  # as a text these are two words
        ({"groups": ["all"]}, set(Call)),
        ({"scope": "ADMIN"}, {Call.OPERATE}),
        ({"groups": ["iotlink/admin"]}, set()),  # the prefix is of scopes: anybody may name a group so
        ({"roles": {"ADMIN": True}, "scope": 5, "groups": [None, 7, ["all"]]}, set()),
        ({"roles": ["x"] * 1_000 + ["ADMIN"]}, set()),
    ],
)
def test_words_of_a_token(claims: dict[str, object], calls: set[Call]) -> None:
    scope = token_scope(claims, RULE)
    assert scope.calls == calls
    assert (scope.products, scope.tenant) == (frozenset({"prod-a"}), "acme")
    assert scope.has_device("truck-1")
    assert not scope.has_device("van")


def test_without_a_prefix_only_roles_count() -> None:
    assert token_scope({"scope": "ingest iotlink/ingest"}, TokenRule("i", prefix="")).calls == set()


@pytest.mark.parametrize(
    ("claims", "subject"),
    [
        ({"sub": "u1", "client_id": "c1"}, "u1"),
        ({"client_id": "c1"}, "c1"),
        ({"azp": "a1"}, "a1"),
        ({"sub": "", "client_id": 5}, ""),
        ({"sub": "x" * 257}, ""),
        ({"sub": "a\nb"}, ""),
        ({}, ""),
    ],
)
def test_whom_a_token_names(claims: dict[str, object], subject: str) -> None:
    assert token_subject(claims) == subject
