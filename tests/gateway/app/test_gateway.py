"""The composition root: what it refuses before anything listens, and how settings reach the parts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from decoders.catalog import Catalog
from gateway.app import Gateway, load_directory
from gateway.domain.device import DeviceKey
from gateway.domain.errors import ConfigError, OperatorError
from gateway.settings.load import load_settings
from gateway.settings.model import Settings
from gateway.specs import load_catalog


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(only=["example_thermo"])


def settings_of(folder: Path, *overrides: str) -> Settings:
    own = [f"gateway.data_dir={folder}", "tcp.listeners.0.port=0", "mqtt.listeners=[]", "rest.listeners=[]"]
    own += ["observe.port=0", "admin.port=0", *overrides]
    return load_settings(None, own, {}).settings


def built(folder: Path, catalog: Catalog, *overrides: str) -> Gateway:
    settings = settings_of(folder, *overrides)
    return Gateway(settings, catalog, load_directory(settings))


async def test_starts_serves_and_stops(tmp_path: Path, catalog: Catalog) -> None:
    gateway = built(tmp_path, catalog)

    refused = await gateway.run(on_ready=gateway.stop)

    assert refused == 0
    assert gateway.tcp is not None
    assert gateway.tcp.listeners[0].connections == 0
    assert (tmp_path / "epoch").exists()


@pytest.mark.parametrize(("name", "said"), [("edge-1", True), ("auto", False)])
async def test_on_ecs_a_fixed_id_is_warned_of(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch, name: str, said: bool
) -> None:
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://127.0.0.1:1/v4")  # nobody listens there
    gateway = built(tmp_path, catalog, f"gateway.id={name}")
    with capture_logs() as logs:
        await gateway.run(on_ready=gateway.stop)
    assert [entry["gateway_id"] for entry in logs if entry["event"] == "gateway_id_fixed"] == [name] * said


async def test_an_unknown_product_is_a_config_error(tmp_path: Path, catalog: Catalog) -> None:
    gateway = built(tmp_path, catalog, "tcp.listeners.0.products=[example_termo]")

    with pytest.raises(ConfigError, match=r"tcp\.listeners\[0\]\.products.*example_thermo"):
        await gateway.run()


async def test_a_port_in_use_is_an_operator_error_and_ends_everything(tmp_path: Path, catalog: Catalog) -> None:
    first = built(tmp_path / "first", catalog)

    async def second() -> None:
        assert first.tcp is not None
        port = first.tcp.listeners[0].addresses[0][1]
        other = built(tmp_path / "second", catalog, f"tcp.listeners.0.port={port}")
        with pytest.raises(OperatorError, match="cannot listen"):
            await other.run()

    ready = asyncio.Event()
    running = asyncio.create_task(first.run(on_ready=ready.set), name="first")
    await ready.wait()
    await second()
    first.stop()
    assert await running == 0


async def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path, catalog: Catalog) -> None:
    missing = tmp_path / "nothing.pem"
    gateway = built(tmp_path, catalog, f"tcp.listeners.0.tls={{cert_file: {missing}, key_file: {missing}}}")

    with pytest.raises(ConfigError, match=r"cert_file .*nothing\.pem") as caught:
        await gateway.run()

    assert caught.value.setting == "tcp.listeners.0.tls.cert_file"


def test_devices_file(tmp_path: Path) -> None:
    devices = tmp_path / "devices.yaml"
    devices.write_text("- {id: hub-1, product: example_thermo, zone: '+08:00'}\n", "utf-8")

    directory = load_directory(settings_of(tmp_path, f"gateway.devices_file={devices}"))

    found = directory.find(DeviceKey("", "hub-1"))
    assert found is not None
    assert (found.product, found.zone_s) == ("example_thermo", 28800)


@pytest.mark.parametrize(
    ("text", "words"),
    [("- {id: a}\n- {id: a}\n", "devices.yaml:2:"), ("- {idd: a}\n", "idd"), (None, "cannot be read")],
)
def test_a_wrong_devices_file_names_the_place(tmp_path: Path, text: str | None, words: str) -> None:
    devices = tmp_path / "devices.yaml"
    if text is not None:
        devices.write_text(text, "utf-8")

    with pytest.raises(ConfigError, match=words):
        load_directory(settings_of(tmp_path, f"gateway.devices_file={devices}"))
