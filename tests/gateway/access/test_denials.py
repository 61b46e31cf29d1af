"""The table of every denial: what the client gets in 5.0 and in 3.1.1, and what the log says to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.access.denials import DENIALS, DenyCode
from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.packets import V5, V311, Connack

# 5.0 reason code, 3.1.1 return code, reason string. Where 3.1.1 gets another reason (`MqttAccess`): that one's code.
ANSWERS = {
    DenyCode.TOO_MANY_ATTEMPTS: (0x97, 3, "too many failed logins, try again in a minute"),
    DenyCode.BUSY: (0x89, 3, "the server is busy, try again in a few seconds"),
    DenyCode.NO_CREDENTIALS: (
        *(0x87, 5),
        "log in with user name and password, a token as password, or a client certificate",
    ),
    DenyCode.UNKNOWN_USER: (0x86, 4, "wrong user name or password"),
    DenyCode.NO_PASSWORD_SET: (0x86, 4, "wrong user name or password"),
    DenyCode.WRONG_PASSWORD: (0x86, 4, "wrong user name or password"),
    DenyCode.TOKEN_INVALID: (0x86, 4, "this token is not taken here"),
    DenyCode.TOKEN_ISSUER: (0x86, 4, "this token is not taken here"),
    DenyCode.TOKEN_AUDIENCE: (0x86, 4, "this token is not taken here"),
    DenyCode.TOKEN_KEY: (0x86, 4, "this token is not taken here"),
    DenyCode.TOKEN_EXPIRED: (0x86, 4, "the token has expired"),
    DenyCode.TOKEN_TOO_EARLY: (0x86, 4, "the token is not valid yet"),
    DenyCode.TOKEN_NAMES_NOBODY: (0x86, 4, "the token names no device"),
    DenyCode.KEYS_UNAVAILABLE: (0x88, 3, "tokens cannot be checked now, try again in a minute"),
    DenyCode.USER_NAME_DIFFERS: (0x86, 4, "with a token the user name is empty or the device that the token names"),
    DenyCode.CERTIFICATE_NAMES_NOBODY: (0x87, 5, "the client certificate names no device"),
    DenyCode.CLIENT_ID: (0x85, 2, "the client id must be {client_id}"),
    DenyCode.ID_TAKEN: (0x87, 5, "this id is not for devices"),
    DenyCode.BAD_DEVICE_ID: (0x87, 5, "a device id has 1-256 printable characters"),
    DenyCode.UNKNOWN_DEVICE: (0x87, 5, "this device is not registered here"),
    DenyCode.PROVISIONING_CLOSED: (0x87, 5, "this device is not registered here"),
    DenyCode.INTERNAL_ERROR: (0x88, 3, "try again later"),
}


@pytest.mark.parametrize("code", DenyCode)
def test_every_denial_has_its_answer_and_its_hint(code: DenyCode) -> None:
    text = DENIALS[code]
    shown = (encode(Connack(False, text.reason), V5)[3], encode(Connack(False, text.reason), V311)[3], text.client)
    assert shown == ANSWERS[code]
    assert len(text.operator) > 20


def test_the_document_has_the_same_table() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "mqtt_access.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "| 0x" in line]
    expected = []
    for code, (reason, code_311, client) in ANSWERS.items():
        if code is DenyCode.TOO_MANY_ATTEMPTS:
            code_311 = 5  # as test_mqtt_access.py shows
        expected.append(f"| {code} | 0x{reason:02X} | {code_311} | {client} | {DENIALS[code].operator} |")
    assert rows == expected
