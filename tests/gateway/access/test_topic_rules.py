from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from gateway.access.topic_rules import AllowList, DeviceTopics, ListedTopics, MqttGrant, OpenTopics, TopicPolicy
from gateway.devices.directory import FileDirectory
from gateway.domain.device import Device, DeviceKey, Principal
from gateway.domain.errors import ConfigError
from gateway.observe.logs import LineLimit
from gateway.protocol.uplink_topics import Template, Templates

TEMPLATES = Templates([Template("plant/{device_id}/up", product="p")])


def directory() -> FileDirectory:
    return FileDirectory.from_text(
        """
- {id: dev-1}
- {id: dev-2}
- {id: hub-1, children: [child-1, child-2]}
- {id: hub-2, children: [child-3]}
- {id: far, tenant: acme, hub: hub-1}
- {id: a/b}
- {id: "+"}
- {id: "#"}
- {id: x+, hub: "hub/#"}
""",
        "devices.yaml",
    )


def device(device_id: str, allowed: AllowList | None = None, client_id: str = "", tenant: str = "") -> MqttGrant:
    policy = DeviceTopics(directory(), TEMPLATES, allowed or AllowList())
    return granted(policy, device_id, client_id or device_id, tenant)


def granted(policy: TopicPolicy, device_id: str = "", client_id: str = "cl", tenant: str = "") -> MqttGrant:
    return MqttGrant(policy, Principal("password", device_id), tenant, client_id, device_id, LineLimit(lambda: 0.0))


OWN = [
    "devices/dev-1/telemetry",
    "devices/dev-1/status",
    "devices/dev-1/log",
    "devices/dev-1/response",
    "iotlink/prd/nohub/dev-1/periodic/pub/telemetry/json",
    "iotlink/prd/dev-1/dev-1/event/pub/alert_report/json",
    "care/dev-1/climate",
    "device/lwt/dev-1",
    "plant/dev-1/up",
]


@pytest.mark.parametrize("topic", OWN)
def test_a_device_publishes_its_own_topics_and_no_others(topic: str) -> None:
    assert device("dev-1").may_publish(topic)
    assert not device("dev-2").may_publish(topic)
    assert not device("dev").may_publish(topic)
    assert not device("dev-1", tenant="acme").may_speak_for("dev-2")


@pytest.mark.parametrize(
    "topic",
    [
        "devices/dev-1/command",  # leads down
        "iotlink/prd/nohub/dev-1/event/pub/control_request/json",
        "iotlink/prd/hub-1/dev-1/periodic/pub/telemetry/json",  # a hub that is not its own
        "devices/hub-1/dev-1/telemetry",
        "devices/dev-1",
        "devices//telemetry",
        "home/dev-1",
        "application/1/device/dev-1/event/up",
        "$SYS/dev-1",
        "$aws/things/dev-1/shadow/update",
    ],
)
def test_other_topics_with_its_name_are_not_its_own(topic: str) -> None:
    assert not device("dev-1").may_publish(topic)


@pytest.mark.parametrize(
    ("topic", "hub_1", "hub_2", "child_1"),
    [
        ("iotlink/prd/hub-1/hub-1/periodic/pub/telemetry/json", True, False, False),
        ("iotlink/prd/hub-1/child-1/periodic/pub/telemetry/json", True, False, True),
        ("iotlink/prd/nohub/child-1/periodic/pub/telemetry/json", True, False, True),
        ("iotlink/prd/hub-2/child-1/periodic/pub/telemetry/json", False, False, False),
        ("iotlink/prd/hub-1/child-3/periodic/pub/telemetry/json", False, False, False),
        ("iotlink/prd/hub-1/dev-1/periodic/pub/telemetry/json", False, False, False),
        ("iotlink/prd/hub-1/nobody/periodic/pub/telemetry/json", False, False, False),
        ("devices/hub-1/child-2/telemetry", True, False, False),
        ("devices/child-1/status", True, False, True),
    ],
)
def test_a_hub_publishes_for_its_children_by_the_directory(topic: str, hub_1: bool, hub_2: bool, child_1: bool) -> None:
    assert [device(name).may_publish(topic) for name in ("hub-1", "hub-2", "child-1")] == [hub_1, hub_2, child_1]


def test_a_hub_speaks_for_itself_and_its_children() -> None:
    hub = device("hub-1")
    assert [hub.may_speak_for(name) for name in ("hub-1", "child-1", "child-3", "dev-1", "far", "")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert device("hub-1", tenant="acme").may_speak_for("far")
    assert not device("child-1").may_speak_for("hub-1")


def test_a_child_that_the_directory_learns_later_counts_from_then_on() -> None:
    known = directory()
    hub = granted(DeviceTopics(known, TEMPLATES, AllowList()), "hub-1")
    topic = "devices/hub-1/late/telemetry"
    assert not hub.may_publish(topic)
    assert known.learn(Device(DeviceKey("", "late"), hub_id="hub-1"))
    assert hub.may_publish(topic)


@pytest.mark.parametrize(
    "topic_filter",
    [
        "devices/dev-1/command",
        "devices/dev-1/config",
        "devices/dev-1/ota",
        "iotlink/prd/nohub/dev-1/event/pub/control_request/json",
        "iotlink/+/+/dev-1/event/pub/control_request/json",
        "$aws/things/dev-1/shadow/update/delta",
        "$aws/things/dev-1/shadow/#",
    ],
)
def test_a_device_subscribes_to_its_own_way_down(topic_filter: str) -> None:
    assert device("dev-1").may_subscribe(topic_filter)
    assert not device("dev-2").may_subscribe(topic_filter)
    assert not device("+").may_subscribe(topic_filter)


@pytest.mark.parametrize(
    "topic_filter",
    [
        *("#", "+", "+/+/command", "devices/#", "devices/+/command", "devices/dev-1/#", "devices/dev-1/+"),
        *("devices/dev-1/telemetry", "iotlink/#", "iotlink/+/+/+/event/pub/control_request/json"),
        *("devices/dev-2/command", "$SYS/#", "$aws/things/+/shadow/#", "$aws/#", "/", "dev-1"),
    ],
)
def test_a_device_subscribes_to_nothing_else(topic_filter: str) -> None:
    assert not device("dev-1").may_subscribe(topic_filter)


def test_a_hub_subscribes_to_the_way_down_of_its_children() -> None:
    hub = device("hub-1")
    assert hub.may_subscribe("devices/child-1/command")
    assert hub.may_subscribe("iotlink/prd/hub-1/child-2/event/pub/control_request/json")
    assert not hub.may_subscribe("devices/child-3/command")
    assert not hub.may_subscribe("iotlink/prd/hub-1/+/event/pub/control_request/json")


RULES = AllowList(
    ["plant/{device_id}/#", "shared/+/log", "{client_id}/raw"], ["plant/{device_id}/+", "news/#", "{client_id}"]
)


@pytest.mark.parametrize("name", ["+", "#", "a/b", "a/#", "/", "+/x", "x+", "$SYS", "x\0"])
def test_a_hostile_id_never_widens_a_rule(name: str) -> None:
    grant = device(name, RULES)
    for topic in (
        "plant/x/y",
        "plant/a/b",
        "x/raw",
        "a/b/raw",
        "devices/a/b/telemetry",
        "devices/x/telemetry",
        "$SYS/raw",
    ):
        assert not grant.may_publish(topic), topic
    for topic_filter in ("plant/x/y", "plant/+/+", "plant/#", "#", "+", "+/x", "a/#", "devices/+/command", "$SYS"):
        assert not grant.may_subscribe(topic_filter), topic_filter
    assert grant.may_publish("shared/x/log")
    assert grant.may_subscribe("news/today")


def test_allow_lists_add_to_the_own_topics() -> None:
    grant = device("dev-1", RULES, "cl")
    for topic in ("plant/dev-1/a/b", "plant/dev-1", "shared/x/log", "cl/raw", "devices/dev-1/telemetry"):
        assert grant.may_publish(topic), topic
    for topic in ("plant/dev-2/a", "shared/x/y/log", "dev-1/raw"):
        assert not grant.may_publish(topic), topic
    for topic_filter in ("plant/dev-1/+", "plant/dev-1/x", "news/#", "news", "cl", "devices/dev-1/ota"):
        assert grant.may_subscribe(topic_filter), topic_filter
    for topic_filter in ("plant/dev-1/#", "plant/+/+", "#", "new", "dev-1"):
        assert not grant.may_subscribe(topic_filter), topic_filter


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("", "not empty"),
        ("a#", "whole level"),
        ("#/a", "whole level"),
        ("a/{device}", "{device} is not known"),
        ("$share/g/a", "without $share"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused_with_its_place(rule: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AllowList(["ok"], ["ok", rule], where="auth.clients.3")
    assert caught.value.setting == "auth.clients.3.subscribe.1"
    assert words in str(caught.value)


def test_a_client_has_what_is_listed_and_nothing_else() -> None:
    listed = ListedTopics(AllowList(["cmd/{client_id}/#", "devices/+/command"], ["devices/#"], names=("client_id",)))
    grant = granted(listed, client_id="erp")
    assert grant.may_publish("cmd/erp/x")
    assert grant.may_publish("devices/dev-1/command")
    assert not grant.may_publish("devices/dev-1/telemetry")
    assert grant.may_subscribe("devices/+/telemetry")
    assert not grant.may_subscribe("#")
    assert not grant.may_subscribe("$SYS/#")
    assert grant.may_speak_for("dev-1")
    with pytest.raises(ConfigError, match="not known here"):
        AllowList(["{device_id}"], names=("client_id",))


def test_an_open_client_has_everything_but_topics_of_brokers() -> None:
    grant = granted(OpenTopics())
    for name in ("a", "/", "a/b", "devices/x/command", " $x"):
        assert grant.may_publish(name)
        assert grant.may_subscribe(name)
    assert grant.may_subscribe("#")
    assert grant.may_speak_for("any")
    assert not grant.may_publish("$SYS/x")
    assert not grant.may_subscribe("$SYS/#")


def test_decisions_are_remembered_within_bounds() -> None:
    class Counting(OpenTopics):
        asked = 0

        def may_publish(self, grant: MqttGrant, topic: str) -> bool:
            self.asked += 1
            return super().may_publish(grant, topic)

    policy = Counting()
    grant = granted(policy)
    for _ in range(3):
        assert grant.may_publish("a")
        assert not grant.may_publish("$b")
    assert policy.asked == 2
    for number in range(10_000):
        grant.may_publish(f"t/{number}")
        grant.may_publish("x" * 300)
    assert grant._decided is not None
    assert len(grant._decided) <= 64
    assert all(len(topic) <= 256 for topic in grant._decided)
    policy.asked = 0
    policy.generation += 1
    assert grant.may_publish("t/9999")
    assert policy.asked == 1


@pytest.mark.parametrize(
    ("policy", "hint"),
    [
        (DeviceTopics(directory(), TEMPLATES, AllowList()), "`auth.topics` allows more"),
        (ListedTopics(AllowList()), "`publish` or `subscribe` list"),
        (OpenTopics(), "begin with `$`"),
    ],
)
def test_the_log_says_what_was_denied_and_what_to_do(policy: TopicPolicy, hint: str) -> None:
    grant = granted(policy, "dev-1")
    with capture_logs() as logs:
        for number in range(200):
            assert not grant.may_publish(f"$SYS/{number}" + "x" * 300)
            assert not grant.may_publish("$SYS/same")
            assert not grant.may_subscribe("$SYS/#")
    denied = [line for line in logs if line["event"] == "mqtt_topic_denied"]
    assert [line["code"] for line in denied].count("publish_denied") == 3
    assert [line["code"] for line in denied].count("subscribe_denied") == 3
    for line in denied:
        assert (line["client_id"], line["user_name"]) == ("cl", "dev-1")
        assert line["topic"].startswith("$SYS/")
        assert len(line["topic"]) <= 128
        assert hint in line["detail"]
