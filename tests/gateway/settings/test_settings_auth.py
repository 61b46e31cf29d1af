"""Access settings: what each key takes alone. Rules over several keys: `test_rules.py`; what becomes of them:
`tests/gateway/app/test_app_mqtt.py`."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings.model import AuthSettings, ClientSettings, JwtSettings, TopicRuleSettings


def test_without_a_word_devices_are_who_they_say_and_nobody_is_anonymous() -> None:
    auth = AuthSettings()
    assert (auth.devices, auth.client_ids, auth.certificate_name) == ("open", ["{device_id}"], "cn")
    assert (auth.anonymous, auth.clients, auth.jwt) == (None, [], [])


@pytest.mark.parametrize(
    "keys",
    [
        {"devices": "closed"},
        {"certificate_name": "ou"},
        {"client_ids": [""]},
        {"client_ids": ["a"] * 17},
        {"anonymous": {"publish": "a/#"}},
        {"clients": [{"password": "x"}]},
        {"jwt": [{"issuer": "i"}]},
    ],
)
def test_what_it_does_not_take(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AuthSettings.model_validate(keys)


@pytest.mark.parametrize(
    "keys", [{"leeway_s": 3601}, {"leeway_s": -1}, {"jwks_url": "ftp://k"}, {"device_claim": ""}, {"issuer": ""}]
)
def test_what_an_issuer_does_not_take(keys: dict[str, Any]) -> None:
    fine = {"issuer": "i", "audience": "a", "jwks_url": "https://k"}
    JwtSettings.model_validate(fine)
    with pytest.raises(ValidationError):
        JwtSettings.model_validate(fine | keys)


def test_lists_of_topics_have_an_end() -> None:
    assert len(TopicRuleSettings.model_validate({"publish": ["a"] * 256}).publish) == 256
    with pytest.raises(ValidationError):
        TopicRuleSettings.model_validate({"publish": ["a"] * 257})


def test_a_hash_is_not_shown() -> None:
    client = ClientSettings.model_validate({"id": "c", "password": "$argon2id$hidden"})
    assert "hidden" not in f"{client!r} {client.model_dump_json()}"
