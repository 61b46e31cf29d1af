"""TcpServer: the TCP listeners, their connections' deadlines, and their orderly end.

Place in the walk: the beginning. Each accepted connection gets a TcpFace; this module only opens, sweeps and closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from decoders.product import CompiledProduct
from gateway.access.limits import ConnectionLimits
from gateway.domain.errors import CloseReason, OperatorError
from gateway.domain.ports import FrameTap, OutboxPort, UplinkFlow
from gateway.ingress.clock import IdSource
from gateway.ingress.close_log import CloseLog
from gateway.ingress.tcp_face import FaceContext, ListenerOptions, SteadyClock, TcpFace
from gateway.observe.metrics import Metrics
from gateway.protocol.session_ports import AdmissionPort, RoomGate, SessionPlace, SessionPorts

__all__ = ["ListenerOptions", "TcpListener", "TcpServer", "TcpServices"]

_log = structlog.get_logger(__name__)

SWEEP_S = 1.0
"""How often deadlines are looked at: one timer for all connections, so that a packet costs no timer."""

SLICE = 200
"""Connections closed in one turn of the event loop when the gateway goes down."""


@dataclass(slots=True)
class TcpServices:
    """What the listeners need of the rest of the gateway."""

    flow: UplinkFlow
    outbox: OutboxPort
    admission: AdmissionPort
    place: SessionPlace
    tap: FrameTap
    metrics: Metrics
    clock: SteadyClock
    ids: IdSource


class TcpListener:
    """One listening address with its connections. products: who may speak here, asked for each connection."""

    def __init__(
        self,
        options: ListenerOptions,
        products: Callable[[], Sequence[CompiledProduct]],
        services: TcpServices,
        gate: RoomGate,
    ) -> None:
        self.options = options
        self._drained = asyncio.Event()
        self._clock = services.clock
        self._server: asyncio.Server | None = None
        ports = SessionPorts(
            listener=options.name,
            tenant=options.tenant,
            limits=options.limits,
            admission=services.admission,
            place=services.place,
            flow=services.flow,
            make_id=services.ids.make,
            unix_ms=services.clock.unix_ms,
            tap=services.tap,
            gate=gate,
            traffic=lambda product: services.metrics.traffic(options.name, product),
        )
        limits = ConnectionLimits(options.max_connections, options.max_per_ip)
        self._context = FaceContext(
            options,
            products,
            ports,
            services.clock,
            limits,
            services.metrics.listener(options.name),
            CloseLog(options.name),
            on_empty=self._drained.set,
        )

    @property
    def connections(self) -> int:
        return len(self._context.faces)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: host and port."""
        return [sock.getsockname()[:2] for sock in self._server.sockets] if self._server is not None else []

    async def start(self) -> None:
        """Raises OperatorError if the address cannot be had."""
        options = self.options
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: TcpFace(self._context), options.host, options.port, backlog=options.backlog
            )
        except OSError as error:
            where = f"{options.host}:{options.port}"
            raise OperatorError(f"tcp listener {options.name}: cannot listen on {where}: {error.strerror}") from error
        for host, port in self.addresses:
            _log.info("listening", face="tcp", listener=options.name, host=host, port=port)

    def sweep(self) -> None:
        """Holds the deadlines of all connections."""
        now_ms = self._clock.steady_ms()
        for face in list(self._context.faces):
            face.on_clock(now_ms)

    def room_changed(self, gate: RoomGate) -> None:
        """Holds back or resumes reading on all connections."""
        faces = self._context.faces
        for face in list(faces):
            if not gate.open:
                face.room_changed(False)
                continue
            del faces[face]  # to the end of the queue: the next time others come first
            faces[face] = None
            face.room_changed(True)
            if not gate.open:
                return  # its frames have filled the outbox again; the nested call has held all connections

    def stop_accepting(self) -> None:
        if self._server is not None:
            self._server.close()

    async def drain(self) -> None:
        """Ends all connections, each as soon as what it has in flight is answered."""
        self._drained.clear()
        for index, face in enumerate(list(self._context.faces)):
            face.drain()
            if index % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        await self.ended()

    async def ended(self) -> None:
        """Returns when no connection is left."""
        if self._context.faces:
            await self._drained.wait()

    def abort(self) -> int:
        """Cuts the connections that are left; returns how many."""
        faces = list(self._context.faces)
        for face in faces:
            face.abort(CloseReason.SHUTDOWN)
        return len(faces)


class TcpServer:
    """All TCP listeners. Life: start, stop_accepting, drain."""

    def __init__(self, services: TcpServices) -> None:
        self._services = services
        self._gate = RoomGate()
        self._timer: asyncio.TimerHandle | None = None
        self.listeners: list[TcpListener] = []

    def add(self, options: ListenerOptions, products: Callable[[], Sequence[CompiledProduct]]) -> TcpListener:
        """Adds a listener before the start."""
        listener = TcpListener(options, products, self._services, self._gate)
        self.listeners.append(listener)
        return listener

    async def start(self) -> None:
        """Opens all listeners, or none: raises OperatorError for the first that cannot be opened."""
        self._gate.open = self._services.outbox.has_room()
        self._services.outbox.on_room(self._room_changed)
        try:
            for listener in self.listeners:
                await listener.start()
        except OperatorError:
            self.stop_accepting()
            raise
        self._sweep()

    def stop_accepting(self) -> None:
        for listener in self.listeners:
            listener.stop_accepting()

    async def drain(self, deadline_s: float) -> int:
        """Stops accepting, lets every connection end once it is answered, and cuts those left at the deadline.

        Returns how many were cut. Their devices got no answer and will send again.
        """
        self.stop_accepting()
        try:
            async with asyncio.timeout(deadline_s), asyncio.TaskGroup() as tasks:
                for listener in self.listeners:
                    tasks.create_task(listener.drain(), name=f"drain {listener.options.name}")
        except TimeoutError:
            pass
        if self._timer is not None:
            self._timer.cancel()
        cut = sum(listener.abort() for listener in self.listeners)
        if cut:
            _log.warning("connections_cut", count=cut)
            for listener in self.listeners:
                await listener.ended()
        return cut

    def sweep(self) -> None:
        """Looks at all deadlines now."""
        for listener in self.listeners:
            listener.sweep()

    def _sweep(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        self.sweep()

    def _room_changed(self, has_room: bool) -> None:
        self._gate.open = has_room
        for listener in self.listeners:
            listener.room_changed(self._gate)
