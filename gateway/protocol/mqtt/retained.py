"""Retained: the last message of each topic that asked for it (5.0 section 3.3.1.3), within bounds.

Place in the walk: the broker puts messages in, and takes out what a new subscription is to get.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.protocol.mqtt.message import Message
from gateway.protocol.mqtt.ports import BrokerLimits, DropReason, MqttCounts
from gateway.protocol.mqtt.topic_tree import NameTree

__all__ = ["Retained"]


class Retained:
    __slots__ = ("_counts", "_limits", "_tree")

    def __init__(self, limits: BrokerLimits, counts: MqttCounts) -> None:
        self._tree: NameTree[Message] = NameTree()
        self._limits = limits
        self._counts = counts

    def put(self, message: Message) -> bool:
        """Retains a message in place of the topic's former one; without a payload it only takes that away
        (MQTT-3.3.1-5, -6, -7). False: nothing has changed, for there was none, or there is no room (counted)."""
        counts, limits = self._counts, self._limits
        before = self._tree.get(message.topic)
        if not message.payload:
            return before is not None and self._drop(before)
        size = counts.retained_bytes + message.size - (before.size if before is not None else 0)
        if size > limits.max_retained_bytes or (before is None and counts.retained >= limits.max_retained):
            counts.dropped[DropReason.RETAINED_FULL] += 1
            # What was retained is no longer the last message of its topic.
            return before is not None and self._drop(before)
        self._tree.put(message.topic, message)
        counts.retained += before is None
        counts.retained_bytes = size
        return True

    def find(self, topic_filter: str, now_ms: int) -> list[Message]:
        """What a plain filter matches; what has expired is taken away (MQTT-3.3.2-5)."""
        found = []
        for _, message in self._tree.find(topic_filter):
            if message.expired(now_ms):
                self._drop(message)
                self._counts.dropped[DropReason.EXPIRED] += 1
            else:
                found.append(message)
        return found

    def __iter__(self) -> Iterator[Message]:
        return iter(self._tree.values())

    def _drop(self, message: Message) -> bool:
        self._tree.drop(message.topic)
        self._counts.retained -= 1
        self._counts.retained_bytes -= message.size
        return True
