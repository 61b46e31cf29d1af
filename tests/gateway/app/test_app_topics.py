"""Templates and their reader out of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.app.topics import Topics, make_templates, make_topic_reader
from gateway.devices.presence import Presence
from gateway.domain.device import Principal
from gateway.domain.errors import ConfigError
from gateway.domain.reading import Refused
from gateway.domain.topic_message import TopicMessage
from gateway.domain.uplink import Uplink
from tests.e2e.rig import Json
from tests.gateway.app.parts_rig import line_of, parts_of, thermo
from tests.gateway.ingress.mqtt_rig import Allowed

VALUES = b'{"productId": "generic_json", "metrics": {"t": 1}}'


def topics(*items: Json, **more: Any) -> Json:
    return {"mqtt": {"listeners": [], "topics": list(items), **more}}


def read_any(folder: Path, sections: Json, topic: str, payload: bytes = VALUES) -> object:
    message = TopicMessage(topic, payload, 1_772_000_000_000, Allowed(Principal(), ()), "m")
    return Topics(parts_of(folder, sections), Presence()).reader.read(message)


def read(folder: Path, sections: Json, topic: str, payload: bytes = VALUES) -> Uplink:
    found = read_any(folder, sections, topic, payload)
    assert isinstance(found, Uplink)
    return found


def failure(uplink: Uplink) -> str:
    assert uplink.beside is not None
    assert uplink.beside.failure is not None
    return uplink.beside.failure.reason


def test_own_templates_go_first_with_all_that_they_say(tmp_path: Path) -> None:
    own: Json = {"template": "devices/{device_id}/telemetry", "product": "generic_json", "format": "json"}
    by_role: Json = {"template": "plant/{device_id}", "role": "log"}
    wrapped: Json = {"template": "m/{device_id}", "envelope": "milesight"}
    parts = parts_of(tmp_path, topics(own, by_role, wrapped))
    templates = make_templates(parts.settings, parts.catalog)
    assert [template.text for template in templates.templates[:3]] == [
        "devices/{device_id}/telemetry",
        "plant/{device_id}",
        "m/{device_id}",
    ]
    first, second, third = (templates.match(topic) for topic in ("devices/d/telemetry", "plant/d", "m/d"))
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.product, first.format, first.role) == ("generic_json", "json", "telemetry")
    assert (second.role, second.format, third.envelope) == ("log", "", "milesight")


def test_the_product_of_a_template_counts(tmp_path: Path) -> None:
    own: Json = {"template": "plant/{device_id}", "product": "generic_json"}
    made = read(tmp_path, topics(own), "plant/d1", b'{"metrics": {"t": 1}}')
    assert (made.product.id, made.device.key.device_id) == ("generic_json", "d1")


@pytest.mark.parametrize(("policy", "kind"), [("flag", Uplink), ("refuse", Refused)])
def test_the_policy_about_other_environments(tmp_path: Path, policy: str, kind: type) -> None:
    found = read_any(tmp_path, topics(env_mismatch=policy), "iotlink/dev/nohub/d/periodic/pub/telemetry/json")
    assert isinstance(found, kind)


@pytest.mark.parametrize(("required", "field"), [(True, "sig"), (False, "mac")])
def test_signatures_are_checked_as_configured(tmp_path: Path, required: bool, field: str) -> None:
    devices = tmp_path / "devices.yaml"
    devices.write_text("- {id: d1, product: generic_json, hmac_secret: a-secret-of-sixteen}\n", "utf-8")
    sections = topics(signatures={"required": required, "field": field}) | {"gateway": {"devices_file": str(devices)}}
    unsigned = read(tmp_path, sections, "devices/d1/telemetry")
    wrong = read(tmp_path, sections, "devices/d1/telemetry", b'{"metrics": {"t": 1}, "%s": "00"}' % field.encode())
    assert failure(wrong) == "bad_signature"
    assert (unsigned.decoded is None) is required


def test_a_reader_of_its_own_reads_the_same(tmp_path: Path) -> None:
    """As the dry run of a stopped gateway has it."""
    parts = parts_of(tmp_path, topics())
    templates = make_templates(parts.settings, parts.catalog)
    reader = make_topic_reader(
        parts.settings, templates, lambda: parts.catalog, parts.directory, parts.admission, lambda _: "id"
    )
    message = TopicMessage("devices/d/telemetry", VALUES, 1, Allowed(Principal(), ()), "m")
    found = reader.read(message)
    assert isinstance(found, Uplink)
    assert (found.uplink_id, found.product.id) == ("id", "generic_json")


@pytest.mark.parametrize(
    ("item", "key", "words"),
    [
        ({"template": "a/{devce_id}"}, "template", "no place `{devce_id}`; there are {device_id}"),
        ({"template": "a/#"}, "template", "there is no `#`"),
        ({"template": "a/{device_id}", "product": "generic_jso"}, "product", "did you mean `generic_json`"),
    ],
)
def test_a_template_that_cannot_be_used_is_placed(tmp_path: Path, item: Json, key: str, words: str) -> None:
    sections = topics({"template": "fine/{device_id}"}, item)
    with pytest.raises(ConfigError) as caught:
        make_templates(parts_of(tmp_path, sections).settings, thermo())
    assert str(caught.value).startswith(f"mqtt.topics.1.{key}: ")
    assert words in str(caught.value)
    assert line_of(tmp_path, sections, caught.value) == f"{key}: {item[key]}"
