"""Signed payloads: HMAC-SHA256 with the device's secret, so that no broker or bridge on the way can change them.

Place in the walk: the topic reader asks before it reads a payload. A signature proves who made the message, not when:
a recorded one may be sent again; `trace_id` or a spec's `dedup` catches that.
"""

from __future__ import annotations

import hmac
import re

import orjson

from gateway.domain.device import DeviceKey
from gateway.domain.errors import DeadLetterReason
from gateway.domain.ports import SecretsPort
from gateway.domain.topic_message import TopicMessage

__all__ = ["SIGNATURE_PROPERTY", "SignatureCheck"]

SIGNATURE_PROPERTY = "signature"
"""The MQTT 5.0 user property `signature: sha256=<64 hex digits>` over the payload as sent."""

_PREFIX = "sha256="
_HEX = re.compile(r"[0-9a-fA-F]{64}")


class SignatureCheck:
    """Implements `SignaturePort`.

    required: devices that have a secret must sign; otherwise only a signature that is there must be right.
    field: the top-level field of a JSON message that may hold the signature as 64 hex digits. Signed are then the bytes
    of the message with these digits taken out (`"sig":""`).
    """

    __slots__ = ("_directory", "_in_text", "_key", "_name", "_required")

    def __init__(self, directory: SecretsPort, required: bool, field: str = "sig") -> None:
        self._directory = directory
        self._required = required
        self._name = field
        self._key = orjson.dumps(field)
        self._in_text = re.compile(re.escape(self._key) + rb'\s*:\s*"([0-9a-fA-F]{64})"')

    def check(self, message: TopicMessage, device_id: str) -> str | None:
        """A device without a secret of its own is signed for by its hub."""
        if not self._directory.signs:
            return None
        secret = self._secret(DeviceKey(message.speaker.tenant, device_id))
        if not secret:
            return None
        right = self._is_right(message, secret)
        if right or (right is None and not self._required):
            return None
        return DeadLetterReason.BAD_SIGNATURE.value

    def _secret(self, key: DeviceKey) -> bytes:
        directory = self._directory
        secret = directory.secrets(key).hmac_secret
        if secret:
            return secret
        device = directory.find(key)
        return directory.secrets(DeviceKey(key.tenant, device.hub_id)).hmac_secret if device is not None else b""

    def _is_right(self, message: TopicMessage, secret: bytes) -> bool | None:
        """None: it is not signed at all."""
        claims = [value for name, value in message.properties if name == SIGNATURE_PROPERTY]
        if claims:
            digits = claims[0].removeprefix(_PREFIX)
            signed = claims[0].startswith(_PREFIX) and _HEX.fullmatch(digits) is not None
            return len(claims) == 1 and signed and _matches(secret, (message.payload,), digits)
        payload = message.payload
        if self._key not in payload or not payload.lstrip().startswith(b"{"):
            return None
        found = list(self._in_text.finditer(payload))
        if len(found) != 1 or payload.count(self._key) != 1:
            return False
        start, end = found[0].span(1)
        digits = payload[start:end].decode()
        try:
            document = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return False
        if document.get(self._name) != digits:  # it stands deeper, or a second one is written with escapes
            return False
        view = memoryview(payload)
        return _matches(secret, (view[:start], view[end:]), digits)


def _matches(secret: bytes, parts: tuple[bytes | memoryview, ...], digits: str) -> bool:
    made = hmac.new(secret, digestmod="sha256")
    for part in parts:
        made.update(part)
    return hmac.compare_digest(made.digest(), bytes.fromhex(digits))
