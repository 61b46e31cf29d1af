"""What all listeners have in common: options out of the settings, and files of TLS that cannot be used."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.app.parts import stream_options, token_verifier
from gateway.domain.errors import ConfigError
from gateway.settings.model import MqttListener
from tests.e2e.rig import Json
from tests.gateway.app.parts_rig import line_of, loaded_from
from tests.gateway.ingress.tls_files import Files


def listener(**more: Any) -> Json:
    return {"mqtt": {"listeners": [{"name": "first", "port": 0}, {"name": "m", "host": "127.0.0.2", **more}]}}


def of(folder: Path, sections: Json) -> MqttListener:
    return loaded_from(folder, sections).settings.mqtt.listeners[1]


def test_every_option_reaches_the_listener(tmp_path: Path) -> None:
    limits = {"max_connections": 7, "max_connections_per_ip": 3, "proxy_protocol": True, "tenant": "t"}
    keepalive = {"idle_s": 11, "interval_s": 12, "probes": 13}
    made = stream_options(of(tmp_path, listener(**limits, keepalive=keepalive)), 1883, "mqtt.listeners.1")
    assert made == {
        "name": "m",
        "host": "127.0.0.2",
        "port": 1883,
        "tenant": "t",
        "max_connections": 7,
        "max_per_ip": 3,
        "proxy_protocol": True,
        "setting": "mqtt.listeners.1",
        "keepalive_idle_s": 11,
        "keepalive_interval_s": 12,
        "keepalive_probes": 13,
    }
    off = stream_options(of(tmp_path, listener(keepalive=None)), 1883, "mqtt.listeners.1")
    assert (off["keepalive_idle_s"], off["tenant"]) == (0, "")


def test_tls_reaches_the_listener(tmp_path: Path) -> None:
    files = Files(tmp_path)
    mutual = tls_of(files, client_ca_file=str(files.client_ca), client_auth="required")
    for section, mode in ((tls_of(files), ssl.CERT_NONE), (mutual, ssl.CERT_REQUIRED)):
        made = stream_options(of(tmp_path, listener(tls=section)), 8883, "mqtt.listeners.1")["tls"]
        assert isinstance(made, ssl.SSLContext)
        assert made.verify_mode is mode


def tls_of(files: Files, **more: Any) -> Json:
    return {"cert_file": str(files.cert), "key_file": str(files.key), **more}


def _missing(files: Files) -> Json:
    files.key.unlink()
    return tls_of(files)


def _of_another(files: Files) -> Json:
    (files.folder / "other").mkdir()
    return tls_of(files) | {"key_file": str(Files(files.folder / "other").key)}


def _no_certificate(files: Files) -> Json:
    files.cert.write_text("nothing")
    return tls_of(files)


def _no_authority(files: Files) -> Json:
    files.client_ca.write_text("nothing")
    return tls_of(files, client_ca_file=str(files.client_ca), client_auth="optional")


@pytest.mark.parametrize(
    ("spoil", "key", "words"),
    [
        (_missing, "key_file", "cannot be read: No such file"),
        (_of_another, "key_file", "is not the key of"),
        (_no_certificate, "cert_file", "cannot be used: both must be PEM"),
        (_no_authority, "client_ca_file", "holds no PEM certificate"),
    ],
)
def test_a_file_that_cannot_be_used_is_placed(
    tmp_path: Path, spoil: Callable[[Files], Json], key: str, words: str
) -> None:
    sections = listener(tls=spoil(Files(tmp_path)))
    with pytest.raises(ConfigError, match=rf"mqtt\.listeners\.1: tls\.{key} .*{words}") as caught:
        stream_options(of(tmp_path, sections), 8883, "mqtt.listeners.1")
    assert line_of(tmp_path, sections, caught.value).startswith(f"{key}: ")


def test_issuers_of_tokens(tmp_path: Path) -> None:
    def auth_of(*issuers: str) -> Json:
        return {"auth": {"jwt": [{"issuer": one, "audience": "a", "jwks_url": f"{one}/keys"} for one in issuers]}}

    assert token_verifier(loaded_from(tmp_path, auth_of()).settings.auth) is None
    assert token_verifier(loaded_from(tmp_path, auth_of("https://one.test")).settings.auth) is not None
    twice = auth_of("https://one.test", "https://one.test")
    with pytest.raises(ConfigError, match=r"auth\.jwt\.1: the issuer https://one\.test is there already") as caught:
        token_verifier(loaded_from(tmp_path, twice).settings.auth)
    assert line_of(tmp_path, twice, caught.value) == "issuer: https://one.test"
