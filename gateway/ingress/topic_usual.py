"""Messages like the one before them: JSON of nothing but values and times, from the same device under the same topic.

Most messages are, and so are most items of requests, which have no topic and name their device. What the topic reader
found for the first one holds for the next ones too while neither catalog nor directory changes, and is not asked for
again. Place in the walk: the topic reader asks first; whatever is unusual about a message is left to it, and it has the
word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from decoders.document_shapes import PROVEN
from decoders.json_text import read_plain
from decoders.plan import MessagePlan
from gateway.domain.ports import SignaturePort
from gateway.domain.receipt import Receipt
from gateway.domain.topic_message import TopicMessage
from gateway.domain.uplink import Uplink
from gateway.ingress.topic_devices import Entry, TopicDevices
from gateway.ingress.topic_documents import SPECIAL
from gateway.protocol.uplink_topics import TopicRoute

__all__ = ["UNSETTLED", "UsualTopics"]

UNSETTLED = Receipt()
"""Stands in an uplink until the flow gives it its own."""
_MAX_TOPICS = 65_536
_MAX_TOPIC = 256
_WHEN = frozenset({"device_timestamp", "header", "ts"})


class UsualTopics:
    """Remembers what messages under a topic were read with. Arguments as of the topic reader."""

    __slots__ = ("_devices", "_known", "_make_id", "_signatures")

    def __init__(self, devices: TopicDevices, make_id: Callable[[int], str], signatures: SignaturePort | None) -> None:
        self._devices = devices
        self._make_id = make_id
        self._signatures = signatures
        # By topic: the entry, the product that the payload names, tenant and device of the sender.
        self._known: dict[str, tuple[Entry, str, str, str]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def forget(self) -> None:
        """To be called when there is another catalog."""
        self._known.clear()

    def expect(self, message: TopicMessage, route: TopicRoute, entry: Entry, named: str) -> None:
        """A JSON object of values was read with this entry. named: the product that it names."""
        topic, speaker = message.topic, message.speaker
        own = speaker.device_id
        beside = message.content_type or message.properties or len(topic) > _MAX_TOPIC
        if beside or (own and route.device_id not in ("", own)):  # a hub is asked for each message of a child
            return
        if len(self._known) >= _MAX_TOPICS:
            self._known.clear()
        self._known[topic] = entry, named, speaker.tenant, own

    def read(self, message: TopicMessage) -> Uplink | None:
        """None: it has to be read as any other message. May raise anything, and has done nothing then."""
        known = self._known.get(message.topic)
        if known is None or message.properties or message.content_type:
            return None
        entry, named, tenant, own = known
        speaker, signatures = message.speaker, self._signatures
        if speaker.device_id != own or speaker.tenant != tenant or not self._devices.is_current(entry):
            return None
        if signatures is not None and signatures.check(message, entry.device.key.device_id) is not None:
            return None
        found = read_plain(message.payload)
        if found is None:
            return None
        document, colons = found
        if (document.get("productId") or "") != named:
            return None
        says_device = not SPECIAL.isdisjoint(document)
        if says_device:  # mostly the topic's once more, which adds nothing
            name = document.pop("device_id", None)
            if name.__class__ is not str or name != entry.route.device_id or not SPECIAL.isdisjoint(document):
                return None
            colons -= 1 + name.count(":")
        return self._uplink(message, entry, document, colons, says_device=says_device)

    def read_item(self, message: TopicMessage, route: TopicRoute, document: dict[str, Any] | None) -> Uplink | None:
        """The same of an item of a request. document: what it says, no key of it twice; None: that stands in its
        payload."""
        devices, speaker, colons = self._devices, message.speaker, PROVEN
        if devices.catalog() is not devices.known:
            return None
        if document is None:
            found = read_plain(message.payload)
            if found is None:
                return None
            document, colons = found
        own = speaker.device_id
        name, named = document.get("device_id"), document.get("productId") or ""
        says_device = name is not None
        if not says_device:
            name = own
        if name.__class__ is not str or named.__class__ is not str or (own and name != own):
            return None
        if says_device:
            document = document.copy()  # whoever reads it again needs all of it
            del document["device_id"]
            if colons != PROVEN:
                colons -= 1 + name.count(":")
        if not SPECIAL.isdisjoint(document):
            return None
        entry = devices.known_entry(route, speaker.tenant, named, name)
        return None if entry is None else self._uplink(message, entry, document, colons, says_device=says_device)

    def _uplink(
        self, message: TopicMessage, entry: Entry, document: dict[str, Any], colons: int, *, says_device: bool
    ) -> Uplink | None:
        """Of a document without the name of its device. says_device: it had it."""
        product, context, received_ms = entry.product, entry.context, message.received_ms
        context.received_ms = received_ms
        decoded = product.read_plain(document, colons, context)
        if decoded is None:
            return None
        plan, values = decoded.message, decoded.values
        if says_device and not _needs_no_device(plan, values, document):
            return None
        for _, name in plan.whole.identities:
            if name in values:
                return None
        return Uplink(
            self._make_id(received_ms),
            message.payload,
            received_ms,
            product,
            entry.device,
            UNSETTLED,
            message.listener,
            message.session_id,
            message.peer,
            decoded,
            None,
            context,
            False,
            (),
            message,
            entry.beside,
        )


def _needs_no_device(plan: MessagePlan, values: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether a document makes the same record without the name of its device: where this is no value of the spec, and
    times and trace id of the document are those of the record."""
    whole = plan.whole
    return (
        plan.traced
        and "device_id" not in plan.notes.notes
        and whole.device_time == "device_timestamp"
        and whole.hub_time == "hub_timestamp"
        and ("device_timestamp" in values or _WHEN.isdisjoint(document))
        and ("hub_timestamp" in values or "hub_timestamp" not in document)
    )
