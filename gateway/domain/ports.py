"""Where siblings meet: pipeline, delivery, devices and access know these, never each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from decoders.types import SessionContext
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.device import Device, DeviceKey, DeviceSecrets
from gateway.domain.reading import Reading, Refused
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.record import Record
from gateway.domain.state import State
from gateway.domain.topic_message import TopicMessage
from gateway.domain.uplink import Uplink


class OutboxPort(Protocol):
    """The only door out, and the only one that settles receipts. All calls are synchronous, on the event loop."""

    def has_room(self) -> bool:
        """False: nothing may be put now; the face stops reading (or answers 503)."""
        ...

    def put(self, receipt: Receipt, records: Sequence[Record], states: Sequence[State] = ()) -> None:
        """Takes the records of one uplink, in order. Settles ACCEPTED when all of them are durable, and `states` with
        them. Without records and states it settles at once. A record that can never fit settles REFUSED(too_large)."""
        ...

    def follow(self, receipt: Receipt, first: Receipt) -> None:
        """A second copy of an uplink: it settles when `first` does, DUPLICATE if that is kept, else as that."""
        ...

    def put_again(self, receipt: Receipt, record: Record, sink: str) -> None:
        """Takes a record that this sink buried once more, for this sink alone. Settles as `put` does."""
        ...

    def put_dead_letter(self, receipt: Receipt, letter: DeadLetter, states: Sequence[State] = ()) -> None:
        """Keeps the letter; settles DEAD_LETTERED when it is durable, and `states` after it."""
        ...

    def settle(self, receipt: Receipt, outcome: Outcome, reason: str = "") -> None:
        """Ends an uplink that leaves nothing to keep (login, heartbeat, duplicate, refused)."""
        ...

    def on_room(self, callback: Callable[[bool], None]) -> None:
        """Calls back with False when the outbox fills beyond its high mark and True when it is below its low mark."""
        ...


class AckingOutbox(OutboxPort, Protocol):
    """An outbox that tells what a receipt waits for whose `on_sink` is None."""

    @property
    def acks_on_sink(self) -> bool: ...


class DirectoryPort(Protocol):
    """What is known about devices. generation: another number after each change of what it says about any device."""

    @property
    def generation(self) -> int: ...

    def find(self, key: DeviceKey) -> Device | None: ...


class SecretsPort(DirectoryPort, Protocol):
    """The directory for those who check what devices prove themselves with. costs: what its credentials cost
    (`hash_cost`), each once. signs: whether any device has an `hmac_secret`."""

    @property
    def costs(self) -> Sequence[str]: ...

    @property
    def signs(self) -> bool: ...

    def secrets(self, key: DeviceKey) -> DeviceSecrets:
        """Empty ones for a device without, or that it does not list."""
        ...


class LearningDirectory(DirectoryPort, Protocol):
    """A directory that devices themselves may add to."""

    def learn(self, device: Device) -> bool:
        """Takes up a device that a hub's topology names. False: nothing changed, since the file lists it, another hub
        has named it, or there is no room."""
        ...


class UplinkFlow(Protocol):
    """What a face does with a decoded (or undecodable) message: pipeline, then outbox."""

    def receive(self, uplink: Uplink) -> None:
        """Runs the pipeline and hands the result to the outbox. Never raises; the receipt is settled now or later."""
        ...

    def refuse(self, receipt: Receipt, reason: str) -> None: ...

    def accept(self, receipt: Receipt) -> None:
        """Ends an uplink that nobody is named in and that leaves nothing to keep."""
        ...


class TopicFlowPort(Protocol):
    """What becomes of a message under a topic: uplinks, each through the pipeline into the outbox."""

    def receive(self, message: TopicMessage, receipt: Receipt, states: Sequence[State] = ()) -> None:
        """Never raises; the receipt is settled now or later, when all that came of the message is durable, and
        `states` with it. A message that is no uplink is accepted."""
        ...


class TopicReaderPort(Protocol):
    """Reads messages under topics; keeps and changes nothing."""

    def read(self, message: TopicMessage) -> Uplink | Reading | Refused | None:
        """None: no uplink. An Uplink stands for a reading that has nothing else. Never raises."""
        ...

    def read_again(
        self, message: TopicMessage, uplink_id: str, session: SessionContext, *, verified: bool
    ) -> Uplink | Reading | Refused | None:
        """The same for a dead letter. uplink_id: its own; several uplinks are told apart behind it. session: what was
        known then. verified: its signature has been checked."""
        ...


class SignaturePort(Protocol):
    """Checks signed payloads."""

    def check(self, message: TopicMessage, device_id: str) -> str | None:
        """The reason of a dead letter (`bad_signature`), or None where the payload may be read. device_id: of the
        speaker's tenant: whom the topic names, or who sends."""
        ...


class PresencePort(Protocol):
    """Who is there, as devices and their connections say."""

    def online(self, key: DeviceKey, unix_ms: int) -> None: ...

    def offline(self, key: DeviceKey, unix_ms: int) -> None: ...


class FrameTap(Protocol):
    """Seam through which every frame, decision and reply of a session can be watched."""

    enabled: bool

    def frame(self, session_id: str, direction: str, data: bytes, note: str) -> None: ...
