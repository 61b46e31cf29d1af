"""The compose file: its form, what it hardens, what it mounts, and that the gateway in it works as it is configured."""

from __future__ import annotations

import getpass
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway.settings.limits import needed_files
from gateway.settings.load import load_settings
from loadtest.fake_kinesis import FakeKinesis
from tests.e2e import frames
from tests.e2e.process import Serve
from tests.e2e.rig import aws_credentials, until
from tests.gateway.ingress.brokers import Mosquitto, Publisher

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
FULL_VERSION = re.compile(r"(?:[a-z0-9-]+/)?[a-z0-9-]+:v?\d+\.\d+\.\d+")  # and no name of a registry
IMEI = "359999000000001"


def mounted(service: str) -> dict[Path, str]:
    """Files and folders of this project by their place in the service."""
    volumes = [text.split(":") for text in SERVICES[service].get("volumes", [])]
    return {(FOLDER / parts[0]).resolve(): parts[1] for parts in volumes if parts[0].startswith(".")}


def test_it_has_the_form_of_the_compose_specification() -> None:
    schema = json.loads((Path(__file__).parent / "compose_schema/compose-spec.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(COMPOSE)


def test_a_misspelt_key_would_be_seen() -> None:
    schema = json.loads((Path(__file__).parent / "compose_schema/compose-spec.json").read_text("utf-8"))
    wrong = {**COMPOSE, "services": {"gateway": {**SERVICES["gateway"], "readonly": True}}}
    with pytest.raises(jsonschema.ValidationError, match="readonly"):
        jsonschema.Draft202012Validator(schema).validate(wrong)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_hardened_and_stays_on_this_machine(service: str) -> None:
    said = SERVICES[service]
    assert FULL_VERSION.fullmatch(said["image"])
    assert said["read_only"] is True
    assert said["cap_drop"] == ["ALL"]
    assert said["security_opt"] == ["no-new-privileges:true"]
    assert service == "gateway" or "healthcheck" in said  # the gateway's is in the image
    assert all(port.startswith("127.0.0.1:") for port in said.get("ports", []))


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_exists_and_is_read_only(service: str) -> None:
    assert not [str(path) for path in mounted(service) if not path.exists()]
    for text in SERVICES[service].get("volumes", []):
        source, _, rest = text.partition(":")
        assert rest.endswith(":ro") if source.startswith(".") else source in COMPOSE["volumes"]


def test_services_that_are_waited_for_exist() -> None:
    assert not [name for said in SERVICES.values() for name in said.get("depends_on", {}) if name not in SERVICES]


def test_the_gateway_has_time_to_end_and_files_to_open() -> None:
    said = SERVICES["gateway"]
    settings = load_settings(FOLDER / "gateway.yaml", [], {}).settings
    assert int(said["stop_grace_period"].removesuffix("s")) > settings.drain.limit_s
    assert said["ulimits"]["nofile"]["hard"] >= needed_files(settings)
    ports = {int(text.split(":")[2]) for text in said["ports"]}
    assert ports == {5023, 1883, 8080, settings.observe.port}
    assert mounted("gateway")[FOLDER / "gateway.yaml"] == "/etc/iotlink/gateway.yaml"


def test_other_services_are_called_by_their_names() -> None:
    settings = load_settings(FOLDER / "gateway.yaml", [], {}).settings
    (sink,) = settings.sinks.values()
    assert sink.type == "kinesis"
    command = SERVICES["kinesis"]["command"]
    assert sink.endpoint_url == f"http://kinesis:{command[command.index('--port') + 1]}"
    assert sink.stream == command[command.index("--stream") + 1]
    assert [source.url for source in settings.sources] == ["mqtt://mosquitto:1883"]


def test_prometheus_scrapes_the_gateway_and_grafana_asks_prometheus() -> None:
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    targets = {
        target
        for job in prometheus["scrape_configs"]
        for group in job.get("static_configs", [])
        for target in group["targets"]
    }
    settings = load_settings(FOLDER / "gateway.yaml", [], {}).settings
    assert f"gateway:{settings.observe.port}" in targets
    names = {Path(name).name for name in prometheus["rule_files"]}
    assert names <= {Path(place).name for place in mounted("prometheus").values()}
    sources = [
        source
        for path in (ROOT / "deploy/grafana/provisioning/datasources").iterdir()
        for source in yaml.safe_load(path.read_text("utf-8"))["datasources"]
    ]
    assert [source["url"] for source in sources] == ["http://prometheus:9090"]
    folders = [
        provider["options"]["path"]
        for path in (ROOT / "deploy/grafana/provisioning/dashboards").iterdir()
        for provider in yaml.safe_load(path.read_text("utf-8"))["providers"]
    ]
    assert folders == [mounted("grafana")[ROOT / "deploy/grafana/dashboards"]]


# Its gateway and broker with their own files; only names, ports and folders are those of this machine


def here(folder: Path, kinesis: str, **own: str) -> list[str | Path]:
    """Arguments of `serve`."""
    local = {"host": "127.0.0.1", "port": "0"}
    changes = {"gateway.data_dir": str(folder / "data"), "sinks.main.endpoint_url": kinesis, **own}
    changes |= {f"{face}.listeners.0.{key}": to for face in ("tcp", "mqtt", "rest") for key, to in local.items()}
    changes |= {f"{face}.{key}": to for face in ("observe", "admin") for key, to in local.items()}
    sets = [word for key, to in changes.items() for word in ("--set", f"{key}={to}")]
    return ["--config", FOLDER / "gateway.yaml", *sets]


@pytest.mark.e2e
@pytest.mark.usefixtures("proven")
async def test_its_gateway_takes_frames(tmp_path: Path) -> None:
    async with FakeKinesis() as kinesis:
        kinesis.create_stream("telemetry", shards=2)
        async with Serve(tmp_path, *here(tmp_path, kinesis.url, sources="[]"), **aws_credentials()) as gateway:
            tracker = await gateway.connect("tcp")
            await tracker.ask(frames.gt06_login(IMEI), frames.gt06(0x01))
            await tracker.ask(frames.gt06_heartbeat(2, 77), frames.gt06(0x13, serial=2))
            await until(lambda: bool(kinesis.records("telemetry")), "a record at the sink")
            assert await gateway.terminate() == 0


@pytest.mark.e2e
@pytest.mark.usefixtures("proven")
async def test_what_its_broker_is_told_becomes_records(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    places = {"listener 1883": f"listener {broker.port} 127.0.0.1", "/mosquitto/data/": f"{tmp_path}/"}
    text = (FOLDER / "mosquitto.conf").read_text("utf-8")
    for place, to in places.items():
        assert place in text
        text = text.replace(place, to)
    broker.config.write_text(f"{text}user {getpass.getuser()}\n", "utf-8")
    async with FakeKinesis() as kinesis, broker:
        kinesis.create_stream("telemetry", shards=2)
        arguments = here(tmp_path, kinesis.url, **{"sources.0.url": f"mqtt://127.0.0.1:{broker.port}"})
        async with Serve(tmp_path, *arguments, **aws_credentials()) as gateway, Publisher.at(broker.port) as sender:
            await gateway.until_sample(lambda found: found.total("iotlink_source_connected") == 1)
            await sender.publish("devices/t-1/telemetry", b'{"productId":"generic_json","metrics":{"a":1}}')
            await until(lambda: bool(kinesis.records("telemetry")), "a record at the sink")
            assert await gateway.terminate() == 0
