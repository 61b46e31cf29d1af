"""`iotlink healthcheck`: is the gateway on this machine alive? Made for the container's health check."""

from __future__ import annotations

import http.client

import typer

from gateway.cli.config import ConfigOption, SetOption, load_or_exit
from gateway.cli.output import fail

_TIMEOUT_S = 2.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1", "": "127.0.0.1"}


def healthcheck(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Ask /livez of the configured observe listener: exit code 0 alive, 1 not, 2 the configuration cannot be used."""
    observe = load_or_exit(config, set_).settings.observe
    problem = livez_problem(_ANY_ADDRESS.get(observe.host, observe.host), observe.port)
    if problem:
        fail(problem)
    typer.echo("alive")


def livez_problem(host: str, port: int, timeout_s: float = _TIMEOUT_S) -> str:
    """What happened instead of an answer with status 200; empty when it came."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"http://{host}:{port}/livez: {error or type(error).__name__}"
    finally:
        connection.close()
    return "" if status == 200 else f"http://{host}:{port}/livez: answered {status}"
