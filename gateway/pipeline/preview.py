"""What would become of one frame: its values, records and replies, with nothing kept and nobody answered.

Place in the walk: none; `iotlink decode` runs frames through the same decoder and the same stages as the gateway.
"""

from __future__ import annotations

from typing import Any

import orjson

from decoders.compile import CompiledProduct
from decoders.errors import DecodeError
from decoders.plan import Decoded
from decoders.types import Identity, SessionContext, ViolationCode
from gateway.domain.device import Device, DeviceKey
from gateway.domain.receipt import Receipt
from gateway.domain.uplink import Uplink
from gateway.pipeline.chain import Chain
from gateway.pipeline.shape import Numbering, Shaper

__all__ = ["Preview", "refusal"]

_RECORD_KEYS = (
    *("type", "device_id", "hub_id", "childDeviceId", "productId", "device_timestamp", "hub_timestamp"),
    *("metrics", "data", "units", "measurement", "message", "spec_version", "data_type", "trace_id", "flags"),
)
"""What of a record does not depend on the gateway or on the moment."""
_MAX_DEVICES = 4096


class _NobodyKnown:
    """A directory without devices."""

    generation = 0

    def find(self, key: DeviceKey) -> Device | None:
        return None


def refusal(code: str, detail: str, *, offset: int | None = None, field: str = "") -> dict[str, Any]:
    """The answer for input that could not be read; `values` may be put in."""
    return {"ok": False, "error": {"code": code, "offset": offset, "field": field, "detail": detail}, "values": {}}


class Preview:
    """Reads single frames of one product (or one variant of it)."""

    def __init__(self, product: CompiledProduct) -> None:
        self.product = product
        directory = _NobodyKnown()
        self._chain = Chain(Shaper(Numbering("", 0), "", directory))
        self._devices: dict[tuple[str, str], Device] = {}

    def read(self, wire: bytes, context: SessionContext, now_ms: int, *, text: bool = False) -> dict[str, Any]:
        """The answer as JSON: `ok`, `product`, `message`, `device_id`, `values`, `records`, `replies`, `violations`;
        or `ok` false, `error` and the values that were read before it.

        wire: one whole frame, or a payload, which may be known to be `text`. context: what a session would know; it
        learns from the frame. now_ms: Unix ms that replies take as the time. Never raises on any bytes.
        """
        product = self.product
        try:
            decoded = product.read(wire, context, text=text)
        except DecodeError as error:
            answer = refusal(error.code.value, error.detail, offset=error.offset, field=error.field)
            answer["values"] = error.values
            return answer
        identity = product.identity(decoded) if context.device_id else product.login(decoded)
        device = self._device(identity, context)
        if identity is not None:
            product.remember(decoded, context)
        name = decoded.message.name
        return {
            "ok": True,
            "product": product.id,
            "message": name,
            "device_id": _speaker(identity) or device.key.device_id or None,
            "values": decoded.values,
            "records": self._records(wire, device, decoded, context.received_ms),
            "replies": [reply.hex() for reply in product.replies(name, decoded.values, context, now_ms, decoded.kind)],
            "violations": [{"field": item.field, "code": item.code.value} for item in decoded.violations or ()],
        }

    def _device(self, identity: Identity | None, context: SessionContext) -> Device:
        """Who holds the connection: whom the frame names, else whom the session knows."""
        hub_id = identity.hub_id if identity is not None else ""
        name = hub_id or (identity.device_id if identity is not None else "") or context.device_id
        device = self._devices.get((name, hub_id))
        if device is None:
            if len(self._devices) >= _MAX_DEVICES:
                self._devices.clear()
            device = self._devices[name, hub_id] = Device(DeviceKey("", name), hub_id=hub_id, known=False)
        return device

    def _records(self, wire: bytes, device: Device, decoded: Decoded, received_ms: int) -> list[dict[str, Any]]:
        uplink = Uplink("", wire, received_ms, self.product, device, Receipt(), "", "", decoded=decoded)
        made = self._chain.run(uplink)
        if not isinstance(made, list):
            return []
        return [_record(orjson.loads(record.body), dated=received_ms != 0) for record in made]


def _speaker(identity: Identity | None) -> str:
    return identity.child_id or identity.device_id or identity.hub_id if identity is not None else ""


def _record(body: dict[str, Any], *, dated: bool) -> dict[str, Any]:
    """dated: the time of arrival is known, so that the device's clock can be judged."""
    record = {key: body[key] for key in _RECORD_KEYS if key in body}
    if not record["device_id"]:
        del record["device_id"]
    if not dated and "flags" in record:
        record["flags"] = [flag for flag in record["flags"] if flag["code"] != ViolationCode.CLOCK_OFF.value]
        if not record["flags"]:
            del record["flags"]
    return record
