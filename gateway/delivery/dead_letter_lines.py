"""A dead letter as one line of JSON, in both directions, and which letters a filter means.

Place in the walk: between the store's files and everybody who looks at letters. Lines of earlier versions lack keys;
they read as if they had their defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from decoders.types import SessionContext
from gateway.domain.dead_letter import DeadLetter

__all__ = [
    "LetterFilter",
    "Line",
    "encode_letter",
    "encode_line",
    "failed_again",
    "key_of",
    "letter_of",
    "parse_line",
    "rfc3339_ms",
]

Line = dict[str, Any]
"""A letter's line as plain data."""

_CHANGED_BY_REPLAY = ("attempts", "reason", "stage", "detail", "spec_version", "message", "field", "offset")


def encode_letter(letter: DeadLetter) -> bytes:
    """The letter with its newline. Never raises, whatever a session knew."""
    session = letter.session
    known = {
        "zone_s": session.zone_s if isinstance(session.zone_s, int) else None,
        "values": session.values,
        "columns": session.columns,
    }
    line: Line = {
        "dead_letter_id": letter.dead_letter_id,
        "reason": letter.reason,
        "stage": letter.stage,
        "detail": letter.detail,
        "attempts": letter.attempts,
        "raw_hex": letter.raw.hex(),
        "received_at": rfc3339_ms(letter.received_ms),
        "stored_at": rfc3339_ms(letter.stored_ms),
        "product": letter.product,
        "variant": session.variant,
        "spec_version": letter.spec_version,
        "device_id": letter.device_id,
        "hub_id": letter.hub_id,
        "tenant": letter.tenant,
        "gateway_id": letter.gateway_id,
        "listener": letter.listener,
        "session_id": letter.session_id,
        "peer": letter.peer,
        "port": session.port,
        "session": {name: value for name, value in known.items() if value not in (None, {}, ())},
        "message": letter.message,
        "field": letter.field,
        "offset": letter.offset,
    }
    if letter.topic:
        line |= {"topic": letter.topic, "content_type": letter.content_type, "properties": letter.properties}
        line |= {"part": letter.part, "speaker": letter.speaker}
    if letter.sink:
        line |= {"sink": letter.sink, "lane": letter.lane, "record_type": letter.record_type}
        line["record"] = _json_or_none(letter.raw)
    return encode_line(line)


def encode_line(line: Mapping[str, Any]) -> bytes:
    """One line with its newline. What orjson refuses (integers beyond 64 bits, halves of surrogate pairs) is written
    by the standard library."""
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return json.dumps(line, separators=(",", ":"), default=_plain).encode() + b"\n"


def parse_line(data: bytes) -> Line | None:
    """None: no letter (torn by a crash, or not ours)."""
    try:
        line = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            line = json.loads(data)
        except (ValueError, RecursionError):
            return None
    if not isinstance(line, dict) or not isinstance(line.get("dead_letter_id"), str):
        return None
    return line


def key_of(line: Mapping[str, Any]) -> str:
    """As `DeadLetter.key`."""
    sink = line.get("sink")
    return f"{line['dead_letter_id']}@{sink}" if sink else str(line["dead_letter_id"])


def failed_again(letter: DeadLetter) -> Line:
    """What a replay that failed changes of a letter's line."""
    return {name: getattr(letter, name) for name in _CHANGED_BY_REPLAY}


def letter_of(line: Mapping[str, Any]) -> DeadLetter:
    """ValueError: a key holds what it cannot hold."""
    try:
        known = line.get("session") or {}
        zone_s = known.get("zone_s")
        offset = line.get("offset")
        received_ms = _unix_ms(str(line["received_at"]))
        device_id = _text(line, "device_id")
        session = SessionContext(
            device_id=device_id,
            variant=_text(line, "variant"),
            port=int(line.get("port") or 0),
            zone_s=None if zone_s is None else int(zone_s),
            received_ms=received_ms,
            values=dict(known.get("values") or {}),
            columns=tuple(str(name) for name in known.get("columns") or ()),
        )
        return DeadLetter(
            dead_letter_id=str(line["dead_letter_id"]),
            reason=_text(line, "reason"),
            stage=_text(line, "stage"),
            detail=_text(line, "detail"),
            raw=bytes.fromhex(line["raw_hex"]),
            received_ms=received_ms,
            product=_text(line, "product"),
            spec_version=int(line.get("spec_version") or 0),
            device_id=device_id,
            tenant=_text(line, "tenant"),
            listener=_text(line, "listener"),
            session_id=_text(line, "session_id"),
            peer=_text(line, "peer"),
            message=_text(line, "message"),
            field=_text(line, "field"),
            offset=None if offset is None else int(offset),
            hub_id=_text(line, "hub_id"),
            session=session,
            sink=_text(line, "sink"),
            lane=_text(line, "lane"),
            record_type=_text(line, "record_type"),
            attempts=int(line.get("attempts") or 0),
            gateway_id=_text(line, "gateway_id"),
            stored_ms=_unix_ms(str(line["stored_at"])) if line.get("stored_at") else 0,
            topic=_text(line, "topic"),
            content_type=_text(line, "content_type"),
            properties=tuple((str(name), str(value)) for name, value in line.get("properties") or ()),
            part=int(line.get("part", -1)),
            speaker=_text(line, "speaker"),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a dead letter: {error!r}") from None


@dataclass(slots=True, frozen=True)
class LetterFilter:
    """Which letters are meant; empty means any. device: an id, or `tenant/id`. since, until: RFC 3339 UTC with
    milliseconds, of arrival; `until` itself is not meant any more. keys: of letters."""

    product: str = ""
    reason: str = ""
    device: str = ""
    stage: str = ""
    since: str = ""
    until: str = ""
    keys: frozenset[str] = frozenset()

    @property
    def means_all(self) -> bool:
        return self == _ALL

    def matches(self, line: Mapping[str, Any]) -> bool:
        if self.keys and key_of(line) not in self.keys:
            return False
        for name in ("product", "reason", "stage"):
            wanted = getattr(self, name)
            if wanted and line.get(name) != wanted:
                return False
        received_at = str(line.get("received_at"))
        if (self.since and received_at < self.since) or (self.until and received_at >= self.until):
            return False
        if not self.device:
            return True
        device_id = line.get("device_id")
        return self.device in (device_id, f"{line.get('tenant')}/{device_id}")


_ALL = LetterFilter()


def rfc3339_ms(unix_ms: int) -> str:
    """`2026-03-01T00:00:00.000Z`: of one form, so that texts compare as times do."""
    moment = datetime.fromtimestamp(unix_ms // 1000, UTC).replace(microsecond=unix_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _unix_ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000


def _text(line: Mapping[str, Any], name: str) -> str:
    value = line.get(name)
    return "" if value is None else str(value)


def _json_or_none(data: bytes) -> orjson.Fragment | None:
    """The record as it stands, for people who read the file; `raw_hex` is what counts."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return None if b"\n" in data else orjson.Fragment(data)


def _plain(value: object) -> Any:
    return json.loads(value.contents) if isinstance(value, orjson.Fragment) else str(value)
