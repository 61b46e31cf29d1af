"""JSON under a topic: what it says beside its values, and records that need no spec.

Place in the walk: the topic reader asks; nothing here knows products or devices. Names are those of the documents
(section "JSON in").

Records without a spec and their `data`:

- `alert`, `control`, `log`, `firmware`, `file`: all of the document but identity, times, tags and other names that
  stand elsewhere in the record, with the members of its `data` object among them. A log that is no JSON:
  `{"text": ...}`.
- `master`: `{"op", "table", "keys", "data"}`; of `provisioning_complete` an upsert of the table `devices` with the key
  `device_id`, and the document (with its `nodes`) as `data`.
- `presence`: `{"status", "reason", ...}`: `online` or `offline`, or the word that the device said; `reason` is `status`
  or `last_will`; then whatever else it said.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from decoders.document import common_values, unreadable_times
from decoders.errors import DecodeCode, DecodeError
from decoders.types import Violation, ViolationCode
from gateway.domain.uplink import Beside, Plain

__all__ = [
    "MAX_DATA_BYTES",
    "MAX_NODES",
    "PLAIN_TYPES",
    "SPECIAL",
    "Node",
    "bad_times",
    "bare",
    "beside_of",
    "bytes_of",
    "inner_bytes",
    "is_online",
    "joined",
    "nodes_of",
    "plain_of",
    "plain_text",
    "presence_of",
    "provisioned",
    "text_of",
]

PLAIN_TYPES = frozenset({"alert", "control", "firmware", "file", "log", "master", "presence"})
"""Types of records that need no spec."""
SPECIAL = frozenset(
    {"childDeviceId", "data", "device_id", "device_uuid", "hub_id", "measurement", "nodes", "tags", "type"}
)
"""Names that make a document more than values and times."""

MAX_NODES = 256
MAX_DATA_BYTES = 131_072
_MAX_TAGS = 32
_MAX_TAG_NAME = 64
_MAX_WORD = 256
_MAX_HOPS = 16
_MAX_SAFE_INTEGER = 1 << 53
_ELSEWHERE = frozenset(
    {
        *("device_id", "device_uuid", "productId", "hub_id", "childDeviceId", "device_timestamp", "hub_timestamp"),
        *("header", "ts", "trace_id", "measurement", "tags"),
    }
)
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}[ :-]?)*")
_ONLINE = {
    **dict.fromkeys(("online", "connected", "up", "on", "1", "true", "alive"), True),
    **dict.fromkeys(("offline", "disconnected", "down", "off", "0", "false", "dead", "lost"), False),
}


@dataclass(slots=True)
class Node:
    """One device of a topology. hub_id: the root that it stands behind, its own id for the root itself.
    document: as it stands there; `has_values` where it makes a record of its own."""

    device_id: str
    hub_id: str
    product: str
    has_values: bool
    document: dict[str, Any]


def beside_of(document: Mapping[str, Any]) -> Beside:
    """Times, trace id, measurement and tags of a document. Tags that are none are left out and flagged."""
    common = common_values(document)
    measurement = document.get("measurement")
    tags, flags = _tags(document.get("tags"))
    return Beside(
        tags=tags,
        measurement=measurement if isinstance(measurement, str) and len(measurement) <= _MAX_WORD else "",
        flags=flags,
        trace_id=_shortened(common.get("trace_id", "")),
        device_time=common.get("device_timestamp", ""),
        hub_time=common.get("hub_timestamp", ""),
    )


def bad_times(document: Mapping[str, Any]) -> list[Violation]:
    """Times that are none, of a document from which no values are read."""
    return [Violation(name, ViolationCode.BAD_TIME) for name in unreadable_times(document, common_values(document))]


def text_of(document: Mapping[str, Any], name: str) -> str:
    """The text that stands there, "" for none. Raises DecodeError for anything else: of ids, 17 and "017" would become
    one device, or two."""
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DecodeError(DecodeCode.BAD_DOCUMENT, f"`{name}`: a text was expected", field=name)
    return value


def _shortened(text: str) -> str:
    return text[:_MAX_WORD]


def _tags(given: object) -> tuple[dict[str, str | int | float | bool], list[Violation]]:
    tags: dict[str, str | int | float | bool] = {}
    if given is None:
        return tags, []
    if not isinstance(given, dict):
        return tags, [Violation("tags", ViolationCode.WRONG_TYPE)]
    flags = []
    for name, value in given.items():
        plain = _plain(value) if isinstance(value, str | int | float) else None
        sized = len(name) <= _MAX_TAG_NAME and (not isinstance(plain, str) or len(plain) <= _MAX_WORD)
        if plain is None or not sized or len(tags) >= _MAX_TAGS:
            flags.append(Violation("tags", ViolationCode.WRONG_TYPE))
            break
        tags[_text(name)] = plain
    return tags, flags


def inner_bytes(document: Mapping[str, Any]) -> tuple[bytes, int] | None:
    """`data.bin` and its `port` (0: not said); None where there is none. Raises DecodeError."""
    data = document.get("data")
    if not isinstance(data, dict) or "bin" not in data:
        return None
    encoding = data.get("encoding", document.get("encoding", ""))
    if not isinstance(data["bin"], str) or not isinstance(encoding, str):
        raise DecodeError(DecodeCode.BAD_DOCUMENT, "data.bin: a text in hex or base64 was expected", field="data.bin")
    port = data.get("port", 0)
    if port.__class__ is not int or not 0 <= port <= 255:
        raise DecodeError(DecodeCode.BAD_DOCUMENT, "data.port: a number 0-255 was expected", field="data.port")
    return bytes_of(data["bin"], encoding, "data.bin"), port


def bytes_of(text: str, encoding: str, field: str) -> bytes:
    """Bytes of a text in `hex` or `base64`; without an encoding hex if it can be. Raises DecodeError."""
    stripped = text.strip()
    word = encoding.lower()
    if word not in ("", "hex", "base64"):
        detail = f"{field}: encoding {encoding[:40]!r}: hex or base64 was expected"
        raise DecodeError(DecodeCode.BAD_DOCUMENT, detail, field=field)
    if word == "hex" or (not word and _HEX.fullmatch(stripped)):
        if not _HEX.fullmatch(stripped):
            raise DecodeError(DecodeCode.BAD_DOCUMENT, f"{field}: no hexadecimal digits", field=field)
        return bytes.fromhex(stripped.replace(":", "").replace("-", ""))
    try:
        url = stripped.replace("-", "+").replace("_", "/")
        return base64.b64decode(url + "=" * (-len(url) % 4), validate=True)
    except (binascii.Error, ValueError):
        what = "base64" if word else "hexadecimal digits nor base64"
        raise DecodeError(
            DecodeCode.BAD_DOCUMENT, f"{field}: neither {what}" if not word else f"{field}: no {what}", field=field
        ) from None


def nodes_of(document: Mapping[str, Any], device_id: str) -> list[Node]:
    """The topology. device_id: who speaks of it, "" unknown: the hub of nodes that name no parent. Raises
    DecodeError."""
    given = document.get("nodes")
    if given is None:
        return []
    if not isinstance(given, list):
        raise DecodeError(DecodeCode.BAD_DOCUMENT, "nodes: a list was expected", field="nodes")
    if len(given) > MAX_NODES:
        raise DecodeError(DecodeCode.TOO_MANY_ITEMS, f"{len(given)} nodes, at most {MAX_NODES} allowed", field="nodes")
    parents: dict[str, str] = {}
    for index, item in enumerate(given):
        name = item.get("device_id") if isinstance(item, dict) else None
        parent = item.get("parent") if isinstance(item, dict) else None
        if not isinstance(name, str) or not name or not isinstance(parent, str | None):
            detail = f"nodes[{index}]: `device_id` is missing or no text, or `parent` is no text"
            raise DecodeError(DecodeCode.BAD_DOCUMENT, detail, field=f"nodes[{index}]")
        parents[name] = parent or ""
    found = []
    for item in given:
        name, product = item["device_id"], item.get("productId")
        values = any(isinstance(inner, dict) for inner in (item.get("metrics"), item.get("fields"), item.get("data")))
        root = _root(name, parents, device_id)
        found.append(Node(name, root, product if isinstance(product, str) else "", values, item))
    return found


def _root(name: str, parents: Mapping[str, str], device_id: str) -> str:
    """Up from a node to the hub at the end: a parent that is no node itself, else who speaks."""
    here = name
    for _ in range(_MAX_HOPS):
        parent = parents.get(here)
        if parent is None:
            return here
        if not parent or parent == here:
            return device_id or here
        here = parent
    raise DecodeError(DecodeCode.TOO_DEEP, f"nodes: the parents of {name[:40]!r} have no end", field="nodes")


def plain_of(record: str, document: object) -> Plain:
    """A record of this type. Raises DecodeError where a record cannot hold it."""
    data = document
    if isinstance(document, dict):
        inner = document.get("data")
        own = {"type"} if document.get("type") == record else set()
        data = bare(document, *own) if not isinstance(inner, dict) else bare(document, *own, "data") | inner
    if not isinstance(data, dict):
        raise DecodeError(DecodeCode.BAD_DOCUMENT, "expected one JSON object")
    return _bounded(Plain(record, _clean(data)))


def plain_text(record: str, payload: bytes) -> Plain:
    """The same of text that is no JSON."""
    return _bounded(Plain(record, {"text": payload.decode("utf-8", "replace")}))


def provisioned(device_id: str, document: Mapping[str, Any]) -> Plain:
    """The `master` record of a hub that is done with its provisioning."""
    data = _clean({name: value for name, value in document.items() if name not in ("productId", "header")})
    keys = {"device_id": _text(device_id)}
    return _bounded(Plain("master", {"op": "upsert", "table": "devices", "keys": keys, "data": data}))


def presence_of(document: object, online: bool | None, reason: str) -> Plain:
    """document: what was said, a text too. online: as `is_online` has it."""
    if isinstance(document, dict):
        more = {name: value for name, value in bare(document).items() if name not in ("status", "state", "online")}
        said = next((document[name] for name in ("status", "state", "online") if name in document), "")
    else:
        more, said = {}, document
    word = said if isinstance(said, str) else orjson.dumps(_plain(said)).decode()
    status = word[:_MAX_WORD] if online is None else "online" if online else "offline"
    return _bounded(Plain("presence", {"status": _text(status), "reason": reason, **_clean(more)}))


def is_online(document: object) -> bool | None:
    """What a status says: an object with `status`, `state` or `online`, or the bare word. None: nothing of the kind."""
    if isinstance(document, dict):
        document = next((document[name] for name in ("status", "state", "online") if name in document), None)
    if isinstance(document, bool):
        return document
    if isinstance(document, str | int):
        return _ONLINE.get(str(document).strip().lower())
    return None


def bare(document: Mapping[str, Any], *also: str) -> dict[str, Any]:
    """Without what has a place of its own in the record."""
    return {name: value for name, value in document.items() if name not in _ELSEWHERE and name not in also}


def _bounded(plain: Plain) -> Plain:
    size = len(orjson.dumps(plain.data))
    if size > MAX_DATA_BYTES:
        raise DecodeError(DecodeCode.FRAME_TOO_LONG, f"data of {size} bytes, at most {MAX_DATA_BYTES} allowed")
    return plain


def _clean(data: Mapping[str, Any]) -> dict[str, Any]:
    """The object without what has no value, NaN and large integers. Its depth is bounded where it was read."""
    return dict(_members(data))


def _members(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        plain = _plain(value)
        if plain is not None:
            yield _text(name), plain


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return str(value) if abs(value) > _MAX_SAFE_INTEGER else value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _clean(value) if isinstance(value, dict) else None


def _text(text: str) -> str:
    """With halves of surrogate pairs, which UTF-8 cannot carry, replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def joined(first: Beside | None, second: Beside, flags: list[Violation]) -> Beside:
    """Both, as a new one; where both say something the payload (the second) goes first."""
    if first is None:
        return replace(second, flags=[*second.flags, *flags])
    return Beside(
        tags={**first.tags, **second.tags},
        measurement=second.measurement or first.measurement,
        data_type=second.data_type or first.data_type,
        record=second.record or first.record,
        flags=[*first.flags, *second.flags, *flags],
        trace_id=second.trace_id or first.trace_id,
        device_time=second.device_time or first.device_time,
        hub_time=second.hub_time or first.hub_time,
        plain=second.plain or first.plain,
        part=max(first.part, second.part),
    )
