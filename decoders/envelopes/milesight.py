"""Milesight gateways with their built-in network server: the JSON that they forward by MQTT or HTTP.

Source: Milesight support, "How to Use Payload Codec on Milesight Gateway", and its gateway guide, "Uplink Data" (device
without a codec). The topic is the operator's choice, so these are known by what they hold.

product: the document names no profile; the name of the device stands for it. Where the DevEUI is of Milesight's range
and the name does not begin with the vendor, it is put in front: `EM300-TH` becomes `milesight_em300_th`.
"""

from __future__ import annotations

from decoders.envelopes.reading import EnvelopeUp, Part, Reception, Tag, best_of, device_eui, product_name

__all__ = ["KIND", "looks_like", "open_document"]

KIND = "milesight"

_MILESIGHT = "24e124"
"""Xiamen Milesight IoT in the IEEE's register of OUIs."""


def looks_like(document: dict[str, object]) -> bool:
    """Whether it has what an uplink has, DevEUI, port and payload, as no other kind has them."""
    return "devEUI" in document and "fPort" in document and "data" in document and "deviceInfo" not in document


def open_document(document: Part) -> EnvelopeUp:
    """Raises DecodeError with the path of the field."""
    device_id = device_eui(document, "devEUI")
    if not device_id:
        raise document.needs("devEUI", "the device's DevEUI")
    name = product_name(document.text("deviceName"))
    if name and device_id.startswith(_MILESIGHT) and not name.startswith("milesight_"):
        name = f"milesight_{name}"
    up = EnvelopeUp(KIND, device_id, name)
    up.received = document.time("time") or document.time("gatewayTime")
    up.port = document.port("fPort")
    up.counter = document.counter("fCnt")
    up.payload = document.payload("data")
    up.is_data = bool(up.payload) and up.port > 0
    up.tags = _radio(document)
    return up


def _radio(document: Part) -> dict[str, Tag]:
    tags: dict[str, Tag] = {}
    best_of(
        [Reception(one.name("mac"), one.number("rssi"), one.number("loRaSNR")) for one in document.parts("rxInfo")],
        tags,
    )
    sent = document.part("txInfo")
    if sent is not None:
        sent.said("frequency", tags, "frequency_hz")
        rate = sent.part("dataRate")
        if rate is not None:
            rate.said("spreadFactor", tags, "spreading_factor")
    return tags
