"""A listener of the gateway on real sockets for the clients that people use."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.ingress.mqtt import MqttOptions, Transport
from gateway.ingress.stream_listener import StreamListener
from tests.gateway.ingress.mqtt_rig import MqttRig


class Gateway(MqttRig):
    """With a second listener for WebSockets."""

    def __init__(self) -> None:
        super().__init__()
        options = MqttOptions("ws", "127.0.0.1", 0, transport=Transport.WEBSOCKET)
        self.websockets: StreamListener = self.server.add(options, self.door)

    @property
    def port(self) -> int:
        return self.listener.addresses[0][1]

    @property
    def websocket_port(self) -> int:
        return self.websockets.addresses[0][1]

    def taken(self, topic: str) -> list[bytes]:
        """Payloads that came in under a topic."""
        return [message.payload for message in self.topics.messages if message.topic == topic]


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with Gateway() as running:
        yield running
