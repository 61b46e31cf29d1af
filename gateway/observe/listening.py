"""What every face says of its address: that it listens there, or why it cannot.

Place in the walk: the start, before anything is received.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

import structlog

from gateway.domain.errors import OperatorError

__all__ = ["cannot_listen", "tell_listening"]

_log = structlog.get_logger(__name__)


def tell_listening(face: str, listener: str, addresses: Iterable[tuple[str, int]]) -> None:
    """Writes a line `listening` per address. listener: its name; "" where a face has but one."""
    named = {"listener": listener} if listener else {}
    for host, port in addresses:
        _log.info("listening", face=face, **named, host=host, port=port)


def cannot_listen(who: str, host: str, port: int, error: OSError | UnicodeError, setting: str) -> OperatorError:
    """Why an address could not be bound, and what to change. who: begins the text (`admin`). setting: dotted path of
    the section with `host` and `port`. error: UnicodeError is that of a host that can be no name."""
    number = (error.errno or 0) if isinstance(error, OSError) else 0
    named = number > 0  # not those of the look-up of a name, which are below it
    why = os.strerror(number) if named else getattr(error, "strerror", None) or str(error)
    if number == errno.EADDRINUSE:
        hint = f"another program listens there: end it, or change `{setting}.port`"
    elif number in (errno.EACCES, errno.EPERM):
        hint = f"ports below 1024 need a right of their own (CAP_NET_BIND_SERVICE): give it, or change `{setting}.port`"
    else:
        hint = f"it must be an address of this machine: change `{setting}.host`"
    return OperatorError(f"{who}: cannot listen on {host}:{port}: {why}; {hint}")
