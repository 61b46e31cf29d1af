"""MQTT settings: the usual ports, and what each key takes alone. Rules over several keys: `test_rules.py`."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings.model import MqttBrokerSource, MqttListener, MqttSettings, MqttTopic, SignatureSettings

TLS = {"cert_file": "c.pem", "key_file": "k.pem"}


@pytest.mark.parametrize(
    ("keys", "port"),
    [
        ({}, 1883),
        ({"tls": TLS}, 8883),
        ({"transport": "websocket"}, 8083),
        ({"transport": "websocket", "tls": TLS}, 8084),
        ({"port": 9, "tls": TLS}, 9),
        ({"port": 0}, 0),
    ],
)
def test_the_usual_ports(keys: dict[str, Any], port: int) -> None:
    assert MqttListener.model_validate({"name": "m", **keys}).chosen_port == port


def test_origins_are_schemes_with_hosts() -> None:
    origins = ["*", "https://dash.example.com:8443", "http://[::1]:3000", "file://", "capacitor://localhost"]
    assert MqttListener.model_validate({"name": "m", "allowed_origins": origins}).allowed_origins == origins


@pytest.mark.parametrize(
    "keys",
    [
        {"port": 65_536},
        {"transport": "quic"},
        {"max_packet_bytes": 255},
        {"max_packet_bytes": "257MiB"},
        {"receive_maximum": 0},
        {"window": 32_768},
        {"connect_timeout_s": 0},
        {"tenant": ""},
        {"transport": "websocket", "allowed_origins": ["dash.example.com"]},
        {"transport": "websocket", "allowed_origins": ["https://dash.example.com/"]},
        {"transport": "websocket", "allowed_origins": ["https://*"]},
    ],
)
def test_what_a_listener_does_not_take(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MqttListener.model_validate({"name": "m", **keys})


@pytest.mark.parametrize("keys", [{"role": "command"}, {"format": "xml"}, {"envelope": "tts_v2"}, {"template": ""}])
def test_what_a_template_does_not_take(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MqttTopic.model_validate({"template": "a/{device_id}", **keys})


def test_what_dead_letters_are_answered_with_is_success_unless_it_is_said() -> None:
    assert MqttSettings().dead_letter_answer == "success"
    assert MqttSettings.model_validate({"dead_letter_answer": "reason"}).dead_letter_answer == "reason"
    with pytest.raises(ValidationError):
        MqttSettings.model_validate({"dead_letter_answer": "failure"})


@pytest.mark.parametrize("field", ["", "1a", "a b", "a" * 65])
def test_what_a_signature_cannot_be_called(field: str) -> None:
    with pytest.raises(ValidationError):
        SignatureSettings(field=field)


@pytest.mark.parametrize(
    "keys",
    [
        {"url": "http://b"},
        {"url": "mqtt://u:p@b"},
        {"url": "mqtt://b/topic"},
        {"shared_group": "a/b"},
        {"probe_topic": "a/#"},
        {"qos": 3},
        {"filters": [""]},
        {"type": "kafka"},
    ],
)
def test_what_a_source_does_not_take(keys: dict[str, Any]) -> None:
    fine = {"type": "mqtt_broker", "name": "s", "url": "mqtt://b"}
    MqttBrokerSource.model_validate(fine)
    with pytest.raises(ValidationError):
        MqttBrokerSource.model_validate(fine | keys)


def test_a_password_is_not_shown() -> None:
    keys = {"type": "mqtt_broker", "name": "s", "url": "mqtt://b", "username": "u", "password": "hidden"}
    source = MqttBrokerSource.model_validate(keys)
    assert "hidden" not in f"{source!r} {source.model_dump_json()}"
