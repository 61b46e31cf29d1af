"""The messages that the load is made of: JSON telemetry of exactly 100 bytes, numbered by its device time.

Number n is sent at `START_MS` and n seconds of the device's clock, as in `loadtest.faults.fleet`, so that each record
names the message that it was made of.
"""

from __future__ import annotations

import time

from loadtest.faults.fleet import START_MS

__all__ = ["PAYLOAD_BYTES", "PRODUCT", "fresh", "numbered", "topic"]

PRODUCT = "example_thermo"
PAYLOAD_BYTES = 100


def topic(device_id: str) -> str:
    return f"devices/{device_id}/telemetry"


def numbered(number: int) -> bytes:
    """The message with this number (to 10^9 or so: the time has 13 digits)."""
    return _payload(START_MS + number * 1000, number)


def fresh(count: int) -> list[bytes]:
    """So many messages of right now, as a device in the field sends them."""
    now_ms = round(time.time() * 1000)
    return [_payload(now_ms + index, index) for index in range(count)]


def _payload(unix_ms: int, variation: int) -> bytes:
    tenths, rpm = 1000 + variation % 9000, 1000 + variation % 4000
    metrics = b'{"tempC":%d.%02d,"rpm":%d}' % (tenths // 100, tenths % 100, rpm)
    return b'{"productId":"%b","device_timestamp":%d,"metrics":%b}' % (PRODUCT.encode(), unix_ms, metrics)
