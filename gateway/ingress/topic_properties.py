"""What MQTT 5.0 says beside a payload: content type and user properties that mean something here.

Place in the walk: the topic reader asks. Known names: `product` or `productId`, `port`, `variant`, `encoding` (hex or
base64, of a payload of bytes that is text) and `trace_id`; all of them stand in the session for formulas of a spec.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from decoders.errors import DecodeCode, DecodeError
from gateway.domain.topic_message import TopicMessage

__all__ = ["NOTHING_SAID", "TEXT_OF_BYTES", "Said", "content_of", "format_of", "said_by"]

_MAX_PROPERTIES = 32
_MAX_PROPERTY = 256
_FORMAT_OF_CONTENT = {
    "application/json": "json",
    "text/json": "json",
    "text/csv": "csv",
    "application/csv": "csv",
    "application/octet-stream": "bin",
}
TEXT_OF_BYTES = {"text/plain": "", "application/hex": "hex", "text/hex": "hex", "application/base64": "base64"}
"""Content types of bytes that are written as text, with how; "" is hex if it can be, else base64."""


@dataclass(slots=True)
class Said:
    """User properties that mean something here."""

    product: str = ""
    variant: str = ""
    encoding: str = ""
    trace_id: str = ""
    port: int = 0
    values: dict[str, Any] = field(default_factory=dict)


NOTHING_SAID = Said()


def content_of(message: TopicMessage) -> str:
    """The content type without its parameters."""
    return message.content_type.partition(";")[0].strip().lower()


def format_of(message: TopicMessage) -> str:
    """The format that the content type says; "" for none."""
    word = content_of(message)
    return "json" if word.endswith("+json") else "bin" if word in TEXT_OF_BYTES else _FORMAT_OF_CONTENT.get(word, "")


def said_by(properties: tuple[tuple[str, str], ...]) -> Said:
    """What user properties say; of those that stand twice the first one. Raises DecodeError."""
    values: dict[str, str] = {}
    for name, value in properties[:_MAX_PROPERTIES]:
        if len(name) <= _MAX_PROPERTY and len(value) <= _MAX_PROPERTY:
            values.setdefault(name, value)
    port = values.get("port", "0")
    if not (port.isascii() and port.isdigit() and int(port) <= 255):
        raise DecodeError(DecodeCode.BAD_VALUE, "user property `port`: a number 0-255 was expected", field="port")
    return Said(
        values.get("productId") or values.get("product", ""),
        values.get("variant", ""),
        values.get("encoding", ""),
        values.get("trace_id", ""),
        int(port),
        dict(values),
    )
