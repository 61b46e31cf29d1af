"""Rules over several settings: what each is alone allowed to be, and not together."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from decoders.errors import SpecProblem
from gateway.settings.layers import Layers, Path
from gateway.settings.model import Settings, TcpListener


def is_loopback(host: str) -> bool:
    """True when only this machine can reach a listener on `host`. Names other than `localhost` may mean anything."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def broken_rules(settings: Settings, layers: Layers) -> list[SpecProblem]:
    """Every rule that the settings break, with the place of the value to change."""
    return [
        *_listeners(settings, layers),
        *_exposure(settings, layers),
        *_tls(settings, layers),
        *_sinks(settings, layers),
    ]


def _listeners(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    names: dict[str, int] = {}
    addresses = {(settings.observe.host, settings.observe.port): "`observe`"}
    for index, listener in enumerate(settings.tcp.listeners):
        path: Path = ("tcp", "listeners", index)
        if listener.name in names:
            yield layers.problem((*path, "name"), f"the name `{listener.name}` is taken by another listener")
        names[listener.name] = index
        address = (listener.host, listener.port)
        if listener.port and address in addresses:
            yield layers.problem(
                (*path, "port"), f"{listener.host}:{listener.port} is taken by {addresses[address]} already"
            )
        addresses[address] = f"the listener `{listener.name}`"


def _exposure(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    for index, listener in enumerate(settings.tcp.listeners):
        if is_loopback(listener.host):
            continue
        path: Path = ("tcp", "listeners", index, "host")
        reach = f"the listener `{listener.name}` on {listener.host} can be reached from other machines"
        if not layers.is_set(("auth", "devices")):
            yield layers.problem(
                path, f"{reach}, and nothing says who may send", "write `auth: {devices: open}`, or bind to 127.0.0.1"
            )
        if listener.tls is None and not listener.plaintext:
            yield layers.problem(
                path, f"{reach} without encryption", "give it `tls`, or write `plaintext: true` if that is meant"
            )


def _tls(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    for index, listener in enumerate(settings.tcp.listeners):
        path: Path = ("tcp", "listeners", index)
        yield from _tls_of(listener, path, layers)


def _tls_of(listener: TcpListener, path: Path, layers: Layers) -> Iterator[SpecProblem]:
    tls = listener.tls
    if tls is None:
        return
    if listener.plaintext:
        yield layers.problem((*path, "plaintext"), "the listener has `tls` and says `plaintext: true`", "remove one")
    if tls.client_auth != "off" and tls.client_ca_file is None:
        yield layers.problem(
            (*path, "tls", "client_auth"), f"`client_auth: {tls.client_auth}` needs `client_ca_file`", "name the file"
        )
    if tls.client_auth == "off" and tls.client_ca_file is not None:
        yield layers.problem(
            (*path, "tls", "client_ca_file"),
            "without `client_auth` no client certificate is asked for",
            "write `client_auth: required` (or `optional`)",
        )


def _sinks(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    if not settings.sinks:
        yield layers.problem(("sinks",), "no sink: records would have nowhere to go", "add one of type file or kinesis")
    for name in list(settings.sinks)[1:]:
        yield layers.problem(("sinks", name), "a second sink is not available in this version yet", key=True)
