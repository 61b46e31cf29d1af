"""StreamListener and StreamServer: listening addresses, their connections' deadlines, and their orderly end.

Place in the walk: the beginning. Each accepted connection gets a StreamFace; this module only opens, sweeps and closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from gateway.access.limits import ConnectionLimits
from gateway.domain.errors import CloseReason, OperatorError
from gateway.domain.ports import OutboxPort
from gateway.ingress.accepting import Acceptor
from gateway.ingress.stream_face import OpenSession, SteadyClock, StreamContext, StreamFace, StreamOptions
from gateway.observe.events import close_lines
from gateway.observe.listening import cannot_listen, tell_listening
from gateway.observe.metrics import ListenerCounters
from gateway.protocol.session_ports import RoomGate

__all__ = ["StreamListener", "StreamServer"]

_log = structlog.get_logger(__name__)

SWEEP_S = 1.0
"""How often deadlines are looked at: one timer for all connections, so that a packet costs no timer."""

SLICE = 200
"""Connections that end together when the gateway goes down."""


class StreamListener:
    """One listening address with its connections.

    face: what is spoken there, for the log. opening_timeout_ms: until a connection has its session; 0: for ever.
    make_id: id of a session from its time of arrival (Unix ms). refuse_session: see `StreamContext`.
    """

    def __init__(
        self,
        face: str,
        options: StreamOptions,
        open_session: OpenSession,
        *,
        opening_timeout_ms: int,
        make_id: Callable[[int], str],
        clock: SteadyClock,
        counters: ListenerCounters,
        gate: RoomGate,
        refuse_session: OpenSession | None = None,
        max_refusals: int = 0,
    ) -> None:
        self.face = face
        self.options = options
        self._drained = asyncio.Event()
        self._clock = clock
        self._context = StreamContext(
            options,
            open_session,
            opening_timeout_ms,
            make_id,
            gate,
            clock,
            ConnectionLimits(options.max_connections, options.max_per_ip),
            counters,
            close_lines(),
            on_empty=self._drained.set,
            refuse_session=refuse_session,
            max_refusals=max_refusals,
            max_unread_bytes=options.max_write_buffer_bytes,
        )
        self._acceptor = Acceptor(options.name, lambda: StreamFace(self._context), options.backlog)

    def add_unread(self, size: int) -> None:
        """Lets what a peer has not read be longer by so much: one message that large is no sign of a slow reader."""
        self._context.max_unread_bytes = self.options.max_write_buffer_bytes + size

    @property
    def connections(self) -> int:
        return len(self._context.faces)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: host and port."""
        return self._acceptor.addresses

    async def start(self) -> None:
        """Raises OperatorError if the address cannot be had."""
        options = self.options
        try:
            await self._acceptor.open(options.host, options.port)
        except (OSError, UnicodeError) as error:
            who = f"{self.face} listener {options.name}"
            raise cannot_listen(who, options.host, options.port, error, options.setting) from error
        tell_listening(self.face, options.name, self.addresses)

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
        self._acceptor.close()

    async def drain(self, spread_s: float = 0.0) -> None:
        """Ends all connections, each as soon as what it has in flight is answered; the last of them begin to end after
        `spread_s`."""
        await self._acceptor.settled()
        self._drained.clear()
        faces = list(self._context.faces)
        slices = [faces[start : start + SLICE] for start in range(0, len(faces), SLICE)]
        for number, part in enumerate(slices):
            if number:
                await asyncio.sleep(spread_s / (len(slices) - 1))
            for face in part:
                face.drain()
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


class StreamServer:
    """All listeners of one kind. Life: start, stop_accepting, drain. spread_s: over which connections end."""

    def __init__(self, outbox: OutboxPort, spread_s: float = 0.0) -> None:
        self._spread_s = spread_s
        self.gate = RoomGate()
        self.listeners: list[StreamListener] = []
        self._outbox = outbox
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Opens all listeners, or none: raises OperatorError for the first that cannot be opened."""
        self.gate.open = self._outbox.has_room()
        self._outbox.on_room(self._room_changed)
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

        Returns how many were cut. Their peers got no answer and will send again.
        """
        self.stop_accepting()
        try:
            async with asyncio.timeout(deadline_s), asyncio.TaskGroup() as tasks:
                for listener in self.listeners:
                    tasks.create_task(listener.drain(self._spread_s), name=f"drain {listener.options.name}")
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
        self.gate.open = has_room
        for listener in self.listeners:
            listener.room_changed(self.gate)
