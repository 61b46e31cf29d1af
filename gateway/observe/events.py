"""Events: what is counted and told in the log, one function each, so that the two cannot differ.

Place in the walk: whoever sees it happen calls one of these; the counters are its own, `/metrics` and `/health` read
them. Lines that a crowd can cause again and again are limited here (`LineLimit`), and all warnings in the log itself;
the counters count all. What is only counted (frames, records) or only told (a start) is not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import structlog

from gateway.domain.dead_letter import DeadLetter
from gateway.domain.errors import CloseReason, SourceProblem
from gateway.observe.access_log import AccessLog
from gateway.observe.logs import LineLimit, RateLimited
from gateway.observe.metrics import DeadLetterCounters, ListenerCounters, SinkCounters, SpoolCounters
from gateway.observe.rest_metrics import RequestCounters
from gateway.observe.source_metrics import SourceCounters

__all__ = [
    "ALWAYS_TOLD",
    "CLOSE_LINES",
    "CLOSE_WINDOW_S",
    "bare_connect",
    "close_lines",
    "connection_closed",
    "dead_letter",
    "dead_letters_level",
    "dead_letters_not_written",
    "http_request",
    "malformed_request",
    "mqtt_client_denied",
    "mqtt_topic_denied",
    "record_buried",
    "rest_denied",
    "sink_healthy",
    "sink_unhealthy",
    "source_connected",
    "source_down",
    "source_message_refused",
    "spool_damaged",
    "spool_tail_cut",
]

CLOSE_LINES = 20
CLOSE_WINDOW_S = 10.0
"""So many lines about connections that ended badly pass in so much time for each listener."""

ALWAYS_TOLD = frozenset(
    {
        CloseReason.PEER_CLOSED,
        CloseReason.CONNECTION_LOST,
        CloseReason.IDLE_TIMEOUT,
        CloseReason.TAKEOVER,
        CloseReason.SHUTDOWN,
    }
)
"""How proper sessions end."""

_MAX_NAME = 128
_MAX_TEXT = 256
"""Characters of a text that may be a peer's own."""

_Code = TypeVar("_Code", bound=StrEnum)

_log = structlog.get_logger("gateway.observe.events")

# Connections.


def close_lines() -> RateLimited:
    """For `connection_closed`, one per listener."""
    return RateLimited(CLOSE_LINES, CLOSE_WINDOW_S)


def connection_closed(
    counters: ListenerCounters, lines: RateLimited, reason: CloseReason, fields: Mapping[str, object]
) -> None:
    """fields: who it was, how much it said. A line that passes tells how many did not before it."""
    counters.open -= 1
    counters.closed[reason] += 1
    suppressed = 0 if reason in ALWAYS_TOLD else lines.allow(None)
    if suppressed is not None:
        more = {"suppressed": suppressed} if suppressed else {}
        _log.info("connection_closed", listener=counters.listener, reason=reason.value, **fields, **more)


def bare_connect(counters: ListenerCounters, reason: CloseReason, peer: str) -> None:
    """The end of a connection without a byte: a health check, usually."""
    counters.open -= 1
    counters.closed[reason] += 1
    _log.debug("bare_connect", listener=counters.listener, peer=peer)


def malformed_request(counts: dict[str, int], lines: RateLimited, listener: str, fields: Mapping[str, object]) -> None:
    """Bytes on an HTTP port that are no request. counts: by listener; lines: of this listener."""
    counts[listener] += 1
    suppressed = lines.allow(None)
    if suppressed is not None:
        more = {"suppressed": suppressed} if suppressed else {}
        _log.info("malformed_request", listener=listener, **fields, **more)


def http_request(
    requests: RequestCounters,
    log: AccessLog,
    listener: str,
    *,
    route: str,
    method: str,
    status: int,
    seconds: float,
    fields: Mapping[str, object],
) -> None:
    """A request of the REST face is over. fields: whose it was, how much it brought."""
    requests.count(listener, route, method, status, seconds)
    ms = round(seconds * 1000, 1)
    log.add({"listener": listener, "method": method, "route": route, "status": status, "ms": ms, **fields})


# Access. `lines` are told apart by who causes them: an address, a client.


def mqtt_client_denied(
    denied: dict[_Code, int],
    lines: LineLimit,
    code: _Code,
    *,
    listener: str,
    peer: str,
    address: str,
    said: Mapping[str, str],
    detail: str,
) -> None:
    """said: what the client said of itself. detail: what to do."""
    denied[code] += 1
    suppressed = lines.allow((code, listener), address)
    if suppressed is not None:
        shown = _shown(said, _MAX_NAME, suppressed)
        _log.warning("mqtt_client_denied", code=code.value, listener=listener, peer=peer, **shown, detail=detail)


def mqtt_topic_denied(lines: LineLimit, code: StrEnum, *, client_id: str, said: Mapping[str, str], detail: str) -> None:
    """What a client that was let in may not do. Its publishes count as refused uplinks."""
    suppressed = lines.allow(code, client_id[:_MAX_NAME])
    if suppressed is not None:
        shown = _shown(said, _MAX_NAME, suppressed)
        _log.warning("mqtt_topic_denied", code=code.value, client_id=client_id[:_MAX_NAME], **shown, detail=detail)


def rest_denied(
    denied: dict[_Code, int],
    lines: LineLimit,
    reason: _Code,
    *,
    listener: str,
    address: str,
    client: str,
    request_id: str,
) -> None:
    """client: as it called itself, "" where it did not. request_id: that of the answer."""
    denied[reason] += 1
    suppressed = lines.allow(reason, address)
    if suppressed is not None:
        name = client[:_MAX_NAME]
        shown = _shown({"client": name if name.isprintable() else ascii(name)}, _MAX_TEXT, suppressed)
        _log.warning(
            "rest_denied", listener=listener, reason=reason.value, address=address, request_id=request_id, **shown
        )


# What was not understood, and where it is kept.


def dead_letter(lines: LineLimit, letter: DeadLetter, trace_id: str) -> None:
    """An uplink becomes a dead letter; whoever watches the log sees a device's mistake at once. It is counted when it
    is kept, by the store. trace_id: that its sender gave beside the payload, or ""."""
    suppressed = lines.allow((letter.reason, letter.listener), (letter.product, letter.device_id))
    if suppressed is None:
        return
    said = {
        "product": letter.product,
        "device_id": letter.device_id,
        "session_id": letter.session_id,
        "trace_id": trace_id,
        "topic": letter.topic,
        "field": letter.field,
        "detail": letter.detail,
    }
    shown = _shown(said, _MAX_TEXT, suppressed)
    _log.warning(
        "dead_letter", code=letter.reason, listener=letter.listener, **shown, dead_letter_id=letter.dead_letter_id
    )


def dead_letters_level(counters: DeadLetterCounters, nearly_full: bool, when_full: str) -> None:
    """To be called whenever the space was looked at; tells when it changes."""
    if nearly_full is counters.nearly_full:
        return
    counters.nearly_full = nearly_full
    say = _log.warning if nearly_full else _log.info
    event = "dead_letters_nearly_full" if nearly_full else "dead_letters_have_room"
    say(event, stored_bytes=counters.stored_bytes, max_bytes=counters.capacity_bytes, when_full=when_full)


def dead_letters_not_written(counters: DeadLetterCounters, letters: int, detail: str) -> None:
    """The disk does not take them: their senders get no answer."""
    counters.last_error = detail
    _log.error("dead_letters_not_written", letters=letters, detail=detail)


# Sinks.


def sink_unhealthy(counters: SinkCounters, error_code: str, detail: str) -> None:
    """Nothing gets through, so far."""
    counters.last_error = f"{error_code}: {detail}"
    if counters.healthy:
        counters.healthy = False
        _log.warning("sink_unhealthy", sink=counters.sink, error_code=error_code, detail=detail)


def sink_healthy(counters: SinkCounters) -> None:
    """Something got through."""
    if not counters.healthy:
        counters.healthy = True
        counters.last_error = ""
        _log.info("sink_healthy", sink=counters.sink)


def record_buried(counters: SinkCounters, record_id: str, error_code: str, detail: str) -> None:
    """A sink will never take this record: it becomes a dead letter."""
    counters.buried += 1
    _log.warning("record_buried", sink=counters.sink, record_id=record_id, error_code=error_code, detail=detail)


# The spool.


def spool_damaged(counters: SpoolCounters, file: Path, offset: int, size: int) -> None:
    """A stretch of a segment that cannot be read."""
    counters.bad_blocks += 1
    counters.lost_bytes += size
    _log.error("spool_damaged", file=str(file), offset=offset, bytes=size)


def spool_tail_cut(counters: SpoolCounters, file: Path, offset: int, size: int) -> None:
    """What a crash left of a write; it was never acknowledged."""
    counters.torn_bytes += size
    _log.warning("spool_tail_cut", file=str(file), offset=offset, bytes=size)


# Existing brokers.


def source_connected(counters: SourceCounters, fields: Mapping[str, object]) -> None:
    counters.connects += 1
    _log.info("source_connected", source=counters.source, **fields)


def source_down(
    counters: SourceCounters, problem: SourceProblem, *, broker: str, detail: str, again_in_s: float
) -> None:
    counters.problems[problem] += 1
    again = round(again_in_s, 3)
    _log.warning(
        "source_down", source=counters.source, broker=broker, code=problem.value, detail=detail, again_in_s=again
    )


def source_message_refused(counters: SourceCounters, reason: str, topic: str, detail: str) -> None:
    counters.refused[reason] = counters.refused.get(reason, 0) + 1
    _log.warning("source_message_refused", source=counters.source, code=reason, topic=topic[:_MAX_TEXT], detail=detail)


def _shown(said: Mapping[str, str], max_chars: int, suppressed: int) -> dict[str, object]:
    shown: dict[str, object] = {name: text[:max_chars] for name, text in said.items() if text}
    if suppressed:
        shown["suppressed"] = suppressed
    return shown
