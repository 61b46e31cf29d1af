"""The MQTT listeners and who may use them, from the settings."""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.access.attempts import AttemptLimits, Attempts
from gateway.access.client_ids import ClientIdRules
from gateway.access.credentials import PasswordCheck, PasswordLimits
from gateway.access.mqtt import MqttAccess, MqttAccessOptions, MqttAccessServices, OtherClient
from gateway.access.topic_rules import AllowList
from gateway.app.parts import Parts, certificate_rule, stream_options, token_verifier
from gateway.app.topics import Topics, make_templates
from gateway.domain.password_hash import hash_cost
from gateway.domain.receipt import Receipt
from gateway.ingress.mqtt import MqttOptions, MqttServer, MqttServices, Transport
from gateway.ingress.mqtt_flow import MqttMemory
from gateway.observe.access_metrics import access_families
from gateway.observe.health import ComponentHealth
from gateway.observe.logs import LineLimit
from gateway.observe.mqtt_metrics import mqtt_families
from gateway.protocol.device_session import UNDETECTED
from gateway.protocol.mqtt.ports import Answer, BrokerLimits, ClientLimits, DropReason, explain, explain_dead_letters
from gateway.settings import model

__all__ = ["MqttFace", "check_mqtt", "make_mqtt"]


class MqttFace:
    """The listeners with what they need besides. Life: start, stop_accepting, drain. server: for downlinks."""

    def __init__(self, server: MqttServer, access: MqttAccessServices) -> None:
        self.server = server
        self._access = access

    async def start(self) -> None:
        """Raises OperatorError: an address cannot be had, or a file of keys cannot be used."""
        await self._access.start()
        await self.server.start()

    @property
    def connected(self) -> int:
        """Clients that are in."""
        return sum(counts.connected for counts in self.server.counts)

    def health(self) -> ComponentHealth:
        """Clients that are away are no fault of the gateway."""
        sessions = sum(one.sessions for one in self.server.counts)
        return ComponentHealth(facts={"connected": self.connected, "sessions": sessions})

    def stop_accepting(self) -> None:
        self.server.stop_accepting()

    async def drain(self, deadline_s: float) -> int:
        """Returns how many connections were cut."""
        cut = await self.server.drain(deadline_s)
        self._access.close()
        return cut


def make_mqtt(parts: Parts, topics: Topics, memory: MqttMemory) -> MqttFace:
    """memory: also given to the spool, which is opened later. Raises ConfigError."""
    settings = parts.settings
    services = MqttServices(
        topics.flow,
        parts.outbox,
        memory,
        parts.tap,
        parts.metrics,
        parts.clock,
        parts.ids,
        settings.drain.spread_s,
    )
    server = MqttServer(services, _broker_limits(settings.mqtt.sessions))
    access_options, access_services = _access_options(settings.auth), _access_services(parts, topics)
    told = settings.mqtt.dead_letter_answer == "reason"
    doors = []
    for index, listener in enumerate(settings.mqtt.listeners):
        options = _options(index, listener, explain_dead_letters if told else explain)
        parts.metrics.traffic(options.name, UNDETECTED)  # so that its series are there from the start, with 0
        access = MqttAccess(access_options, access_services, options.name, options.tenant)
        server.add(options, access)
        doors.append(access)
    parts.metrics.add(lambda: mqtt_families(lambda: server.counts, DropReason))
    parts.metrics.add(lambda: access_families(lambda: doors))
    return MqttFace(server, access_services)


def _options(index: int, listener: model.MqttListener, explain: Callable[[Receipt], Answer]) -> MqttOptions:
    limits = ClientLimits(
        connect_timeout_ms=round(listener.connect_timeout_s * 1000),
        max_packet_bytes=int(listener.max_packet_bytes),
        max_keep_alive_s=listener.max_keep_alive_s,
        receive_maximum=listener.receive_maximum,
        publishes_in_flight=listener.publishes_in_flight,
        window=listener.window,
    )
    common = stream_options(listener, listener.chosen_port, f"mqtt.listeners.{index}")
    return MqttOptions(
        **common,
        limits=limits,
        transport=Transport(listener.transport),
        allowed_origins=listener.allowed_origins,
        explain=explain,
    )


def _broker_limits(sessions: model.MqttSessionSettings) -> BrokerLimits:
    return BrokerLimits(
        max_sessions=sessions.max_sessions,
        max_subscriptions=sessions.max_subscriptions,
        queue_messages=sessions.queue_messages,
        queue_bytes=int(sessions.queue_bytes),
        max_expiry_s=sessions.max_expiry_s,
        max_retained=sessions.max_retained,
        max_retained_bytes=int(sessions.max_retained_bytes),
    )


def check_mqtt(settings: model.Settings) -> None:
    """Whether templates, client ids and topic rules can be used; no file and no spec is looked at. Raises
    ConfigError."""
    make_templates(settings, None)
    _access_options(settings.auth)


def _access_options(auth: model.AuthSettings) -> MqttAccessOptions:
    clients = [
        OtherClient(
            client.id,
            client.password.get_secret_value() if client.password is not None else "",
            client.certificate or "",
            allowed=AllowList(client.publish, client.subscribe, where=f"auth.clients.{index}", names=("client_id",)),
        )
        for index, client in enumerate(auth.clients)
        if client.password is not None or client.certificate is not None  # the others are clients of REST alone
    ]
    return MqttAccessOptions(
        open=auth.devices == "open",
        certificate=certificate_rule(auth),
        client_ids=ClientIdRules(auth.client_ids),
        devices=AllowList(auth.topics.publish, auth.topics.subscribe, where="auth.topics"),
        clients=clients,
        anonymous=_anonymous(auth.anonymous),
    )


def _anonymous(rules: model.TopicRuleSettings | None) -> AllowList | None:
    if rules is None:
        return None
    return AllowList(rules.publish, rules.subscribe, where="auth.anonymous", names=("client_id",))


def _access_services(parts: Parts, topics: Topics) -> MqttAccessServices:
    passwords = [client.password for client in parts.settings.auth.clients if client.password is not None]
    costs = [hash_cost(password.get_secret_value()) for password in passwords]
    return MqttAccessServices(
        parts.directory,
        parts.admission,
        topics.templates,
        Attempts(AttemptLimits(), time.monotonic),
        PasswordCheck(PasswordLimits(), time.monotonic, [*parts.directory.costs, *costs]),
        LineLimit(),
        tokens=token_verifier(parts.settings.auth),
    )
