"""What comes under topics, from the settings: templates, their reader, and the flow behind it."""

from __future__ import annotations

from gateway.access.admission import Provisioning
from gateway.access.signatures import SignatureCheck
from gateway.app.parts import Parts
from gateway.devices.presence import Presence
from gateway.domain.errors import ConfigError
from gateway.ingress.topic_devices import ReaderOptions
from gateway.ingress.topic_flow import TopicFlow
from gateway.ingress.topic_reader import TopicReader
from gateway.protocol.uplink_topics import Template, TemplateError, Templates
from gateway.settings import model

__all__ = ["Topics"]


class Topics:
    """templates: own ones first. flow: of all faces that have topics. Raises ConfigError."""

    def __init__(self, parts: Parts, presence: Presence) -> None:
        settings = parts.settings
        self.templates = Templates(
            [_template(index, topic, parts) for index, topic in enumerate(settings.mqtt.topics)],
        )
        options = ReaderOptions(
            env=settings.gateway.env,
            refuse_env=settings.mqtt.env_mismatch == "refuse",
            provisioning=Provisioning(settings.provisioning),
        )
        signatures = settings.mqtt.signatures
        self.reader = TopicReader(
            self.templates,
            lambda: parts.catalog,
            parts.directory,
            parts.admission,
            parts.ids.make,
            options=options,
            signatures=SignatureCheck(parts.directory, signatures.required, signatures.field),
        )
        self.flow = TopicFlow(
            self.reader, parts.flow, parts.outbox, presence, parts.directory, parts.metrics, parts.tap
        )


def _template(index: int, topic: model.MqttTopic, parts: Parts) -> Template:
    setting = f"mqtt.topics.{index}"
    if topic.product is not None and topic.product not in parts.catalog.products:
        raise ConfigError(f"{setting}.product: no product `{topic.product}`", setting=f"{setting}.product")
    try:
        return Template(
            topic.template,
            product=topic.product or "",
            role=topic.role,
            format="" if topic.format == "auto" else topic.format,
            envelope=topic.envelope or "",
        )
    except TemplateError as error:
        raise ConfigError(f"{setting}.template: {error}", setting=f"{setting}.template") from None
