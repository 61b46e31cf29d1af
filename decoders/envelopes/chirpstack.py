"""ChirpStack v4: its JSON events under `application/{id}/device/{devEui}/event/{event}`.

Source: ChirpStack documentation, "Integrations", "Event types", and `integration.proto` of its public API in protobuf's
JSON mapping. Events: up, status, join, ack, txack, log, location, integration; only `up` holds a device's payload.

product: the device's tag `product` (set on the device or its profile), else the name of its profile. Other tags are the
operator's own (customers, places) and stay behind.
"""

from __future__ import annotations

from decoders.envelopes.reading import EnvelopeUp, Part, Reception, Tag, best_of, device_eui, product_name

__all__ = ["KIND", "looks_like", "open_document", "topic_device"]

KIND = "chirpstack_v4"


def topic_device(levels: list[str]) -> str | None:
    """The DevEUI that a topic names, as it stands there; None for a topic that is not of an event."""
    if len(levels) == 6 and levels[0] == "application" and levels[2] == "device" and levels[4] == "event":
        return levels[3]
    return None


def looks_like(document: dict[str, object]) -> bool:
    """Whether it has what all events have."""
    info = document.get("deviceInfo")
    return isinstance(info, dict) and "devEui" in info


def open_document(document: Part) -> EnvelopeUp:
    """Raises DecodeError with the path of the field."""
    info = document.part("deviceInfo")
    if info is None:
        raise document.needs("deviceInfo", "what ChirpStack v4 says of the device")
    device_id = device_eui(info, "devEui")
    if not device_id:
        raise info.needs("devEui", "the device's DevEUI")
    tags = info.part("tags")
    product = tags.name("product") if tags is not None else ""
    up = EnvelopeUp(KIND, device_id, product_name(product or info.text("deviceProfileName")))
    up.received = document.time("time")
    up.trace_id = document.text("deduplicationId")
    up.port = document.port("fPort")
    up.counter = document.counter("fCnt")
    up.payload = document.payload("data")
    up.is_data = bool(up.payload) and up.port > 0
    up.tags = _radio(document)
    return up


def _radio(document: Part) -> dict[str, Tag]:
    tags: dict[str, Tag] = {}
    best_of(
        [Reception(one.name("gatewayId"), one.number("rssi"), one.number("snr")) for one in document.parts("rxInfo")],
        tags,
    )
    sent = document.part("txInfo")
    if sent is not None:
        sent.said("frequency", tags, "frequency_hz")
        modulation = sent.part("modulation")
        lora = modulation.part("lora") if modulation is not None else None
        if lora is not None:
            lora.said("spreadingFactor", tags, "spreading_factor")
    return tags
