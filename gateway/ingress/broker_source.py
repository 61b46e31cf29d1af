"""BrokerSources: existing MQTT brokers (Mosquitto, EMQX, AWS IoT Core ...) that the gateway subscribes to.

Place in the walk: a beginning, like the listeners. Each source keeps one connection (`broker_link`) and makes it again,
with its subscriptions, for as long as the gateway runs; what comes goes through the source's intake (`broker_intake`)
into the topic flow. A broker acknowledges its publishers by itself: "acknowledged means durable" begins where the
broker hands a message on with QoS 1 or 2, and it keeps what it has for us as long as it keeps our session
(`clean_session: false`, the default, and a client id that stays).
"""

from __future__ import annotations

import asyncio
import secrets
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import structlog
from prometheus_client.core import Metric

from gateway.delivery.backoff import Backoff
from gateway.domain.device import Principal
from gateway.domain.errors import ConfigError, SourceProblem
from gateway.domain.ports import OutboxPort, TopicFlowPort
from gateway.ingress.broker_intake import BrokerIntake, IntakeLimits, LinkPort, SourceSpeaker
from gateway.ingress.broker_link import BrokerAddress, BrokerLink
from gateway.ingress.broker_stream import Gate, SourceDown
from gateway.ingress.clock import IdSource
from gateway.observe import events
from gateway.observe.health import ComponentHealth, State
from gateway.observe.source_metrics import SourceCounters, source_families
from gateway.protocol.mqtt.topics import filter_problem

__all__ = ["BrokerSource", "BrokerSources", "SourceOptions", "SourceServices", "read_url"]

_log = structlog.get_logger(__name__)

STABLE_S = 30.0
"""A connection that lasted so long begins the backoff anew; one that ends sooner may be fought over by two clients."""

_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(slots=True, frozen=True)
class SourceOptions:
    """One broker.

    filters: what is subscribed to, without `$share`. qos: 0 to 2, what is asked for. shared_group: the gateways of one
    group share the messages between them (`$share/<group>/<filter>`); "" is off. tenant: of all devices that come this
    way. retained: take retained messages; those that were taken before are known and passed over.
    liveness_s: time between checks. probe_topic: the check publishes below it (`<probe_topic>/<client id>`, QoS 0) and
    waits for its own message, which takes the right to publish and subscribe there; "": PINGREQ and its answer.
    reconnect_s, reconnect_max_s: first and longest wait between attempts, with full jitter.
    """

    name: str
    address: BrokerAddress
    filters: tuple[str, ...]
    qos: int = 1
    shared_group: str = ""
    tenant: str = ""
    retained: bool = True
    limits: IntakeLimits = field(default_factory=IntakeLimits)
    liveness_s: float = 30.0
    probe_topic: str = ""
    reconnect_s: float = 1.0
    reconnect_max_s: float = 60.0

    def __post_init__(self) -> None:
        """Raises ConfigError; its setting is that of the source's own."""
        if not self.filters:
            raise self._problem("filters", "no topic to subscribe to: set `filters`")
        filters = [(f"filters.{index}", one) for index, one in enumerate(self.filters)]
        for setting, one in (*filters, *([("probe_topic", f"{self.probe_topic}/#")] if self.probe_topic else [])):
            problem = filter_problem(one)
            if problem:
                raise self._problem(setting, f"the topic filter {one!r} cannot be used: {problem}")
        if not self.address.client_id:
            raise self._problem("client_id", "set `client_id`: by it the broker knows whose messages it keeps")
        if self.address.password and not self.address.username:
            raise self._problem("password", "MQTT 3.1.1 has no password without a `username`")
        if self.liveness_s >= self.address.keep_alive_s:
            raise self._problem("", "liveness_s has to be below keep_alive_s, or the broker gives up")
        if any(mark in self.shared_group for mark in "/+#"):
            raise self._problem("shared_group", f"shared_group {self.shared_group!r}: without `/`, `+` and `#`")

    def _problem(self, setting: str, text: str) -> ConfigError:
        return ConfigError(f"source {self.name}: {text}", setting=setting)

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The filters as the broker gets them."""
        group = self.shared_group
        return tuple(f"$share/{group}/{one}" for one in self.filters) if group else self.filters

    @property
    def probe(self) -> str:
        """Topic of the liveness check; "" if it is PINGREQ."""
        return f"{self.probe_topic}/{self.address.client_id}" if self.probe_topic else ""


def read_url(url: str) -> tuple[str, int, bool]:
    """`mqtt://host:port`, `mqtts://host` -> host, port (1883, 8883 by default), whether it is TLS. Raises
    ConfigError; user name and password have keys of their own."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"url: {error}", setting="url") from None
    if parts.scheme not in _PORTS or not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError("url: such as mqtt://broker.example:1883 or mqtts://broker.example:8883", setting="url")
    if parts.username is not None or parts.password is not None:
        raise ConfigError("url: put user name and password into `username` and `password`", setting="url")
    return host, port or _PORTS[parts.scheme], parts.scheme == "mqtts"


@dataclass(slots=True)
class SourceServices:
    """What the sources need of the rest of the gateway. unix_ms: wall time."""

    flow: TopicFlowPort
    outbox: OutboxPort
    unix_ms: Callable[[], int]
    ids: IdSource


class BrokerSource:
    """One broker. Life: `run` as a task, stop_accepting, finish (or cancel the task)."""

    def __init__(self, options: SourceOptions, services: SourceServices) -> None:
        self.options = options
        self.counters = SourceCounters(options.name)
        self._services = services
        loop = asyncio.get_running_loop()
        self._steady_s = loop.time
        self._gate = Gate(loop.time)
        self._room = services.outbox.has_room()
        self._accepting = True
        self._stopping = asyncio.Event()  # no new connection
        self._finishing = asyncio.Event()  # everything is settled: say goodbye
        self._settled = asyncio.Event()  # nothing is in flight
        self._settled.set()
        self._backoff = Backoff(options.reconnect_s, options.reconnect_max_s)
        self._last: SourceDown | None = None
        self._nonce = b""
        self._probed = asyncio.Event()
        self._intake = BrokerIntake(
            options.name,
            SourceSpeaker(Principal("source", options.name), options.tenant),
            services.flow,
            self.counters,
            unix_ms=services.unix_ms,
            soon=loop.call_soon,
            on_change=self._changed,
            limits=options.limits,
            retained=options.retained,
        )

    async def run(self) -> None:
        """Connects, again and again, until `stop_accepting`."""
        failures = 0
        while not self._stopping.is_set():
            began_s = self._steady_s()
            try:
                await self._connection()
                return
            except SourceDown as error:
                down = error
            except Exception as error:
                _log.exception("source_failed", source=self.options.name)
                down = SourceDown(SourceProblem.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
            if self._stopping.is_set():
                return
            failures = 1 if self._steady_s() - began_s >= STABLE_S else failures + 1
            await self._wait(down, self._backoff.delay_s(failures))

    def room_changed(self, has_room: bool) -> None:
        """The outbox takes uplinks, or does not."""
        self._room = has_room
        self._changed()

    def stop_accepting(self) -> None:
        """Reads no more, and makes no new connection."""
        self._accepting = False
        self._stopping.set()
        self._changed()

    async def finish(self) -> None:
        """Returns when everything that was taken in is settled; the broker then hears of it, and of the end."""
        await self._settled.wait()
        self._intake.flush()
        self._finishing.set()

    def health(self) -> ComponentHealth:
        """Down while it is not connected: what the broker does not keep meanwhile is lost."""
        address = self.options.address
        facts = {"broker": f"{address.host}:{address.port}", "in_flight": self.counters.in_flight}
        if self.counters.connected:
            return ComponentHealth(facts=facts)
        error = f"{self._last.problem.value}: {self._last.detail}" if self._last is not None else "not connected yet"
        return ComponentHealth(State.DOWN, error, facts)

    # What the broker sends: the source is the link's Taker, so that its own probes stay here.

    def publish(self, topic: str, payload: bytes, qos: int, packet_id: int, *, dup: bool, retain: bool) -> None:
        if topic == self.options.probe and not qos:
            if payload == self._nonce:
                self._probed.set()
            return
        self._intake.publish(topic, payload, qos, packet_id, dup=dup, retain=retain)

    def too_large(self, topic: str, qos: int, packet_id: int, size: int) -> None:
        self._intake.too_large(topic, qos, packet_id, size)

    def release(self, packet_id: int) -> None:
        self._intake.release(packet_id)

    async def _connection(self) -> None:
        """One connection from beginning to end. Returns after the goodbye of `finish`; raises SourceDown."""
        options, services = self.options, self._services
        link = await BrokerLink.open(options.address, self, self._gate)
        politely = False
        try:
            session_id = services.ids.make(services.unix_ms())
            self._intake.connected(LinkPort(link.send, link.fail, link.session_present, session_id, link.peer))
            await link.start()
            granted = await link.subscribe(options.subscriptions, options.qos)
            if options.probe:
                await link.subscribe([options.probe], 0)
                await self._check(link)
            self.counters.connected = True
            facts = {
                "broker": link.peer,
                "session_id": session_id,
                "session_present": link.session_present,
                "filters": list(options.subscriptions),
                "qos": granted,
            }
            events.source_connected(self.counters, facts)
            if granted < options.qos:
                detail = "the broker grants a lower QoS than asked for" + ("" if granted else ": it repeats nothing")
                _log.warning(
                    "source_qos_lowered", source=options.name, asked=options.qos, granted=granted, detail=detail
                )
            await self._until_ended(link)
            politely = True
        finally:
            self.counters.connected = False
            self._intake.disconnected()
            await link.close(politely=politely)

    async def _until_ended(self, link: BrokerLink) -> None:
        """Returns when it is time to say goodbye. Raises SourceDown."""
        name = self.options.name
        lost = asyncio.create_task(link.lost(), name=f"source {name} connection")
        watch = asyncio.create_task(self._watch(link), name=f"source {name} liveness")
        finishing = asyncio.create_task(self._finishing.wait(), name=f"source {name} end")
        tasks = (lost, watch, finishing)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if lost.done():
                raise lost.result()
            if watch.done():
                watch.result()  # raises
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, link: BrokerLink) -> None:
        """Checks the connection for ever. Raises SourceDown."""
        while True:
            await asyncio.sleep(self.options.liveness_s)
            await self._check(link)

    async def _check(self, link: BrokerLink) -> None:
        topic = self.options.probe
        if not topic or not self._gate.open:
            await link.ping()
            return
        self._nonce = secrets.token_hex(8).encode()
        self._probed.clear()
        await link.publish(topic, self._nonce)
        try:
            await link.answered(self._probed.wait(), "the liveness check")
        except SourceDown as down:
            if down.problem is not SourceProblem.NO_ANSWER:
                raise
            detail = (
                f"what was published to {topic} did not come back: the subscriptions are gone, or this client may not "
                "publish or subscribe there (leave `probe_topic` out then)"
            )
            raise SourceDown(SourceProblem.NO_ROUND_TRIP, detail) from None

    async def _wait(self, down: SourceDown, delay_s: float) -> None:
        self._last = down
        address = self.options.address
        broker = f"{address.host}:{address.port}"
        events.source_down(self.counters, down.problem, broker=broker, detail=down.detail, again_in_s=delay_s)
        try:
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def _changed(self) -> None:
        """Of the outbox, the intake or the end: may packets be read?"""
        is_open = self._room and self._accepting and self._intake.has_room
        self._gate.set(is_open)
        self.counters.held_back = not is_open
        if self._intake.in_flight:
            self._settled.clear()
        else:
            self._settled.set()


class BrokerSources:
    """All sources. Life: start, stop_accepting, drain, as of the listeners. A broker that cannot be reached keeps no
    gateway from starting."""

    def __init__(self, services: SourceServices) -> None:
        self._services = services
        self._tasks: list[asyncio.Task[None]] = []
        self.sources: list[BrokerSource] = []

    def add(self, options: SourceOptions) -> BrokerSource:
        """Adds a source before the start; in the event loop."""
        source = BrokerSource(options, self._services)
        self.sources.append(source)
        return source

    async def start(self) -> None:
        self._services.outbox.on_room(self._room_changed)
        for source in self.sources:
            source.room_changed(self._services.outbox.has_room())
            self._tasks.append(asyncio.create_task(source.run(), name=f"source {source.options.name}"))

    def stop_accepting(self) -> None:
        for source in self.sources:
            source.stop_accepting()

    async def drain(self, deadline_s: float) -> int:
        """Lets everything settle that was taken in, tells the brokers, and cuts what is left at the deadline.

        Returns how many messages were not settled; their brokers have no answer and send them again.
        """
        self.stop_accepting()
        try:
            async with asyncio.timeout(deadline_s):
                await asyncio.gather(*(source.finish() for source in self.sources))
                for source, task in zip(self.sources, self._tasks, strict=False):
                    if not source.counters.connected:
                        task.cancel()  # there is nobody to say goodbye to
                if self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            pass
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        return sum(source.counters.in_flight for source in self.sources)

    def health(self) -> ComponentHealth:
        return ComponentHealth.of_parts({source.options.name: source.health() for source in self.sources})

    def metrics(self) -> Iterator[Metric]:
        """For `Metrics.add`."""
        return source_families(source.counters for source in self.sources)

    def _room_changed(self, has_room: bool) -> None:
        for source in self.sources:
            source.room_changed(has_room)
