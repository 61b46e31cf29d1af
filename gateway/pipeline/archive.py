"""The raw archive: a frame as it came, kept beside its records (schema `iotlink.raw/1`).

Place in the walk: the last stage of the chain, if it is switched on. What became a dead letter has its bytes there.
"""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from gateway.domain.record import RAW, Record
from gateway.domain.topic_message import TopicMessage
from gateway.domain.uplink import Uplink
from gateway.pipeline.shape import Numbering

__all__ = ["Archive"]


class Archive:
    """Makes the raw record of an uplink."""

    __slots__ = ("_env", "_numbering")

    def __init__(self, numbering: Numbering, env: str) -> None:
        self._numbering = numbering
        self._env = env

    def record(self, uplink: Uplink, records: int) -> Record:
        """records: how many came of the uplink. The raw record has the `record_id` of the first one (index 0); their
        common beginning, the uplink's id, finds the others."""
        numbering = self._numbering
        seq = numbering.seq = numbering.seq + 1
        device, message = uplink.device, uplink.message
        received = datetime.fromtimestamp(uplink.received_ms / 1000, UTC)
        record_id = f"{uplink.uplink_id}-0"
        body = {
            "schema": "iotlink.raw/1",
            "record_id": record_id,
            "type": RAW,
            "device_id": device.key.device_id,
            **({"hub_id": device.hub_id} if device.hub_id else {}),
            **({"productId": uplink.product.id} if uplink.product.id else {}),
            "ingest_timestamp": received.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "message": uplink.decoded.message.name if uplink.decoded is not None else "",
            "spec_version": uplink.product.version,
            "env": self._env,
            "raw_hex": uplink.raw.hex(),
            "records": records,
            "listener": uplink.listener,
            "session_id": uplink.session_id,
            "peer": uplink.peer,
            **({} if message is None else _heading(message)),
            "gateway_id": numbering.gateway_id,
            "epoch": numbering.epoch,
            "seq": seq,
        }
        return Record(record_id, RAW, uplink.product.id, device.key.lane, orjson.dumps(body), uplink.received_ms)


def _heading(message: TopicMessage) -> dict[str, object]:
    """What came with a payload under a topic. Halves of surrogate pairs cannot be in it: it was UTF-8."""
    heading: dict[str, object] = {"topic": message.topic}
    if message.content_type:
        heading["content_type"] = message.content_type
    if message.properties:
        heading["properties"] = message.properties
    return heading
