"""The access log: one line for each request, written with the others of the same turn of the event loop.

Place in the walk: the last thing that happens to a request (`events.http_request`). Requests that wait for one commit
are answered in one turn; to write their lines one by one would cost more than to store their records.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import structlog

__all__ = ["AccessLog"]

_EVENT = "http_request"


class AccessLog:
    """Of one listener. The lines go through what structlog is configured with."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: list[dict[str, Any]] = []

    def add(self, fields: dict[str, Any]) -> None:
        """Of a request that is answered; call it on the event loop. `fields` belong to the line from here on."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        self._lines.append(fields)

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        configured = structlog.get_config()
        if not structlog.get_logger(__name__).is_enabled_for(logging.INFO):
            return
        logger, texts = configured["logger_factory"](__name__), []
        for event in lines:
            event["event"] = _EVENT
            try:
                for process in configured["processors"]:
                    event = process(logger, "info", event)
            except structlog.DropEvent:
                continue
            texts.append(str(event))
        if texts:
            logger.info("\n".join(texts))
