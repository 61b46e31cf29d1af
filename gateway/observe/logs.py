"""The log: one JSON object a line on stdout, `ts`, `level`, `event` first, then the fields.

structlog writes it; what libraries say through `logging` goes the same way. Repeated errors pass a RateLimited first.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_QUIET = ("aiohttp.access", "botocore", "aiobotocore", "urllib3", "asyncio")
"""Loggers of libraries that are not heard below warning: at debug they show credentials and every request."""

EventDict = MutableMapping[str, Any]


def configure_logs(level: str = "info", format: str = "json", stream: TextIO | None = None) -> None:
    """Sends structlog and stdlib logging to `stream` (stdout).

    level: debug | info | warning | error. format: json | console. May be called again; the last call counts, also for
    loggers that exist already.
    """
    number = _LEVELS[level]
    out = stream if stream is not None else sys.stdout
    shared: list[Any] = [structlog.contextvars.merge_contextvars, structlog.stdlib.add_log_level, _add_time]
    if format == "json":
        # A traceback as text: structured ones hold local variables, and with them secrets.
        last: list[Any] = [structlog.processors.format_exc_info, _order, _render_json]
    else:
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=out.isatty(), timestamp_key="ts", exception_formatter=plain)]
    structlog.configure(
        processors=[_add_logger_name, *shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *names: _NamedLogger(out, *names),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
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

    def log(self, write: Callable[..., Any], key: Any, event: str, **fields: Any) -> None:
        """Calls `write` (a logger's method) unless the key had its share; says how many lines were left out before."""
        suppressed = self.allow(key)
        if suppressed is None:
            return
        if suppressed:
            fields["suppressed"] = suppressed
        write(event, **fields)


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
