"""What a scenario may say: the model behind the YAML files in `scenarios/` and those that users write."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.settings.section import Count, Name, Seconds, Section

__all__ = [
    "Aims",
    "Event",
    "FaultyDevices",
    "Fleet",
    "Gateways",
    "Load",
    "MqttDevices",
    "Reconnect",
    "RestDevices",
    "Restart",
    "Scenario",
    "SinkAway",
    "TcpDevices",
]

Rate = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Length = Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Window = Annotated[int, Field(ge=1, le=64)]
Limit = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TcpDevices(Section):
    """Trackers: a connection each, a login, numbered frames, heartbeats, and every answer compared with the spec."""

    devices: Count = Field(default=0, description="How many.")
    share: Share = Field(default=1.0, description="Part of all frames, in proportion to the other faces' shares.")
    products: list[str] = Field(
        default=["concox_gt06"], min_length=1, description="Their products in turn; each needs golden frames."
    )
    messages: list[str] = Field(
        default=[], description="Messages that they send, by the spec's names; empty: all that can be counted."
    )
    heartbeat_s: Seconds = Field(default=60.0, description="A heartbeat each so many seconds; 0: none.")
    window: Window = Field(default=8, description="Frames of a device that may wait for their answers.")


class MqttDevices(Section):
    """MQTT 3.1.1 clients that publish JSON telemetry with QoS 1."""

    devices: Count = Field(default=0, description="How many.")
    share: Share = Field(default=1.0, description="Part of all frames, in proportion to the other faces' shares.")
    product: str = Field(default="example_thermo", description="Whose metrics they publish.")
    keep_alive_s: Annotated[int, Field(ge=0, le=65_535)] = Field(default=60, description="0: none.")
    window: Window = Field(default=8, description="Publishes of a device that may wait for their PUBACK.")


class RestDevices(Section):
    """HTTP clients with a connection that stays open and one request at a time."""

    devices: Count = Field(default=0, description="How many.")
    share: Share = Field(default=1.0, description="Part of all items, in proportion to the other faces' shares.")
    product: str = Field(default="example_thermo", description="Whose metrics they send.")
    batch: Annotated[int, Field(ge=1, le=500)] = Field(
        default=1, description="Most items of one request: those that wait when the one before is answered."
    )


class FaultyDevices(Section):
    """Devices that nobody wants, beside the others. They speak TCP and take no part in the rate."""

    dribbling: Count = Field(default=0, description="Send byte by byte; their frames count in the balance.")
    deaf: Count = Field(default=0, description="Send and never read an answer.")
    broken: Count = Field(default=0, description="Garbage, wrong check values, half frames, resets; again and again.")
    pause_s: Length = Field(default=0.5, description="Between two bytes of a frame's ten, two frames, two mischiefs.")


class Fleet(Section):
    """Who is there."""

    tcp: TcpDevices = Field(default=TcpDevices(), description="Over TCP.")
    mqtt: MqttDevices = Field(default=MqttDevices(), description="Over MQTT.")
    rest: RestDevices = Field(default=RestDevices(), description="Over REST.")
    idle: Count = Field(default=0, description="TCP devices that log in and send nothing but heartbeats.")
    faulty: FaultyDevices = Field(default=FaultyDevices(), description="Slow and broken ones.")
    connect_per_s: Annotated[float, Field(gt=0, le=100_000)] = Field(
        default=1000.0, description="Connections opened a second before the load begins."
    )

    @property
    def active(self) -> int:
        """Devices that the load is spread over."""
        return self.tcp.devices + self.mqtt.devices + self.rest.devices

    @property
    def trackers(self) -> int:
        """Devices that speak TCP."""
        return self.tcp.devices + self.idle + self.faulty.dribbling + self.faulty.deaf + self.faulty.broken

    @property
    def connections(self) -> int:
        return self.trackers + self.mqtt.devices + self.rest.devices


class Load(Section):
    """A stretch of time."""

    seconds: Length = Field(description="How long.")
    rate: Rate = Field(description="Frames a second of all devices.")
    to: Rate | None = Field(default=None, description="Rate at its end, reached on a straight line; null: the same.")


class Reconnect(Section):
    """Connections are cut, all at once, and their devices come back."""

    do: Literal["reconnect"] = Field(description="What happens.")
    at_s: Seconds = Field(description="When, from the beginning of the load.")
    share: Annotated[float, Field(gt=0, le=1)] = Field(default=1.0, description="Part of the TCP and MQTT devices.")
    within_s: Length = Field(default=10.0, description="They come back one after the other in so many seconds.")


class SinkAway(Section):
    """The sink takes no connections for a while."""

    do: Literal["sink_away"] = Field(description="What happens.")
    at_s: Seconds = Field(description="When, from the beginning of the load.")
    for_s: Length = Field(description="For how long.")


class Restart(Section):
    """Every gateway in turn: SIGTERM, its end, its start; the next one when the load balancer uses it again."""

    do: Literal["restart"] = Field(description="What happens.")
    at_s: Seconds = Field(description="When, from the beginning of the load.")


Event = Annotated[Reconnect | SinkAway | Restart, Field(discriminator="do")]


class Gateways(Section):
    """What is put under load: processes of their own, as `iotlink serve` runs them."""

    count: Annotated[int, Field(ge=1, le=8)] = Field(
        default=1, description="More than one stand behind haproxy, with PROXY v2 towards the TCP and MQTT ports."
    )
    sink: Literal["file", "kinesis"] = Field(default="file", description="Local files, or the fake Kinesis.")
    packing: Literal["plain", "aggregated", "ndjson"] = Field(default="aggregated", description="Of the stream.")
    shards: Annotated[int, Field(ge=1, le=512)] = Field(default=16, description="Of the stream.")
    settings: list[str] = Field(default=[], description="More settings, as for `iotlink serve --set`: `a.b=value`.")


class Aims(Section):
    """What the figures shall be. The balance is asked for in any case."""

    answer_p99_ms: Limit | None = Field(default=None, description="From the moment a frame was due to its answer.")
    sink_p99_ms: Limit | None = Field(default=None, description="From that moment until it is in the sink.")
    cpu_s_per_100k: Limit | None = Field(default=None, description="CPU seconds of the gateways per 100,000 frames.")
    idle_kib: Limit | None = Field(default=None, description="Memory of an idle session.")
    growth_mib: Limit | None = Field(
        default=None, description="How much the gateways' memory may grow in the second half of an outage or a run."
    )
    back_s: Limit | None = Field(default=None, description="From a reconnect's cut until all devices are back.")


class Scenario(Section):
    """A scenario of `python -m loadtest.fleet`."""

    scenario: Name = Field(description="Its name.")
    title: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="What it is about, in a line.")
    fleet: Fleet = Field(description="Who is there.")
    load: Annotated[list[Load], Field(min_length=1, max_length=1000)] = Field(description="How much they send.")
    spacing: Literal["even", "random"] = Field(
        default="even", description="Between frames: as the rate says, or at random around it (Poisson)."
    )
    warm_up_s: Seconds = Field(default=5.0, description="At the first rate, before anything is measured.")
    settle_s: Length = Field(default=120.0, description="Wait so long at most for the last answers and records.")
    events: Annotated[list[Event], Field(max_length=100)] = Field(default=[], description="What happens meanwhile.")
    gateway: Gateways = Field(default=Gateways(), description="What is put under load.")
    aims: Aims = Field(default=Aims(), description="What the figures shall be.")
    seed: int = Field(default=1, description="Of everything that is left to chance.")

    @property
    def seconds(self) -> float:
        """Length of the load, without warming up."""
        return sum(stretch.seconds for stretch in self.load)
