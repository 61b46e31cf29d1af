"""Templates of topics: what fits is read back, what nearly fits is explained, what leads down is no uplink."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.mqtt.topics import covers, filter_problem, matches, rule_problem
from gateway.protocol.uplink_topics import (
    BUILT_IN,
    DOWN_RULES,
    FORMATS,
    Template,
    TemplateError,
    Templates,
    TopicRoute,
)

TREE = "iotlink/{env}/{hub_id}/{device_id}/{type}/{direction}/{role}/{format}"
LEVEL = st.text(st.characters(codec="utf-8", exclude_characters="/+#\0"), min_size=1, max_size=12)
IOTLINK_UP = ("telemetry", "alert_report", "control_result", "provisioning_complete")


def route(topic: str, *configured: Template) -> TopicRoute:
    found = Templates(configured).match(topic)
    assert found is not None
    return found


@given(
    env=st.sampled_from(["dev", "stg", "prd"]),
    hub=LEVEL,
    device=LEVEL,
    kind=st.sampled_from(["periodic", "event", "tcp"]),
    role=st.sampled_from(IOTLINK_UP),
    form=st.sampled_from(FORMATS),
)
def test_what_is_filled_in_is_read_back(env: str, hub: str, device: str, kind: str, role: str, form: str) -> None:
    found = route(f"iotlink/{env}/{hub}/{device}/{kind}/pub/{role}/{form}")
    assert (found.env, found.device_id, found.type, found.direction) == (env, device, kind, "pub")
    assert (found.role, found.format, found.hub_said, found.problem) == (role, form, True, "")
    assert found.hub_id == ("" if hub == "nohub" else hub)
    assert found.json_only is (role == "telemetry" and form == "json")


@given(before=LEVEL, after=LEVEL, device=LEVEL, product=LEVEL, measurement=LEVEL)
def test_a_configured_template_is_read_back(
    before: str, after: str, device: str, product: str, measurement: str
) -> None:
    text = f"plant/{before.replace('{', '(').replace('}', ')')}-{{device_id}}/{{product}}/x/+/{{measurement}}"
    topic = text.replace("{device_id}", device).replace("{product}", product).replace("{measurement}", measurement)
    topic = topic.replace("+", after)
    found = route(topic, Template(text, format="csv", role="log"))
    assert (found.device_id, found.product, found.measurement) == (device, product, measurement)
    assert (found.format, found.role, found.template) == ("csv", "log", text)


@given(st.text(max_size=40))
def test_any_topic_is_read_or_not(topic: str) -> None:
    templates = Templates()
    assert templates.match(topic) is templates.match(topic)


@pytest.mark.parametrize(
    ("topic", "device", "hub", "role"),
    [
        ("devices/d/telemetry", "d", "", "telemetry"),
        ("devices/d/status", "d", "", "status"),
        ("devices/d/log", "d", "", "log"),
        ("devices/d/response", "d", "", "response"),
        ("devices/h/d/telemetry", "d", "h", "telemetry"),
        ("care/d/bp", "d", "", "telemetry"),
        ("device/lwt/d", "d", "", "lwt"),
        ("application/7/device/24e124/event/up", "", "", "telemetry"),
        ("v3/app@tenant/devices/my-node/up", "", "", "telemetry"),
    ],
)
def test_built_in(topic: str, device: str, hub: str, role: str) -> None:
    found = route(topic)
    assert (found.device_id, found.hub_id, found.role, found.problem) == (device, hub, role, "")


def test_care_and_envelopes_say_what_they_hold() -> None:
    assert (route("care/d/bp").measurement, route("care/d/bp").format) == ("bp", "json")
    assert route("application/7/device/a/event/up").envelope == "chirpstack_v4"
    assert route("v3/a/devices/b/up").envelope == "tts_v3"


@pytest.mark.parametrize(
    "topic",
    [
        "iotlink/prd/h/d/event/pub/control_request/json",
        "iotlink/prd/h/d/periodic/sub/telemetry/json",
        "devices/d/command",
        "devices/d/config",
        "devices/d/ota",
        "$aws/things/d/shadow/update",
        "$SYS/x",
        "foo",
        "devices/d",
        "devices/h/d/status",
        "application/7/device/a/event/join",
        "v3/a/devices/b/join",
        "",
    ],
)
def test_no_uplink(topic: str) -> None:
    assert Templates().match(topic) is None


@pytest.mark.parametrize(
    ("topic", "word", "expected"),
    [
        ("iotlink/prd/h/d/periodic/pub/telemetri/json", "telemetri", "provisioning_complete"),
        ("iotlink/prd/h/d/periodic/pub/telemetry/xml", "xml", "json, bin, csv"),
        ("iotlink/prod/h/d/periodic/pub/telemetry/json", "prod", "dev, stg, prd"),
        ("iotlink/prd/h/d/hourly/pub/telemetry/json", "hourly", "periodic, event, tcp"),
        ("iotlink/prd/h/d/periodic/up/telemetry/json", "`up`", "pub, sub"),
        ("iotlink/prd/h/d/telemetry", "5 levels", "has 8"),
        ("iotlink/prd//d/periodic/pub/telemetry/json", "empty level", "iotlink/{env}"),
        ("devices/d/telemetri", "telemetri", "telemetry, status"),
    ],
)
def test_a_wrong_word_on_a_known_tree_is_explained(topic: str, word: str, expected: str) -> None:
    problem = route(topic).problem
    assert word in problem
    assert expected in problem


def test_a_configured_template_goes_first_and_may_mend_a_word() -> None:
    own = Template("devices/{device_id}/data", product="p", format="bin")
    assert route("devices/d/data", own).product == "p"
    assert route("devices/d/data").problem
    assert route("devices/d/telemetry", Template("devices/{device_id}/telemetry", product="p")).product == "p"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "1-1024 characters"),
        ("a/" * 600, "1-1024 characters"),
        ("$x/{device_id}", "`$`"),
        ("a/\0", "U+0000"),
        ("a/#", "`#`"),
        ("a/b+", "`+` stands alone"),
        ("a/{device}", "{device_id}, {hub_id}"),
        ("a/{device_id}{role}", "one place in a level"),
        ("a/{device_id}/{device_id}", "stands twice"),
        ("a/{device_id", "without `}`"),
        ("a/device_id}", "without `{`"),
        ("a/{device_id}}", "a brace too many"),
    ],
)
def test_a_template_that_cannot_be_used_is_explained(text: str, part: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(text)
    assert part in str(caught.value)


@pytest.mark.parametrize("fixed", [{"role": "command"}, {"format": "xml"}, {"envelope": "lora"}])
def test_fixed_words_are_of_closed_sets(fixed: dict[str, str]) -> None:
    with pytest.raises(TemplateError, match="was expected"):
        Template("a/{device_id}", **fixed)


def test_routes_are_remembered_within_a_bound() -> None:
    templates = Templates(max_kept=2)
    first = templates.match("devices/a/log")
    assert templates.match("devices/a/log") is first
    for name in "bcdef":
        templates.match(f"devices/{name}/log")
    assert templates.match("devices/a/log") is not first
    long = f"devices/{'x' * 300}/log"
    assert templates.match(long) is not templates.match(long)


def test_filters_match_what_the_templates_match() -> None:
    filters = Templates([Template("plant/x-{device_id}/up")]).filters
    assert not [text for text in filters if filter_problem(text)]
    for topic in ("plant/x-1/up", "devices/d/log", "iotlink/prd/h/d/periodic/pub/telemetry/bin", "v3/a/devices/b/up"):
        assert any(matches(text, topic) for text in filters)
    assert len(BUILT_IN) == len(filters) - 1


def test_the_way_down_is_the_devices_own() -> None:
    for rule in DOWN_RULES:
        assert not rule_problem(rule, ["device_id"])
    rules = [rule.replace("{device_id}", "d") for rule in DOWN_RULES]
    for topic in (
        "iotlink/prd/h/d/event/pub/control_request/json",
        "devices/d/command",
        "$aws/things/d/shadow/update/delta",
    ):
        assert any(covers(rule, topic) for rule in rules)
        assert not any(covers(rule, topic.replace("/d/", "/e/")) for rule in rules)
