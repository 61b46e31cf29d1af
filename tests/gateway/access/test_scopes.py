"""What a scope allows, and the grant as a Speaker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.scopes import Call, DevicePatterns, RestGrant, Scope, ScopeRefusal
from gateway.devices.directory import FileDirectory
from gateway.domain.device import Device, DeviceKey, Principal
from gateway.domain.topic_message import Speaker


def grant(scope: Scope, **more: object) -> RestGrant:
    made = RestGrant(Principal("key", "erp"), "client:erp", scope, client_id="erp")
    for name, value in more.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("own", "also"),
    [
        (Call.INGEST, {Call.INGEST}),
        (Call.READ, {Call.READ}),
        (Call.OPERATE, {Call.OPERATE, Call.READ}),
        (Call.ADMIN, {Call.ADMIN, Call.OPERATE, Call.READ}),
    ],
)
def test_what_a_call_includes(own: Call, also: set[Call]) -> None:
    scope = Scope(frozenset({own}))
    assert {call for call in Call if scope.has_call(call)} == also


def test_a_client_may_send_unless_it_says_something_else() -> None:
    assert Scope().has_call(Call.INGEST)
    assert not Scope().has_call(Call.READ)
    assert Scope.of() == Scope()
    assert not any(Scope(frozenset()).has_call(call) for call in Call)


def test_device_patterns() -> None:
    patterns = DevicePatterns(["truck-*", "van", "truck-*"])
    assert patterns.texts == ("truck-*", "van")
    assert [patterns.match(name) for name in ("truck-1", "truck-", "van", "van2", "truck", "")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert DevicePatterns(["*"]).match("anything")
    assert not DevicePatterns([]).match("anything")
    assert patterns == DevicePatterns(["truck-*", "van"])
    assert len({patterns, DevicePatterns(["truck-*", "van"]), DevicePatterns(["x"])}) == 2
    assert repr(patterns) == "DevicePatterns(['truck-*', 'van'])"


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_a_prefix_is_a_prefix_and_nothing_else(prefix: str, rest: str) -> None:
    if not prefix.isprintable() or "*" in prefix:
        return
    patterns = DevicePatterns([prefix + "*"])
    assert patterns.match(prefix + rest)
    assert patterns.match(rest) == rest.startswith(prefix)
    assert DevicePatterns([prefix]).match(prefix + rest) == (not rest)


@pytest.mark.parametrize("pattern", ["a*b", "*a", "**", "", "a\n", "x" * 257])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(ValueError, match="device pattern"):
        DevicePatterns([pattern])


def test_words_of_a_configuration() -> None:
    scope = Scope.of(["read", "ingest"], ["b", "a"], ["x*"], "acme")
    assert scope.as_words() == {
        "scopes": ["ingest", "read"],
        "products": ["a", "b"],
        "devices": ["x*"],
        "tenant": "acme",
    }
    assert Scope.of(["ingest"], [], []).as_words() == {"scopes": ["ingest"], "products": [], "devices": []}
    assert Scope.of(**{"calls" if k == "scopes" else k: v for k, v in scope.as_words().items()}) == scope  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"calls": ["write"]}, "no scope `write`; there are ingest, read, operate, admin"),
        ({"calls": []}, "at least one scope"),
        ({"products": [""]}, "products: 1 to 256"),
        ({"products": [str(n) for n in range(10_001)]}, "at most 10000 products"),
        ({"tenant": "a\x00"}, "tenant: at most 128"),
        ({"tenant": "a" * 129}, "tenant: at most 128"),
    ],
)
def test_words_that_make_no_scope(given_: dict[str, list[str]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Scope.of(**given_)  # type: ignore[arg-type]


def test_what_a_grant_refuses() -> None:
    some = grant(Scope.of(["ingest"], ["prod-a"], ["truck-*"]))
    assert some.refusal(Call.INGEST) is None
    assert some.refusal(Call.INGEST, product="prod-a", device_id="truck-1") is None
    assert some.refusal(Call.READ, product="prod-a") is ScopeRefusal.CALL
    assert some.refusal(Call.INGEST, product="prod-b", device_id="truck-1") is ScopeRefusal.PRODUCT
    assert some.refusal(Call.INGEST, product="") is ScopeRefusal.PRODUCT
    assert some.refusal(Call.INGEST, product="prod-a", device_id="van") is ScopeRefusal.DEVICE
    all_of_them = grant(Scope())
    assert all_of_them.refusal(Call.INGEST, product="", device_id="anything") is None
    assert grant(Scope.of(["ingest"], [], None)).refusal(Call.INGEST, product="x") is ScopeRefusal.PRODUCT


def test_a_grant_is_a_speaker() -> None:
    speaker: Speaker = grant(Scope.of(devices=["truck-*"]), tenant="acme")
    assert (speaker.tenant, speaker.device_id) == ("acme", "")
    assert speaker.may_speak_for("truck-9")
    assert not speaker.may_speak_for("van")


def test_a_device_speaks_for_itself_and_its_children() -> None:
    child, other = Device(DeviceKey("acme", "child"), hub_id="hub"), Device(DeviceKey("acme", "other"), hub_id="h2")
    hub = grant(Scope(), device_id="hub", tenant="acme", directory=FileDirectory([child, other]))
    assert [hub.may_speak_for(name) for name in ("hub", "child", "other", "stranger")] == [True, True, False, False]
    assert not grant(Scope(), device_id="hub").may_speak_for("child")
