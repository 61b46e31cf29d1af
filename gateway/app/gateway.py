"""Gateway: puts all parts together, starts them in order and ends them in order.

Start: identity of this run, sinks and dead letters, observe port, the ports of devices, sources. What cannot work
raises OperatorError before anything listens. End (SIGTERM, SIGINT): not ready, stop accepting, settle what was taken
in, close, exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib import metadata

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from decoders.catalog import Catalog
from decoders.errors import SpecError
from gateway.access.admission import Admission, Provisioning
from gateway.admin.dead_letters import DeadLetterRoutes
from gateway.admin.replay import Replayer
from gateway.admin.rereading import Rereader
from gateway.admin.server import AdminServer
from gateway.app.drain import Steps
from gateway.app.mqtt import MqttFace, make_mqtt
from gateway.app.parts import Parts
from gateway.app.rest import RestFace, make_idempotency, make_rest
from gateway.app.sources import make_sources
from gateway.app.tcp import make_tcp
from gateway.app.topics import Topics
from gateway.delivery.dead_letters import DeadLetterStore, WhenFull
from gateway.delivery.outbox import Outbox
from gateway.delivery.setup import make_outbox
from gateway.delivery.spool.values import StateKeeper
from gateway.delivery.watch import DeliveryWatch
from gateway.devices.directory import FileDirectory
from gateway.devices.presence import Presence
from gateway.devices.sessions import SessionRegistry
from gateway.domain.errors import ConfigError, OperatorError
from gateway.domain.state import StateKind
from gateway.ingress.broker_source import BrokerSources
from gateway.ingress.clock import Clock, IdSource
from gateway.ingress.flow import Flow
from gateway.ingress.mqtt_flow import MqttMemory
from gateway.ingress.tcp import TcpServer
from gateway.lifecycle import Lifecycle, Phase
from gateway.observe.emf import FigureLines
from gateway.observe.health import ComponentHealth, HealthBoard, State
from gateway.observe.http import ObserveServer
from gateway.observe.logs import tell_suppressed
from gateway.observe.loop_watch import LoopWatch
from gateway.observe.metrics import Metrics
from gateway.observe.tap import Tap
from gateway.pipeline.archive import Archive
from gateway.pipeline.chain import Chain
from gateway.pipeline.dedup import Dedup
from gateway.pipeline.shape import Numbering, Shaper
from gateway.settings import model
from gateway.settings.identity import ECS_METADATA, gateway_id, next_epoch
from gateway.settings.limits import file_limit_problem

__all__ = ["Gateway", "load_directory", "version"]

_log = structlog.get_logger(__name__)

_DELIVERY_S = 1.0
"""Of `drain.limit_s`, what is left for the outbox when connections take all the time."""

_METADATA_TIMEOUT_S = 2.0


def version() -> str:
    """Version of the installed package."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version("iotlink-gateway")
    return "0"


def load_directory(settings: model.Settings) -> FileDirectory:
    """The devices of `gateway.devices_file`. Raises ConfigError with file:line:column."""
    path = settings.gateway.devices_file
    if path is None:
        return FileDirectory()
    try:
        return FileDirectory.from_text(path.read_text("utf-8"), str(path))
    except SpecError as error:
        raise ConfigError(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"gateway.devices_file {path}: cannot be read: {error}") from None


class Gateway:
    """One running gateway. Built from settings and a catalog; `run` returns when it has ended."""

    def __init__(self, settings: model.Settings, catalog: Catalog, directory: FileDirectory) -> None:
        self.settings = settings
        self.catalog = catalog
        self.metrics = Metrics()
        self.clock = Clock()
        self.lifecycle = Lifecycle(time.monotonic)
        self.sessions = SessionRegistry()
        self.tap = Tap(log_frames=settings.log.level == "debug")
        self._directory = directory
        self._admission = Admission(directory, Provisioning(settings.provisioning))
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

        letters = settings.dead_letters
        self.letters = DeadLetterStore(
            letters.dir,
            self.metrics.dead_letters,
            max_bytes=letters.max_bytes,
            when_full=WhenFull(letters.when_full),
            max_age_days=letters.max_age_days,
        )
        self.watch = DeliveryWatch(list(settings.sinks), self.clock.unix_ms, self.metrics)
        self.dedup = Dedup()
        self.presence = Presence()
        self.health = HealthBoard(self.clock.unix_ms)
        observe = settings.observe
        self.figures = self._figures(observe.emf) if observe.emf is not None else None
        chores = [self.health.look, tell_suppressed, *([self.figures.turn] if self.figures is not None else [])]
        self.loop_watch = LoopWatch(self.metrics.registry, chores)
        self.observe = ObserveServer(
            self.metrics,
            self.lifecycle,
            self.health,
            host=observe.host,
            port=observe.port,
            version=version(),
            clock=time.monotonic,
        )
        self.observe.add_probe("spool", self.watch.problem)
        self.health.add("spool", self.watch.spool_health)
        self.health.add("dead_letters", self._letters_health)
        self.health.add("sinks", self.watch.sinks_health)
        self.health.add("presence", self.presence.health)
        self.metrics.add(self._info)
        self.metrics.add(self._dedup_families)
        self.metrics.add(self._presence_families)
        self.metrics.add(self.watch.metrics)
        self.tcp: TcpServer | None = None
        self.mqtt: MqttFace | None = None
        self.rest: RestFace | None = None
        self.sources: BrokerSources | None = None
        self.admin: AdminServer | None = None
        self.replayer: Replayer | None = None

    async def run(self, on_ready: Callable[[], None] | None = None) -> int:
        """Serves until `stop` or a signal; returns how many uplinks had to be refused at the end.

        on_ready: called once everything listens. Raises OperatorError when it cannot start, and whatever ended the
        delivery; receipts are settled before.
        """
        problem = file_limit_problem(self.settings)
        if problem:
            raise OperatorError(problem)
        self._catch_signals()
        numbering = await asyncio.to_thread(self._numbering)
        settings = self.settings
        memory = MqttMemory()
        keys = make_idempotency(settings)
        keepers: dict[StateKind, StateKeeper] = {
            StateKind.DEDUP: self.dedup,
            StateKind.MQTT: memory,
            StateKind.IDEMPOTENCY: keys,
        }
        outbox = make_outbox(settings, numbering.gateway_id, self.letters, self.metrics, keepers)
        shaper = Shaper(numbering, settings.gateway.env, self._directory)
        archive = Archive(numbering, settings.gateway.env) if settings.raw_archive.enabled else None
        chain = Chain(shaper, archive, self.dedup)
        parts = Parts(
            settings,
            self.catalog,
            self._directory,
            self._admission,
            Flow(chain, outbox),
            outbox,
            self.metrics,
            self.tap,
            self.clock,
            IdSource(),
        )
        self.tcp = make_tcp(parts, self.sessions)
        topics = Topics(parts, self.presence)
        self.mqtt = make_mqtt(parts, topics, memory)
        self.rest = make_rest(parts, topics, self.presence, keys)
        self.sources = make_sources(parts, topics, numbering.gateway_id)
        self.health.add("tcp", lambda: ComponentHealth(facts={"sessions": len(self.sessions)}))
        self.health.add("mqtt", self.mqtt.health)
        if self.rest.server.listeners:
            self.health.add("rest", self.rest.health)
        if self.sources is not None:
            self.health.add("sources", self.sources.health)
        self.letters.gateway_id = numbering.gateway_id
        self._add_admin(chain, outbox, topics)
        await outbox.start()
        self.watch.outbox = outbox
        outbox.on_room(self.watch.on_room)
        delivery = asyncio.create_task(outbox.run(), name="delivery")
        self.loop_watch.start()
        try:
            await self.observe.start()
            if self.replayer is not None and self.admin is not None:
                self.replayer.start()
                await self.admin.start()
            for face in self._faces():
                await face.start()
            self.lifecycle.move(Phase.RUNNING)
            _log.info(
                "started",
                version=version(),
                gateway_id=numbering.gateway_id,
                epoch=numbering.epoch,
                products=sorted(self.catalog.products),
                sinks=sorted(settings.sinks),
                ack_on=settings.ack_on,
            )
            if on_ready is not None:
                on_ready()
            await self._until_stopped(delivery)
        finally:
            stranded = await self._end(outbox, delivery)
        return stranded

    def _faces(self) -> list[TcpServer | MqttFace | RestFace | BrokerSources]:
        return [face for face in (self.tcp, self.mqtt, self.rest, self.sources) if face is not None]

    def stop(self) -> None:
        """Asks the gateway to end: it settles what it has and returns from `run`. Asked again: without
        further notice."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread
                loop.add_signal_handler(number, self.stop)

    async def _until_stopped(self, delivery: asyncio.Task[None]) -> None:
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        await asyncio.wait((stopping, delivery), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()

    async def _end(self, outbox: Outbox, delivery: asyncio.Task[None]) -> int:
        """Ends everything in the order in which nothing acknowledged is lost. Returns how many uplinks were refused."""
        drain, steps = self.settings.drain, Steps()
        self.lifecycle.move(Phase.DRAINING)
        connections = len(self.sessions) + (self.mqtt.connected if self.mqtt is not None else 0)
        _log.info("draining", connections=connections, uplinks_in_flight=self.metrics.in_flight())
        if drain.notice_s:
            await self._give_notice(drain.notice_s, delivery)
            steps.ended("notice")
        cut = 0
        if self.replayer is not None and self.admin is not None:
            await self.replayer.stop()
            await self.admin.stop()
        for face in self._faces():
            face.stop_accepting()
        alive = not delivery.done()
        if alive:
            cut = await self._drain_faces(max(0.0, drain.limit_s - steps.seconds - _DELIVERY_S))
            steps.ended("sessions", cut=cut)
        stranded = await outbox.drain(max(_DELIVERY_S, drain.limit_s - steps.seconds))
        steps.ended("delivery", refused=stranded)
        if not alive:  # what they wait for is refused by now
            cut = await self._drain_faces(1.0)
        self.loop_watch.stop()
        if self.figures is not None:
            with contextlib.suppress(OSError):  # nobody reads stdout any more
                self.figures.end()
        await self.observe.stop()
        self.lifecycle.move(Phase.STOPPED)
        _log.info("stopped", refused=stranded, cut=cut, seconds=round(steps.seconds, 3))
        await delivery  # what ended it is raised here
        return stranded

    async def _give_notice(self, notice_s: float, delivery: asyncio.Task[None]) -> None:
        """Goes on as before while who asks `/readyz` learns that it will not for long."""
        hurry = asyncio.create_task(self._hurry.wait(), name="hurry")
        await asyncio.wait((hurry, delivery), timeout=notice_s, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()

    async def _drain_faces(self, deadline_s: float) -> int:
        """Returns how many connections were cut."""
        return sum(await asyncio.gather(*(face.drain(deadline_s) for face in self._faces())))

    def _numbering(self) -> Numbering:
        data_dir = self.settings.gateway.data_dir
        name = gateway_id(self.settings, data_dir, os.environ, _fetch)
        if ECS_METADATA in os.environ and self.settings.gateway.id != "auto":
            _log.warning(
                "gateway_id_fixed",
                gateway_id=name,
                detail="tasks that share this configuration share the id, and their records cannot be told apart: "
                "set `gateway.id: auto`",
            )
        return Numbering(name, next_epoch(data_dir, self.clock.unix_ms()))

    def _add_admin(self, chain: Chain, outbox: Outbox, topics: Topics) -> None:
        admin = self.settings.admin
        if admin is None or not admin.enabled:
            return
        trial = Chain(Shaper(Numbering("", 0), self.settings.gateway.env, self._directory))  # leaves no trace
        rereader, dry = (
            Rereader(lambda: self.catalog, self._directory, self._admission, one, topics.reader)
            for one in (chain, trial)
        )
        counters = self.metrics.dead_letters
        self.replayer = Replayer(self.letters, rereader, dry, outbox, counters, self.settings.sinks)
        self.admin = AdminServer(DeadLetterRoutes(self.replayer), self.metrics, host=admin.host, port=admin.port)

    def _figures(self, emf: model.EmfSettings) -> FigureLines:
        return FigureLines(
            self.metrics.registry.collect,
            functools.partial(print, flush=True),
            namespace=emf.namespace,
            service=emf.service,
            unix_ms=self.clock.unix_ms,
        )

    def _info(self) -> Iterator[Metric]:
        catalog = {"digest": self.catalog.digest[:12], "generation": str(self.catalog.generation)}
        yield InfoMetricFamily("iotlink_catalog", "The specs in use.", value=catalog)
        generation, products = self.catalog.generation, len(self.catalog.products)
        yield GaugeMetricFamily("iotlink_catalog_generation", "Rises with every change of specs.", value=generation)
        yield GaugeMetricFamily("iotlink_catalog_products", "Products that the gateway understands.", value=products)
        yield GaugeMetricFamily("iotlink_tcp_sessions", "Devices with a TCP session.", value=len(self.sessions))
        yield CounterMetricFamily(
            "iotlink_tcp_takeovers", "Sessions ended by a newer one of the same device.", value=self.sessions.takeovers
        )

    def _letters_health(self) -> ComponentHealth:
        letters = self.metrics.dead_letters
        facts = {"bytes": letters.stored_bytes, "capacity_bytes": letters.capacity_bytes}
        if letters.last_error:
            return ComponentHealth(State.DOWN, letters.last_error, facts)
        if letters.nearly_full:
            text = f"nearly full; `when_full: {self.settings.dead_letters.when_full}` says what happens then"
            return ComponentHealth(State.DEGRADED, text, facts)
        return ComponentHealth(facts=facts)

    def _dedup_families(self) -> Iterator[Metric]:
        dedup = self.dedup
        yield GaugeMetricFamily("iotlink_dedup_keys", "Messages whose copies would be known.", value=dedup.keys)
        yield CounterMetricFamily(
            "iotlink_dedup_evicted", "Keys of messages forgotten too early for want of room.", value=dedup.evicted
        )

    def _presence_families(self) -> Iterator[Metric]:
        presence = self.presence
        devices = GaugeMetricFamily("iotlink_devices", "Devices by what they say of themselves.", labels=["presence"])
        devices.add_metric(["online"], presence.online_count)
        devices.add_metric(["offline"], presence.offline_count)
        yield devices


def _fetch(url: str) -> bytes:
    """GET of the ECS metadata endpoint, which is link-local and plain HTTP by its specification."""
    with urllib.request.urlopen(url, timeout=_METADATA_TIMEOUT_S) as answer:
        body: bytes = answer.read()
        return body
