"""The Things Stack v3: its JSON messages under `v3/{application}@{tenant}/devices/{device_id}/{up|join|down/...}`.

Source: The Things Stack documentation, "Data Formats" and "MQTT Server"; webhooks send the same documents. Fields that
are empty, 0 or false are left out there.

product: brand and model of the device repository (`version_ids`). trace_id: the correlation id that the application
server made for this message; others of the list name connections and are the same in many messages.
"""

from __future__ import annotations

from collections.abc import Mapping

from decoders.envelopes.reading import MAX_TEXT, EnvelopeUp, Part, Reception, Tag, best_of, device_eui, product_name

__all__ = ["KIND", "looks_like", "open_document", "topic_device"]

KIND = "tts_v3"

_COMMANDS = (["down", "push"], ["down", "replace"])
"""What applications send: it is no message of the server."""

_OTHERS = (
    "join_accept",
    "downlink_ack",
    "downlink_nack",
    "downlink_sent",
    "downlink_failed",
    "downlink_queued",
    "downlink_queue_invalidated",
    "location_solved",
    "service_data",
    "uplink_normalized",  # comes beside the uplink_message of the same uplink
)

_BRANDS: Mapping[str, str] = {"milesight-iot": "milesight"}
"""Brands whose id in the device repository is not what our products begin with."""

_TRACES = ("as:up:", "ns:uplink:", "gs:uplink:")


def topic_device(levels: list[str]) -> str | None:
    """The device id that a topic names; None for a topic that is not of a message of the server."""
    if len(levels) >= 5 and levels[0] == "v3" and levels[2] == "devices" and levels[4:] not in _COMMANDS:
        return levels[3]
    return None


def looks_like(document: dict[str, object]) -> bool:
    """Whether it has what all messages have."""
    return isinstance(document.get("end_device_ids"), dict)


def open_document(document: Part) -> EnvelopeUp:
    """Raises DecodeError with the path of the field."""
    ids = document.part("end_device_ids")
    if ids is None:
        raise document.needs("end_device_ids", "what The Things Stack says of the device")
    device_id = device_eui(ids, "dev_eui") or ids.text("device_id")
    if not device_id:
        raise ids.needs("device_id", "the device's id")
    up = EnvelopeUp(KIND, device_id, trace_id=_trace(document))
    message = document.part("uplink_message")
    if message is None:
        if not any(name in document for name in _OTHERS):
            raise document.needs("uplink_message", "the message (or one of join_accept, downlink_ack, ...)")
        up.received = document.time("received_at")
        return up
    version = message.part("version_ids")
    if version is not None:
        brand = version.text("brand_id")
        up.product = product_name(_BRANDS.get(brand, brand), version.text("model_id"))
    up.received = message.time("received_at") or document.time("received_at")
    up.port = message.port("f_port")
    up.counter = message.counter("f_cnt") or 0
    up.payload = message.payload("frm_payload")
    up.is_data = bool(up.payload) and up.port > 0
    up.tags = _radio(message)
    return up


def _trace(document: Part) -> str:
    listed = document.values.get("correlation_ids")
    ids = [one for one in listed[:64] if isinstance(one, str)] if isinstance(listed, list) else []
    for beginning in _TRACES:
        for one in ids:
            if one.startswith(beginning) and len(one) <= MAX_TEXT:
                return one
    return ""


def _radio(message: Part) -> dict[str, Tag]:
    tags: dict[str, Tag] = {}
    heard = []
    for one in message.parts("rx_metadata"):
        gateway = one.part("gateway_ids")
        name = (gateway.name("gateway_id") or gateway.name("eui").lower()) if gateway is not None else ""
        heard.append(Reception(name, one.number("rssi"), one.number("snr")))
    best_of(heard, tags)
    settings = message.part("settings")
    if settings is not None:
        settings.said("frequency", tags, "frequency_hz")
        rate = settings.part("data_rate")
        lora = rate.part("lora") if rate is not None else None
        if lora is not None:
            lora.said("spreading_factor", tags, "spreading_factor")
    return tags
