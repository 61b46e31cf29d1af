from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import generate_latest
from prometheus_client.core import Metric

from gateway.observe.metrics import Metrics
from gateway.observe.mqtt_metrics import mqtt_families
from gateway.protocol.mqtt.ports import DropReason, MqttCounts


def lines(*brokers: MqttCounts) -> list[str]:
    metrics = Metrics()

    def families() -> Iterator[Metric]:
        return mqtt_families(lambda: brokers, list(DropReason))

    metrics.add(families)
    text = generate_latest(metrics.registry).decode()
    return [line for line in text.splitlines() if line.startswith("iotlink_mqtt_")]


def test_every_value_is_there_from_the_start() -> None:
    found = lines(MqttCounts())
    for reason in DropReason:
        assert f'iotlink_mqtt_messages_dropped_total{{reason="{reason.value}"}} 0.0' in found
    assert len(found) == len(DropReason) + 11
    assert {line.rpartition(" ")[2] for line in found} == {"0.0"}
    assert len(lines()) == len(found)


def test_numbers_of_all_brokers_are_summed() -> None:
    one, other = MqttCounts(publishes=2, retained_bytes=7, connected=1), MqttCounts(publishes=3, connected=1)
    one.dropped[DropReason.QUEUE_FULL] = 4
    other.dropped[DropReason.QUEUE_FULL] = 1
    found = lines(one, other)
    assert "iotlink_mqtt_messages_received_total 5.0" in found
    assert "iotlink_mqtt_retained_bytes 7.0" in found
    assert "iotlink_mqtt_sessions_connected 2.0" in found
    assert 'iotlink_mqtt_messages_dropped_total{reason="queue_full"} 5.0' in found
