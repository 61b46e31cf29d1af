"""The log: one JSON object a line on stdout, `ts`, `level`, `event` first, then the fields.

structlog writes it; what libraries say through `logging` goes the same way. Warnings and errors that repeat are limited
here, whoever writes them: a broken part, or a crowd, must not fill a disk with one line.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Hashable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_QUIET = ("aiohttp.access", "botocore", "aiobotocore", "urllib3", "asyncio")
"""Loggers of libraries that are not heard below warning: at debug they show credentials and every request."""

EventDict = MutableMapping[str, Any]

_REPEATS = 50
_REPEATS_WINDOW_S = 60.0
"""So many warnings and errors of one kind pass in that time."""

_KIND = ("code", "error_code", "reason", "listener", "sink", "source", "product", "component", "route")
"""Fields that make lines of one event different kinds: all of closed sets."""


def configure_logs(
    level: str = "info",
    format: str = "json",
    stream: TextIO | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Sends structlog and stdlib logging to `stream` (stdout).

    level: debug | info | warning | error. format: json | console. clock: seconds, rising, for what repeats. May be
    called again; the last call counts, also for loggers that exist already.
    """
    global _repeats
    number = _LEVELS[level]
    out = stream if stream is not None else sys.stdout
    _repeats = RateLimited(_REPEATS, _REPEATS_WINDOW_S, clock=clock)
    shared: list[Any] = [structlog.contextvars.merge_contextvars, structlog.stdlib.add_log_level, _add_time]
    if format == "json":
        # A traceback as text: structured ones hold local variables, and with them secrets.
        last: list[Any] = [structlog.processors.format_exc_info, _order, _render_json]
    else:
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=out.isatty(), timestamp_key="ts", exception_formatter=plain)]
    structlog.configure(
        processors=[_limit_repeats, _add_logger_name, *shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *names: _NamedLogger(out, *names),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.addFilter(_limit_foreign_repeats)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    logging.captureWarnings(True)


_log = structlog.get_logger("gateway.observe.logs")


class _NamedLogger(structlog.WriteLogger):
    """Writes lines, and keeps the name that its module gave: `structlog.get_logger("gateway.delivery.sender")`."""

    def __init__(self, file: TextIO, name: str = "") -> None:
        super().__init__(file)
        self.name = name


@dataclass(slots=True)
class _Window:
    began: float
    written: int = 0
    suppressed: int = 0


class RateLimited:
    """Lets the first `burst` lines of a key through in each window; the next line says how many were left out.

    A key names one kind of line from one place (`("decode_failed", "trackers")`); it must come from a closed set or
    from few peers: beyond `max_keys` the oldest are forgotten. clock: rising, in the unit of `window_s`.
    """

    __slots__ = ("_burst", "_clock", "_max_keys", "_window_s", "_windows")

    def __init__(
        self,
        burst: int = 5,
        window_s: float = 60.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_keys: int = 4096,
    ) -> None:
        self._burst = burst
        self._window_s = window_s
        self._clock = clock
        self._max_keys = max_keys
        self._windows: dict[Any, _Window] = {}

    def allow(self, key: Any) -> int | None:
        """None: do not write this line. Otherwise write it, with the number of lines suppressed before it."""
        now = self._clock()
        window = self._windows.get(key)
        if window is None or now - window.began >= self._window_s:
            suppressed = window.suppressed if window is not None else 0
            self._windows.pop(key, None)  # a new window stands at the end: the oldest are first
            while len(self._windows) >= self._max_keys:
                del self._windows[next(iter(self._windows))]
            self._windows[key] = _Window(now, written=1)
            return suppressed
        if window.written < self._burst:
            window.written += 1
            return 0
        window.suppressed += 1
        return None

    def ended(self) -> list[tuple[Any, int]]:
        """Key and number of suppressed lines of windows that are over, each told once: for a line of its own when
        nothing of the kind happens any more. Called now and then."""
        now = self._clock()
        over = [(key, window) for key, window in self._windows.items() if now - window.began >= self._window_s]
        for key, _ in over:
            del self._windows[key]
        return [(key, window.suppressed) for key, window in over if window.suppressed]


class LineLimit:
    """For lines that one peer can cause, and a crowd of them: so many of a kind from one, and so many in all. clock:
    seconds, rising."""

    __slots__ = ("_of_kind", "_of_one")

    OF_ONE = 3
    OF_KIND = 30
    WINDOW_S = 60.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._of_one = RateLimited(self.OF_ONE, self.WINDOW_S, clock=clock)
        self._of_kind = RateLimited(self.OF_KIND, self.WINDOW_S, clock=clock)

    def allow(self, kind: Hashable, one: Hashable) -> int | None:
        """None: no line. Else how many were left out before it."""
        suppressed = self._of_one.allow((kind, one))
        more = self._of_kind.allow(kind) if suppressed is not None else None
        return None if suppressed is None or more is None else suppressed + more


_repeats = RateLimited(_REPEATS, _REPEATS_WINDOW_S)


def tell_suppressed() -> None:
    """A line for each kind that was limited and does not happen any more. To be called now and then."""
    for (event, *kind), count in _repeats.ended():
        _log.info("lines_suppressed", of=event, kind=[part for part in kind if part], count=count)


def _limit_repeats(_: Any, method: str, event: EventDict) -> EventDict:
    """First of all processors: what is dropped costs nothing more."""
    if method in ("debug", "info"):
        return event
    suppressed = _repeats.allow((event.get("event"), *[str(event.get(name, "")) for name in _KIND]))
    if suppressed is None:
        raise structlog.DropEvent
    if suppressed:
        event["suppressed"] = suppressed + event.get("suppressed", 0)
    return event


def _limit_foreign_repeats(record: logging.LogRecord) -> bool:
    if record.levelno < logging.WARNING:
        return True
    suppressed = _repeats.allow((str(record.msg), record.name))
    if suppressed:
        record.suppressed = suppressed
    return suppressed is not None


def rfc3339(unix_s: float) -> str:
    """UTC with milliseconds: `2026-03-01T00:00:00.000Z`."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _add_time(_: Any, __: str, event: EventDict) -> EventDict:
    event["ts"] = rfc3339(time.time())
    return event


def _add_logger_name(logger: Any, _: str, event: EventDict) -> EventDict:
    if logger.name:
        event["logger"] = logger.name
    return event


def _order(_: Any, __: str, event: EventDict) -> Mapping[str, Any]:
    first: dict[str, Any] = {"ts": event.pop("ts"), "level": event.pop("level"), "event": event.pop("event")}
    first.update(event)
    return first


def _render_json(_: Any, __: str, event: Mapping[str, Any]) -> str:
    return orjson.dumps(event, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return value.hex()
    return list(value) if isinstance(value, (set, frozenset)) else str(value)
