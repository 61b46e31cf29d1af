"""Why an address cannot be had, and what to change."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest
from structlog.testing import capture_logs

from gateway.observe.listening import cannot_listen, tell_listening


@pytest.mark.parametrize(
    ("error", "why", "hint"),
    [
        (OSError(errno.EADDRINUSE, "long text"), "Address already in use", "change `x.0.port`"),
        (OSError(errno.EACCES, "no"), "Permission denied", "CAP_NET_BIND_SERVICE"),
        (OSError(errno.EADDRNOTAVAIL, "no"), "Cannot assign requested address", "change `x.0.host`"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known", "`x.0.host`"),
        (OSError("just text"), "just text", "`x.0.host`"),
        (UnicodeError("label too long"), "label too long", "`x.0.host`"),
    ],
)
def test_one_line_with_setting_and_advice(error: OSError | UnicodeError, why: str, hint: str) -> None:
    text = str(cannot_listen("rest listener a", "10.0.0.1", 80, error, "x.0"))
    assert text.startswith(f"rest listener a: cannot listen on 10.0.0.1:80: {why}; ")
    assert hint in text
    assert "\n" not in text


async def test_what_the_event_loop_raises() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="address already in use") as caught:
            await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", port)
    text = str(cannot_listen("observe", "127.0.0.1", port, caught.value, "observe"))
    assert text == (
        f"observe: cannot listen on 127.0.0.1:{port}: Address already in use; another program listens there: end it, "
        "or change `observe.port`"
    )


def test_a_line_per_address() -> None:
    with capture_logs() as logs:
        tell_listening("observe", "", [("127.0.0.1", 1)])
        tell_listening("rest", "push", [("127.0.0.1", 2), ("::1", 3)])
    assert [{name: line[name] for name in line if name not in ("event", "log_level")} for line in logs] == [
        {"face": "observe", "host": "127.0.0.1", "port": 1},
        {"face": "rest", "listener": "push", "host": "127.0.0.1", "port": 2},
        {"face": "rest", "listener": "push", "host": "::1", "port": 3},
    ]
