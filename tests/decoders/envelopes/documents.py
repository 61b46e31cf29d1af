"""What network servers send, in our own form after their public documentation."""

from __future__ import annotations

import base64
from typing import Any

DEV_EUI = "24e124136b502217"
CHIRPSTACK_TOPIC = f"application/6a5b7c19-8e0d-4f3a-9b21-0c4d5e6f7a8b/device/{DEV_EUI}/event/"
TTS_TOPIC = "v3/cold-store@acme/devices/door-7/"


def chirpstack(payload: bytes = b"\x01\x75\x5c", port: int = 85, profile: str = "", **more: Any) -> dict[str, Any]:
    """ChirpStack v4, event `up`, heard by two gateways."""
    return {
        "deduplicationId": "8a0fd0b5-6e4f-4c2d-9b6a-31f6b7c1d2e3",
        "time": "2026-03-01T08:15:27.078763451+00:00",
        "deviceInfo": {
            "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
            "tenantName": "Acme",
            "applicationId": "6a5b7c19-8e0d-4f3a-9b21-0c4d5e6f7a8b",
            "applicationName": "cold-store",
            "deviceProfileId": "14855bf7-d10d-4aee-b618-ebfcb64dc7ad",
            "deviceProfileName": profile,
            "deviceName": "door-7",
            "devEui": DEV_EUI,
            "deviceClassEnabled": "CLASS_A",
            "tags": {"customer_id": "4711"},
        },
        "devAddr": "00189440",
        "adr": True,
        "dr": 5,
        "fCnt": 128,
        "fPort": port,
        "confirmed": False,
        "data": base64.b64encode(payload).decode(),
        "rxInfo": [
            {
                "gatewayId": "0016c001f153a14c",
                "uplinkId": 4217106255,
                "rssi": -97,
                "snr": 9.5,
                "context": "E3OWOQ==",
                "metadata": {"region_name": "eu868"},
            },
            {"gatewayId": "24e124fffef54092", "uplinkId": 17, "rssi": -51, "snr": 13.8, "crcStatus": "CRC_OK"},
        ],
        "txInfo": {
            "frequency": 868100000,
            "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7, "codeRate": "CR_4_5"}},
        },
        **more,
    }


def tts(payload: bytes = b"\x01\x75\x5c", port: int = 85, brand: str = "", model: str = "") -> dict[str, Any]:
    """The Things Stack v3, an uplink; what is empty or 0 is left out."""
    message: dict[str, Any] = {
        "session_key_id": "AXBSH1Pk6Z0G166b",
        "f_port": port,
        "f_cnt": 128,
        "frm_payload": base64.b64encode(payload).decode(),
        "rx_metadata": [
            {
                "gateway_ids": {"gateway_id": "roof-north", "eui": "0016C001F153A14C"},
                "time": "2026-03-01T08:15:26.999Z",
                "timestamp": 2463457000,
                "rssi": -51,
                "channel_rssi": -51,
                "snr": 13.8,
                "uplink_token": "CiIKIAoUZXVp",
            },
            {"gateway_ids": {"eui": "24E124FFFEF54092"}, "rssi": -97, "channel_rssi": -97},
        ],
        "settings": {
            "data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7, "coding_rate": "4/5"}},
            "frequency": "868100000",
            "timestamp": 2463457000,
        },
        "received_at": "2026-03-01T08:15:27.078763451Z",
        "consumed_airtime": "0.056576s",
        "network_ids": {"net_id": "000013", "tenant_id": "acme", "cluster_id": "eu1"},
    }
    if brand:
        message["version_ids"] = {"brand_id": brand, "model_id": model, "firmware_version": "1.0", "band_id": "EU_863"}
    return {
        "end_device_ids": {
            "device_id": "door-7",
            "application_ids": {"application_id": "cold-store"},
            "dev_eui": DEV_EUI.upper(),
            "join_eui": "24E124C0002A0001",
            "dev_addr": "27000020",
        },
        "correlation_ids": ["gs:conn:01JQ0000000000000000000001", "as:up:01JQ8ZK1V3M4N5P6Q7R8S9T0A1"],
        "received_at": "2026-03-01T08:15:27.279Z",
        "uplink_message": {name: value for name, value in message.items() if value},
    }


def tts_join() -> dict[str, Any]:
    """The Things Stack v3, a join-accept."""
    return {
        "end_device_ids": tts()["end_device_ids"],
        "correlation_ids": ["as:up:01JQ8ZK1V3M4N5P6Q7R8S9T0A0"],
        "received_at": "2026-03-01T08:10:00.5Z",
        "join_accept": {"session_key_id": "AXBSH1Pk6Z0G166b", "received_at": "2026-03-01T08:10:00.1Z"},
    }


def milesight(payload: bytes = b"\x01\x75\x5c", port: int = 85, name: str = "") -> dict[str, Any]:
    """A Milesight gateway with its built-in network server."""
    return {
        "applicationID": "1",
        "applicationName": "cold-store",
        "data": base64.b64encode(payload).decode(),
        "devEUI": DEV_EUI,
        "deviceName": name,
        "fCnt": 128,
        "fPort": port,
        "rxInfo": [
            {
                "altitude": 0,
                "latitude": 0,
                "longitude": 0,
                "loRaSNR": 13.8,
                "mac": "24e124fffef54092",
                "name": "Local Gateway",
                "rssi": -51,
                "time": "2026-03-01T08:15:27.078763Z",
            }
        ],
        "time": "2026-03-01T08:15:27.078763Z",
        "txInfo": {
            "adr": True,
            "codeRate": "4/5",
            "dataRate": {"bandwidth": 125, "modulation": "LORA", "spreadFactor": 7},
            "frequency": 868100000,
        },
        "metadata": {"mqtt_topic": "/uplink"},
    }
