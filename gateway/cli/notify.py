"""What `serve` tells the service manager of the machine: that it serves, and that it ends.

systemd's protocol for `Type=notify` (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names. Without that
variable, as in a container, nobody is told anything.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

import structlog

from gateway.lifecycle import Phase

__all__ = ["Notifier"]

_MESSAGES = {Phase.RUNNING: "READY=1", Phase.DRAINING: "STOPPING=1"}

_log = structlog.get_logger("gateway.cli.notify")


class Notifier:
    """environ: of the process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")

    def on_phase(self, phase: Phase) -> None:
        """For `Lifecycle.on_change`. Never raises: a manager that is not there ends nothing."""
        message = _MESSAGES.get(phase)
        if message is None or not self._address:
            return
        abstract = self._address.startswith("@")
        address = b"\0" + os.fsencode(self._address[1:]) if abstract else os.fsencode(self._address)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(message.encode(), address)
        except OSError as error:
            _log.warning("service_manager_not_told", message=message, socket=self._address, detail=str(error))
