"""Rules over several settings: what each is alone allowed to be, and not together."""

from __future__ import annotations

import ipaddress
import pathlib
from collections.abc import Iterator
from datetime import datetime

from decoders.errors import SpecProblem
from gateway.settings.layers import Layers, Path
from gateway.settings.model import ClientSettings, MqttListener, RestListener, Settings, TcpListener


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
        *_admin(settings, layers),
        *_exposure(settings, layers),
        *_tls(settings, layers),
        *_auth(settings, layers),
        *_rest(settings, layers),
        *_sources(settings, layers),
        *_sinks(settings, layers),
        *_routes(settings, layers),
        *_spool(settings, layers),
        *_drain(settings, layers),
    ]


Listener = TcpListener | MqttListener | RestListener


def _all_listeners(settings: Settings) -> Iterator[tuple[Path, Listener, int]]:
    """Path, listener and port of each."""
    for index, tcp in enumerate(settings.tcp.listeners):
        yield ("tcp", "listeners", index), tcp, tcp.port
    for index, mqtt in enumerate(settings.mqtt.listeners):
        yield ("mqtt", "listeners", index), mqtt, mqtt.chosen_port
    for index, rest in enumerate(settings.rest.listeners):
        yield ("rest", "listeners", index), rest, rest.port


def _listeners(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    names: set[str] = set()
    addresses = {(settings.observe.host, settings.observe.port): "`observe`"}
    if settings.admin is not None and settings.admin.enabled:
        addresses[settings.admin.host, settings.admin.port] = "`admin`"
    for path, listener, port in _all_listeners(settings):
        if listener.name in names:
            yield layers.problem((*path, "name"), f"the name `{listener.name}` is taken by another listener")
        names.add(listener.name)
        address = (listener.host, port)
        if port and address in addresses:
            yield layers.problem((*path, "port"), f"{listener.host}:{port} is taken by {addresses[address]} already")
        addresses[address] = f"the listener `{listener.name}`"
    for index, mqtt in enumerate(settings.mqtt.listeners):
        if mqtt.transport == "websocket" and mqtt.proxy_protocol:
            path = ("mqtt", "listeners", index, "proxy_protocol")
            yield layers.problem(path, "a WebSocket listener takes no PROXY header", "remove this key")
        if mqtt.transport == "tcp" and mqtt.allowed_origins:
            path = ("mqtt", "listeners", index, "allowed_origins")
            yield layers.problem(path, "only pages that open a WebSocket have an origin", "remove this key")


def _admin(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    admin = settings.admin
    if admin is None or not admin.enabled:
        return
    if not is_loopback(admin.host):
        yield layers.problem(
            ("admin", "host"),
            f"the operations API on {admin.host} could be reached from other machines, and API keys come with a later "
            "version",
            "bind to 127.0.0.1",
        )
    if admin.port and (admin.host, admin.port) == (settings.observe.host, settings.observe.port):
        yield layers.problem(("admin", "port"), f"{admin.host}:{admin.port} is taken by `observe` already")


def _exposure(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    for path, listener, _ in _all_listeners(settings):
        if is_loopback(listener.host):
            continue
        path = (*path, "host")
        reach = f"the listener `{listener.name}` on {listener.host} can be reached from other machines"
        if isinstance(listener, RestListener):
            if not _says_who_calls(settings, layers):
                hint = "write `auth.clients`, `auth.jwt` or `auth.key_file`, or `auth: {anonymous_rest: true}`"
                yield layers.problem(path, f"{reach}, and nothing says who may call", hint)
        elif not layers.is_set(("auth", "devices")):
            hint = "write `auth: {devices: open}` (or `credentials`), or bind to 127.0.0.1"
            yield layers.problem(path, f"{reach}, and nothing says who may send", hint)
        if listener.tls is None and not listener.plaintext:
            yield layers.problem(
                path, f"{reach} without encryption", "give it `tls`, or write `plaintext: true` if that is meant"
            )


def _says_who_calls(settings: Settings, layers: Layers) -> bool:
    auth = settings.auth
    return bool(auth.clients or auth.jwt) or any(layers.is_set(("auth", key)) for key in ("anonymous_rest", "key_file"))


def _tls(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    for path, listener, _ in _all_listeners(settings):
        yield from _tls_of(listener, path, layers)


def _tls_of(listener: Listener, path: Path, layers: Layers) -> Iterator[SpecProblem]:
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


def _auth(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    auth = settings.auth
    for index, issuer in enumerate(auth.jwt):
        if (issuer.jwks_url is None) == (issuer.jwks_file is None):
            yield layers.problem(("auth", "jwt", index), "one of `jwks_url` and `jwks_file` was expected")
    ids: set[str] = set()
    for index, client in enumerate(auth.clients):
        path: Path = ("auth", "clients", index)
        if client.id in ids:
            yield layers.problem((*path, "id"), f"there is a client `{client.id}` already")
        ids.add(client.id)
        if not _proves_itself(client):
            hint = "`api_key_sha256`, `hmac` or `certificate` for REST, `password` or `certificate` for MQTT"
            yield layers.problem(path, f"nothing says how `{client.id}` proves itself", hint)
        if client.password is not None and not client.password.get_secret_value().startswith("$argon2id$"):
            yield layers.problem(
                (*path, "password"), "the hash of a password was expected", "`iotlink devices password` makes one"
            )
    certificates = any(one.tls is not None and one.tls.client_auth != "off" for one in settings.mqtt.listeners)
    proofs = (settings.gateway.devices_file, auth.jwt, auth.clients, auth.anonymous, certificates)
    if auth.devices == "credentials" and settings.mqtt.listeners and not any(proofs):
        yield layers.problem(
            ("auth", "devices"),
            "no MQTT client could be let in: there are no passwords, tokens or certificates",
            "name a `gateway.devices_file`, `auth.jwt`, `auth.clients`, or a listener with `client_auth`",
        )


def _proves_itself(client: ClientSettings) -> bool:
    return any((client.api_key_sha256, client.hmac, client.password, client.certificate))


def _rest(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    rest = settings.rest
    if rest.max_item_bytes > rest.max_body_bytes:
        which = "max_item_bytes" if layers.is_set(("rest", "max_item_bytes")) else "max_body_bytes"
        text = f"`max_item_bytes` ({int(rest.max_item_bytes)}) is above `max_body_bytes` ({int(rest.max_body_bytes)})"
        yield layers.problem(("rest", which), text)
    if rest.stream_from_bytes > rest.max_body_bytes:
        text = f"it is above `max_body_bytes` ({int(rest.max_body_bytes)})"
        yield layers.problem(("rest", "stream_from_bytes"), text, "lower it")
    for index, client in enumerate(settings.auth.clients):
        path: Path = ("auth", "clients", index)
        if client.expires is not None and not _is_moment(client.expires):
            hint = "write `2027-01-01` or `2027-01-01T08:00:00Z`"
            yield layers.problem((*path, "expires"), f"`{client.expires}` is no date or time", hint)
        for text in client.devices or ():
            if "*" in text[:-1]:
                yield layers.problem((*path, "devices"), f"`{text}`: a `*` stands at the end, or nowhere")
        for secret in client.hmac.secrets if client.hmac is not None else ():
            if not secret.get_secret_value():
                yield layers.problem((*path, "hmac", "secrets"), "a secret is empty")
    for index, issuer in enumerate(settings.auth.jwt):
        for text in issuer.devices or ():
            if "*" in text[:-1]:
                yield layers.problem(
                    ("auth", "jwt", index, "devices"), f"`{text}`: a `*` stands at the end, or nowhere"
                )


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _sources(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    names = {listener.name for _, listener, _ in _all_listeners(settings)}
    for index, source in enumerate(settings.sources):
        path: Path = ("sources", index)
        if source.name in names:
            yield layers.problem((*path, "name"), f"the name `{source.name}` is taken by a listener or another source")
        names.add(source.name)
        if source.tls is not None and source.url.startswith("mqtt:"):
            yield layers.problem((*path, "tls"), "`tls` with a url of `mqtt://`", "write `mqtts://`")
        if source.tls is not None and (source.tls.cert_file is None) != (source.tls.key_file is None):
            yield layers.problem((*path, "tls"), "`cert_file` and `key_file` belong together")
        if source.username is None and source.password is not None:
            yield layers.problem((*path, "password"), "a password without `username`")


def _sinks(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    if not settings.sinks:
        yield layers.problem(("sinks",), "no sink: records would have nowhere to go", "add one of type file or kinesis")
    on_stdout = [name for name, sink in settings.sinks.items() if sink.type == "stdout"]
    for name in on_stdout[1:]:
        yield layers.problem(("sinks", name), f"`{on_stdout[0]}` writes to stdout already", key=True)
    if settings.observe.emf is not None and on_stdout:
        text = f"figures are lines on stdout, and so are the records of the sink `{on_stdout[0]}`"
        yield layers.problem(("observe", "emf"), text, "remove one")
    folders: dict[pathlib.Path, str] = {}
    for name, sink in settings.sinks.items():
        if sink.type != "file":
            continue
        folder = sink.dir.absolute()
        if folder in folders:
            yield layers.problem(("sinks", name, "dir"), f"{sink.dir} is the folder of `{folders[folder]}` already")
        folders[folder] = name


def _routes(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    known = ", ".join(settings.sinks) or "none"
    archive = settings.raw_archive
    for path, name in _named_sinks(settings):
        if name not in settings.sinks:
            yield layers.problem(path, f"there is no sink `{name}`", f"sinks are: {known}")
    if archive.enabled and archive.sink is None:
        yield layers.problem(("raw_archive",), "no `sink` says where frames go", f"name one of: {known}")
    if not settings.routes:
        apart = {archive.sink if archive.enabled else None, settings.dead_letters.also_to}
        if len(settings.sinks) > 1 and len([name for name in settings.sinks if name not in apart]) != 1:
            yield layers.problem(
                ("sinks",), "several sinks, and no `routes` say what goes where", f"write `routes: [{{to: [{known}]}}]`"
            )
        return
    for index, route in enumerate(settings.routes):
        for position, name in enumerate(route.to):
            if name in route.to[:position]:
                yield layers.problem(("routes", index, "to", position), f"`{name}` stands there twice")
        takes_all = not route.types and not route.products
        last = index == len(settings.routes) - 1
        if takes_all and not last:
            yield layers.problem(
                ("routes", index), "this route takes every record: those behind it never get one", "put it last"
            )
        if last and not takes_all:
            yield layers.problem(
                ("routes", index),
                "the last route does not take every record: some would have nowhere to go",
                "add one with `to` alone",
            )


def _named_sinks(settings: Settings) -> Iterator[tuple[Path, str]]:
    for index, route in enumerate(settings.routes):
        for position, name in enumerate(route.to):
            yield ("routes", index, "to", position), name
    if settings.raw_archive.enabled and settings.raw_archive.sink is not None:
        yield ("raw_archive", "sink"), settings.raw_archive.sink
    if settings.dead_letters.also_to is not None:
        yield ("dead_letters", "also_to"), settings.dead_letters.also_to


def _spool(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    spool = settings.spool
    if spool.segment_bytes * 4 > spool.max_bytes:
        yield layers.problem(
            ("spool", "segment_bytes" if layers.is_set(("spool", "segment_bytes")) else "max_bytes"),
            f"`max_bytes` ({int(spool.max_bytes)}) holds fewer than four files of `segment_bytes` "
            f"({int(spool.segment_bytes)})",
            "raise `max_bytes` or lower `segment_bytes`",
        )


def _drain(settings: Settings, layers: Layers) -> Iterator[SpecProblem]:
    drain = settings.drain
    if drain.notice_s + drain.spread_s >= drain.limit_s:
        named = next(name for name in ("spread_s", "notice_s", "limit_s") if layers.is_set(("drain", name)))
        yield layers.problem(
            ("drain", named),
            f"`notice_s` and `spread_s` ({drain.notice_s + drain.spread_s:g} s together) leave nothing of `limit_s` "
            f"({drain.limit_s:g} s) for the records",
            "raise `limit_s`, or lower the others",
        )
