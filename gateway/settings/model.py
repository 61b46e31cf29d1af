"""What can be configured: the model behind the YAML file, `IOTLINK_` variables, `--set` and the JSON Schema.

Keys that later versions bring stand in `unavailable.py`; rules over several keys in `rules.py`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from gateway.settings.auth import (
    AuthSettings,
    ClientSettings,
    JwtSettings,
    QuotaSettings,
    QuotasSettings,
    TopicRuleSettings,
)
from gateway.settings.listeners import (
    OWN_FILES,
    AdminSettings,
    EmfSettings,
    KeepaliveSettings,
    ObserveSettings,
    TcpListener,
    TcpSettings,
    TlsSettings,
    default_connections,
)
from gateway.settings.mqtt import (
    MqttBrokerSource,
    MqttListener,
    MqttSessionSettings,
    MqttSettings,
    MqttTopic,
    SignatureSettings,
    SourceTls,
)
from gateway.settings.rest import RestListener, RestSettings
from gateway.settings.section import DEFAULT_DATA_DIR, FilePath, Name, Section
from gateway.settings.storage import (
    DeadLetterSettings,
    FileSink,
    KinesisSink,
    RawArchiveSettings,
    RouteSettings,
    Sink,
    SpoolSettings,
    StdoutSink,
)

__all__ = [
    "DEFAULT_DATA_DIR",
    "GATEWAY_ID",
    "OWN_FILES",
    "AdminSettings",
    "AuthSettings",
    "ClientSettings",
    "DeadLetterSettings",
    "DrainSettings",
    "EmfSettings",
    "FileSink",
    "GatewaySettings",
    "JwtSettings",
    "KeepaliveSettings",
    "KinesisSink",
    "LogSettings",
    "MqttBrokerSource",
    "MqttListener",
    "MqttSessionSettings",
    "MqttSettings",
    "MqttTopic",
    "ObserveSettings",
    "QuotaSettings",
    "QuotasSettings",
    "RawArchiveSettings",
    "RestListener",
    "RestSettings",
    "RouteSettings",
    "Settings",
    "SignatureSettings",
    "Sink",
    "SourceTls",
    "SpoolSettings",
    "StdoutSink",
    "TcpListener",
    "TcpSettings",
    "TlsSettings",
    "TopicRuleSettings",
    "default_connections",
]

GATEWAY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _gateway_id(text: str) -> str:
    if not GATEWAY_ID.fullmatch(text):
        raise PydanticCustomError("expected", "`auto` or 1 to 64 letters, digits and . _ -")
    return text


class GatewaySettings(Section):
    """Who this gateway is and where it keeps its files."""

    id: Annotated[str, AfterValidator(_gateway_id)] = Field(
        default="auto",
        description="Name of this gateway in every record. `auto`: the id of the ECS task, else one that is made once "
        "and kept in `data_dir`.",
    )
    env: Literal["dev", "stg", "prd"] = Field(default="prd", description="Environment, as it stands in every record.")
    data_dir: FilePath = Field(
        default=DEFAULT_DATA_DIR, description="Folder of what the gateway keeps: its id, records, dead letters."
    )
    specs_dirs: list[FilePath] = Field(
        default=[],
        description="Folders with your own product specs; they add to the shipped ones, and the same id replaces.",
    )
    devices_file: FilePath | None = Field(
        default=None, description="YAML list of known devices. Without it every device is unknown."
    )
    codec: Literal["auto", "construct", "fused"] = Field(
        default="auto",
        description="How frames are decoded. `auto`: the generated function where it is proven equal to the reference.",
    )


class LogSettings(Section):
    """The log on stdout."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is written. `debug` also shows frames."
    )
    format: Literal["json", "console"] = Field(
        default="json", description="`json`: one object a line. `console`: for people."
    )


_Wait = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]


class DrainSettings(Section):
    """The end, from SIGTERM on: not ready, `notice_s`, no new connections, sessions end, records go out, exit."""

    notice_s: _Wait = Field(
        default=0.0,
        description="Connections are still taken so long while `/readyz` says no: for a load balancer, to send no new "
        "ones. A second signal ends the wait.",
    )
    spread_s: _Wait = Field(
        default=5.0,
        description="Sessions of a listener end over so long, 200 at a time, so that not all devices come back at the "
        "same moment.",
    )
    limit_s: Annotated[float, Field(ge=2, le=3600, allow_inf_nan=False)] = Field(
        default=25.0, description="All of it, at most: less than whoever sent SIGTERM waits before SIGKILL."
    )


class Settings(Section):
    """IoT-Link Gateway: the configuration file."""

    gateway: GatewaySettings = Field(default=GatewaySettings(), description="Who this gateway is.")
    tcp: TcpSettings = Field(default=TcpSettings(), description="Raw TCP sessions.")
    mqtt: MqttSettings = Field(default=MqttSettings(), description="MQTT clients.")
    rest: RestSettings = Field(default=RestSettings(), description="Programs that push data over HTTP.")
    sources: Annotated[list[MqttBrokerSource], Field(max_length=16)] = Field(
        default=[], description="Existing MQTT brokers to subscribe to."
    )
    observe: ObserveSettings = Field(default=ObserveSettings(), description="Metrics and health over HTTP.")
    admin: AdminSettings | None = Field(default=AdminSettings(), description="The operations API; null is off.")
    auth: AuthSettings = Field(default=AuthSettings(), description="Who may send.")
    provisioning: Literal["allow_new", "known", "closed"] = Field(
        default="allow_new", description="What a device that `devices_file` does not list may do."
    )
    ack_on: Literal["spool", "sink"] = Field(
        default="spool",
        description="When a sender gets its answer. `spool`: when the data is safe on the spool's disk. `sink`: when "
        "all sinks that get it have stored it, for storage that dies with the task.",
    )
    spool: SpoolSettings = Field(default=SpoolSettings(), description="The spool.")
    sinks: Annotated[dict[Name, Sink], Field(max_length=16)] = Field(
        default={}, description="Where records go, by name."
    )
    routes: Annotated[list[RouteSettings], Field(max_length=1000)] = Field(
        default=[], description="Which records go to which sinks; without routes all go to the only sink."
    )
    raw_archive: RawArchiveSettings = Field(default=RawArchiveSettings(), description="Frames as they came.")
    dead_letters: DeadLetterSettings = Field(default=DeadLetterSettings(), description="Dead letters on the disk.")
    shared_state: Literal["memory"] = Field(
        default="memory", description="Where gateways share what they know about devices. `memory`: they do not."
    )
    drain: DrainSettings = Field(default=DrainSettings(), description="How it ends.")
    log: LogSettings = Field(default=LogSettings(), description="The log.")
