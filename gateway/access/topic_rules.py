"""Topic rules: what a client may publish and subscribe to, and for whom it speaks.

Place in the walk: MQTT access gives each admitted client an `MqttGrant`; the client machine asks it for every new topic
and filter, the topic reader whose data it takes from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.access.denials import TopicDenial
from gateway.domain.device import DeviceKey, Principal
from gateway.domain.errors import ConfigError
from gateway.domain.ports import SecretsPort
from gateway.observe import events
from gateway.observe.logs import LineLimit
from gateway.protocol.mqtt.topics import covers, fill, matches, rule_problem
from gateway.protocol.uplink_topics import DOWN_RULES, Templates

__all__ = ["AllowList", "DeviceTopics", "ListedTopics", "MqttGrant", "OpenTopics", "TopicPolicy"]

_MAX_DECISIONS = 64
"""Topics that a grant remembers; a device says a few names all the time."""

_MAX_KEPT_TOPIC = 256


class AllowList:
    """Topic filters that may be published and subscribed to, with `{device_id}` and `{client_id}`.

    A rule whose placeholder has no value for a client, or one that would widen it (`+`, `#`, `/`), says nothing about
    that client. Raises ConfigError for a rule that can never be used; where: the setting that holds both lists.
    """

    __slots__ = ("_publish", "_subscribe")

    def __init__(
        self,
        publish: Sequence[str] = (),
        subscribe: Sequence[str] = (),
        *,
        where: str = "",
        names: Sequence[str] = ("device_id", "client_id"),
    ) -> None:
        for key, rules in (("publish", publish), ("subscribe", subscribe)):
            for index, rule in enumerate(rules):
                problem = rule_problem(rule, names)
                if problem:
                    setting = f"{where}.{key}.{index}"
                    raise ConfigError(f"{setting}: topic rule `{rule}`: {problem}", setting=setting)
        self._publish = tuple(publish)
        self._subscribe = tuple(subscribe)

    def may_publish(self, topic: str, values: Mapping[str, str]) -> bool:
        for rule in self._publish:
            filled = fill(rule, values)
            if filled is not None and matches(filled, topic):
                return True
        return False

    def may_subscribe(self, topic_filter: str, values: Mapping[str, str]) -> bool:
        for rule in self._subscribe:
            filled = fill(rule, values)
            if filled is not None and covers(filled, topic_filter):
                return True
        return False


class TopicPolicy(Protocol):
    """The rules of one kind of client. generation: another number once decisions may come out differently. hint: what
    to do about a denial, for the log."""

    @property
    def generation(self) -> int: ...

    @property
    def hint(self) -> str: ...

    def may_publish(self, grant: MqttGrant, topic: str) -> bool: ...

    def may_subscribe(self, grant: MqttGrant, topic_filter: str) -> bool: ...

    def may_speak_for(self, grant: MqttGrant, device_id: str) -> bool: ...


class MqttGrant:
    """What an admitted client may do. Implements `gateway.protocol.mqtt.ports.Grant` and
    `gateway.domain.topic_message.Speaker`.

    device_id: "" where no device is proven. client_id: of MQTT.
    """

    __slots__ = ("_decided", "_generation", "_lines", "_policy", "client_id", "device_id", "principal", "tenant")

    def __init__(
        self,
        policy: TopicPolicy,
        principal: Principal,
        tenant: str,
        client_id: str,
        device_id: str,
        lines: LineLimit,
    ) -> None:
        self.principal = principal
        self.tenant = tenant
        self.client_id = client_id
        self.device_id = device_id
        self._lines = lines
        self._policy = policy
        self._generation = policy.generation
        self._decided: dict[str, bool] | None = None

    def may_publish(self, topic: str) -> bool:
        decided = self._decided
        if decided is None or self._generation != self._policy.generation:
            self._generation = self._policy.generation
            decided = self._decided = {}
        verdict = decided.get(topic)
        if verdict is None:
            verdict = self._policy.may_publish(self, topic)
            if not verdict:
                self._denied(TopicDenial.PUBLISH, topic)
            if len(topic) <= _MAX_KEPT_TOPIC:
                if len(decided) >= _MAX_DECISIONS:
                    decided.clear()
                decided[topic] = verdict
        return verdict

    def may_subscribe(self, topic_filter: str) -> bool:
        verdict = self._policy.may_subscribe(self, topic_filter)
        if not verdict:
            self._denied(TopicDenial.SUBSCRIBE, topic_filter)
        return verdict

    def may_speak_for(self, device_id: str) -> bool:
        return device_id == self.device_id != "" or self._policy.may_speak_for(self, device_id)

    def _denied(self, code: TopicDenial, topic: str) -> None:
        said = {"topic": topic, "user_name": self.principal.name, "tenant": self.tenant}
        events.mqtt_topic_denied(self._lines, code, client_id=self.client_id, said=said, detail=self._policy.hint)


class OpenTopics:
    """Everything but `$` topics: an ordinary broker."""

    __slots__ = ("generation", "hint")

    def __init__(self) -> None:
        self.generation = 0
        self.hint = "topics that begin with `$` belong to the broker"

    def may_publish(self, grant: MqttGrant, topic: str) -> bool:
        return not topic.startswith("$")

    def may_subscribe(self, grant: MqttGrant, topic_filter: str) -> bool:
        return not topic_filter.startswith("$")

    def may_speak_for(self, grant: MqttGrant, device_id: str) -> bool:
        return True


class ListedTopics:
    """What is listed, and nothing else: for backends, bridges and anonymous clients. Under these topics they speak for
    any device."""

    __slots__ = ("_allowed", "generation", "hint")

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed
        self.generation = 0
        self.hint = "no filter of its `publish` or `subscribe` list in `auth` allows it"

    def may_publish(self, grant: MqttGrant, topic: str) -> bool:
        return self._allowed.may_publish(topic, {"client_id": grant.client_id})

    def may_subscribe(self, grant: MqttGrant, topic_filter: str) -> bool:
        return self._allowed.may_subscribe(topic_filter, {"client_id": grant.client_id})

    def may_speak_for(self, grant: MqttGrant, device_id: str) -> bool:
        return True


class DeviceTopics:
    """A device's own topics, those of the devices behind it, and what is listed for all devices."""

    __slots__ = ("_allowed", "_directory", "_templates", "hint")

    def __init__(self, directory: SecretsPort, templates: Templates, allowed: AllowList) -> None:
        self._directory = directory
        self._templates = templates
        self._allowed = allowed
        self.hint = (
            "a device has its own topics, by `mqtt.topics` and the built-in templates, and those of the devices behind "
            "it in `devices_file`; `auth.topics` allows more"
        )

    @property
    def generation(self) -> int:
        return self._directory.generation

    def may_publish(self, grant: MqttGrant, topic: str) -> bool:
        """Own are uplink topics that name the device, or one behind it, and no hub but its own."""
        route = self._templates.match(topic)
        if route is not None and route.device_id and grant.may_speak_for(route.device_id):
            hub_id = route.hub_id
            if hub_id in ("", grant.device_id) or hub_id == self._hub_id(grant.tenant, grant.device_id):
                return True
        return self._allowed.may_publish(topic, _values(grant))

    def may_subscribe(self, grant: MqttGrant, topic_filter: str) -> bool:
        levels = topic_filter.split("/")
        for rule in DOWN_RULES:
            place = _DEVICE_LEVEL[rule]
            if place < len(levels) and grant.may_speak_for(levels[place]):
                filled = fill(rule, {"device_id": levels[place]})
                if filled is not None and covers(filled, topic_filter):
                    return True
        return self._allowed.may_subscribe(topic_filter, _values(grant))

    def may_speak_for(self, grant: MqttGrant, device_id: str) -> bool:
        """Whether the directory says that the device stands behind this one."""
        return bool(device_id) and self._hub_id(grant.tenant, device_id) == grant.device_id

    def _hub_id(self, tenant: str, device_id: str) -> str:
        """Of a device that stands behind a hub; a hub's own id for itself; else ""."""
        device = self._directory.find(DeviceKey(tenant, device_id))
        return device.hub_id if device is not None else ""


_DEVICE_LEVEL = {rule: rule.split("/").index("{device_id}") for rule in DOWN_RULES}


def _values(grant: MqttGrant) -> Mapping[str, str]:
    return {"device_id": grant.device_id, "client_id": grant.client_id}
