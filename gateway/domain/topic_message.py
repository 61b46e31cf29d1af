"""TopicMessage: one application message that came under a topic, and who sent it.

Place in the walk: MQTT clients, an existing broker, a bridge over REST and the replay of a dead letter all give these
to the topic flow, which makes Uplinks of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from gateway.domain.device import Principal


class Speaker(Protocol):
    """Who sent it, as access has proven. device_id: "" where no device is proven (open listeners, other clients)."""

    principal: Principal
    tenant: str
    device_id: str

    def may_speak_for(self, device_id: str) -> bool:
        """Whether data about this device is taken from it: its own, and of a hub that of its children."""
        ...


@dataclass(slots=True)
class Item:
    """One item of a request, which has no topic: what it says, as far as that is read already.

    document: JSON as Python values; None: the payload is bytes. columns: of a line of CSV, in the words of its product;
    (): it is none. device_id: whom a line is about, "" where only its values say it.
    """

    document: Any = None
    columns: tuple[str, ...] = ()
    device_id: str = ""


@dataclass(slots=True, eq=False)
class TopicMessage:
    """topic, payload: as published. received_ms: Unix ms of arrival. content_type: as MQTT 5.0 has it, or "".

    properties: user properties of MQTT 5.0 in their order, names may repeat. listener: of the face or the source.
    """

    topic: str
    payload: bytes
    received_ms: int
    speaker: Speaker
    listener: str
    session_id: str = ""
    peer: str = ""
    content_type: str = ""
    properties: tuple[tuple[str, str], ...] = ()
