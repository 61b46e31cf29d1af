from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given

from gateway.protocol.mqtt.packets import MqttError, ReasonCode
from gateway.protocol.mqtt.topics import (
    MAX_LEVELS,
    TopicCache,
    covers,
    fill,
    filter_problem,
    matches,
    name_problem,
    rule_problem,
    split_share,
)
from tests.gateway.protocol.mqtt.packet_strategies import topic_filters, topics

GOOD_NAMES = [
    "a",
    "/",
    "//",
    "/a",
    "a/",
    "a b/ü/\U0002a6d4",
    "$SYS/x",
    "ACCOUNTS",
    "a" * 65_535,
    "/" * (MAX_LEVELS - 1),
]
BAD_NAMES = ["", "+", "#", "a/+", "a#", "a+b", "\0", "a/\0b", "a" * 65_536, "ü" * 32_768, "/" * MAX_LEVELS]


@pytest.mark.parametrize("topic", GOOD_NAMES)
def test_names(topic: str) -> None:
    assert name_problem(topic) == ""
    assert filter_problem(topic) == ""


@pytest.mark.parametrize("topic", BAD_NAMES)
def test_bad_names(topic: str) -> None:  # MQTT-4.7.0-1, MQTT-4.7.3-1, -2, -3; 3.1.1: MQTT-4.7.1-1
    assert name_problem(topic) != ""


@pytest.mark.parametrize(
    "topic_filter",
    [
        "#",
        "+",
        "+/+",
        "/+",
        "+/",
        "a/#",
        "a/+/b/#",
        "/#",
        "+/#",
        "$SYS/#",
        "$share/g/a",
        "$share/g//",
        "$share/g/#",
        "$shared/x",
    ],
)
def test_filters(topic_filter: str) -> None:
    assert filter_problem(topic_filter) == ""


BAD_WILDCARDS = ["#/", "#/a", "a#", "a/b#", "##", "a/#/b", "+a", "a+", "a/b+/c", "++", "+#", "#\n", "+\n"]
BAD_SHARES = ["$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/g#/a", "$share/g/a#"]


# MQTT-4.7.1-1, -2 (3.1.1: -2, -3), MQTT-4.8.2-1, -2, MQTT-4.7.3-1, -2
@pytest.mark.parametrize("topic_filter", [*BAD_WILDCARDS, *BAD_SHARES, "", "a\0", "/" * MAX_LEVELS])
def test_bad_filters(topic_filter: str) -> None:
    assert filter_problem(topic_filter) != ""


def test_split_share() -> None:
    assert split_share("$share/g/a/#") == ("g", "a/#")
    assert split_share("$share/g//a") == ("g", "/a")
    assert split_share("$SYS/a") == ("", "$SYS/a")


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [  # the examples of section 4.7
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/tennis/player1/#", "sport/tennis/player2", False),
        ("sport/#", "sport", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/x", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/x", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
        ("a/#", "a/$b", True),
        ("#", "a/b", True),
        ("a", "A", False),
    ],
)
def test_matches(topic_filter: str, topic: str, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected


LEVELS = ["a", "b", "$x", ""]
NAMES = [
    name for size in (1, 2, 3, 4) for name in map("/".join, product(["a", "b", "$x", "c", ""], repeat=size)) if name
]
FILTERS = [
    topic_filter
    for size in (1, 2, 3)
    for levels in product([*LEVELS, "+", "#"], repeat=size)
    if (topic_filter := "/".join(levels)) and not filter_problem(topic_filter)
]


def test_covers_says_what_all_names_say() -> None:
    """Against every name of a small world: `c` stands for all that no rule names."""
    found = {topic_filter: {name for name in NAMES if matches(topic_filter, name)} for topic_filter in FILTERS}
    for allowed, wanted in product(FILTERS, FILTERS):
        assert covers(allowed, wanted) is (found[wanted] <= found[allowed]), (allowed, wanted)


@given(topic_filters(), topics)
def test_what_is_generated_is_valid(topic_filter: str, topic: str) -> None:
    assert filter_problem(topic_filter) == ""
    assert name_problem(topic) == ""
    plain = split_share(topic_filter)[1]
    assert covers(plain, plain)
    assert matches(plain, topic) is covers(plain, topic)


KNOWN = ("device_id", "client_id")


def test_rules() -> None:
    assert rule_problem("devices/{device_id}/#", KNOWN) == ""
    assert rule_problem("x-{client_id}/+", KNOWN) == ""
    assert rule_problem("a/#", KNOWN) == ""
    assert rule_problem("devices/{user}/x", KNOWN) == "{user} is not known here; there are {device_id}, {client_id}"
    assert "{} is not known" in rule_problem("devices/{}/x", KNOWN)
    assert "$share" in rule_problem("$share/g/{client_id}", KNOWN)
    assert rule_problem("a#", KNOWN) != ""
    assert rule_problem("{client_id}#", KNOWN) != ""


def test_fill() -> None:
    values = {"device_id": "dev-1", "client_id": "{device_id}"}
    assert fill("devices/{device_id}/#", values) == "devices/dev-1/#"
    assert fill("{device_id}-{device_id}", values) == "dev-1-dev-1"
    assert fill("a/{client_id}", values) == "a/{device_id}"  # a value is put in as it stands
    assert fill("a/+/b", {}) == "a/+/b"
    assert fill("$aws/things/{device_id}/shadow", values) == "$aws/things/dev-1/shadow"


@pytest.mark.parametrize("value", ["", "+", "#", "a/b", "a+", "\0", "$SYS"])
def test_a_value_never_widens_a_rule(value: str) -> None:
    assert fill("{client_id}/x", {"client_id": value}) is None


def test_a_value_that_is_not_there() -> None:
    assert fill("a/{client_id}/x", {}) is None


def test_cache() -> None:
    cache = TopicCache(2)
    first = cache.read("ä/b".encode())
    assert first == "ä/b"
    assert cache.known == {"ä/b".encode(): first}
    cache.read(b"c")
    assert len(cache.known) == 2
    cache.read(b"d")
    assert cache.known == {b"d": "d"}
    assert cache.read(b"x" * 300) == "x" * 300
    assert len(cache.known) == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"", ReasonCode.TOPIC_NAME_INVALID),
        (b"a/#", ReasonCode.TOPIC_NAME_INVALID),
        (b"\xff", ReasonCode.MALFORMED_PACKET),
        (b"a\0", ReasonCode.MALFORMED_PACKET),
    ],
)
def test_a_bad_name_is_not_cached(name: bytes, reason: ReasonCode) -> None:
    cache = TopicCache()
    for _ in range(2):
        with pytest.raises(MqttError) as caught:
            cache.read(name)
        assert caught.value.reason is reason
    assert cache.known == {}
