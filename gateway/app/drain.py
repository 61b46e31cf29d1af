"""How long each step of the end took: what an operator needs to choose `drain` and the time before SIGKILL."""

from __future__ import annotations

import time

import structlog

__all__ = ["Steps"]

_log = structlog.get_logger(__name__)


class Steps:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._began = self._step_began = time.monotonic()

    @property
    def seconds(self) -> float:
        """So far."""
        return time.monotonic() - self._began

    def ended(self, step: str, **fields: int) -> None:
        """The step before this call, told in the log."""
        now = time.monotonic()
        _log.info("drain_step", step=step, seconds=round(now - self._step_began, 3), **fields)
        self._step_began = now
