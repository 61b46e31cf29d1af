"""What comes under topics, from the settings: templates, their reader, and the flow behind it."""

from __future__ import annotations

from collections.abc import Callable

from decoders.catalog import Catalog, UnknownProduct
from gateway.access.admission import Admission, Provisioning
from gateway.access.signatures import SignatureCheck
from gateway.app.parts import Parts
from gateway.devices.directory import FileDirectory
from gateway.devices.presence import Presence
from gateway.domain.errors import ConfigError
from gateway.ingress.topic_devices import ReaderOptions
from gateway.ingress.topic_flow import TopicFlow
from gateway.ingress.topic_reader import TopicReader
from gateway.protocol.uplink_topics import Template, TemplateError, Templates
from gateway.settings import model

__all__ = ["Topics", "make_templates", "make_topic_reader"]


class Topics:
    """templates: own ones first. flow: of all faces that have topics. Raises ConfigError."""

    def __init__(self, parts: Parts, presence: Presence) -> None:
        self.templates = make_templates(parts.settings, parts.catalog)
        self.reader = make_topic_reader(
            parts.settings, self.templates, lambda: parts.catalog, parts.directory, parts.admission, parts.ids.make
        )
        self.flow = TopicFlow(
            self.reader, parts.flow, parts.outbox, presence, parts.directory, parts.metrics, parts.tap
        )


def make_templates(settings: model.Settings, catalog: Catalog) -> Templates:
    """Those of the settings, then the built-in ones. Raises ConfigError."""
    return Templates([_template(index, topic, catalog) for index, topic in enumerate(settings.mqtt.topics)])


def make_topic_reader(
    settings: model.Settings,
    templates: Templates,
    catalog: Callable[[], Catalog],
    directory: FileDirectory,
    admission: Admission,
    make_id: Callable[[int], str],
) -> TopicReader:
    """What reads messages under topics, in a gateway and in a replay without one. catalog: asked for each message."""
    options = ReaderOptions(
        env=settings.gateway.env,
        refuse_env=settings.mqtt.env_mismatch == "refuse",
        provisioning=Provisioning(settings.provisioning),
    )
    signatures = settings.mqtt.signatures
    return TopicReader(
        templates,
        catalog,
        directory,
        admission,
        make_id,
        options=options,
        signatures=SignatureCheck(directory, signatures.required, signatures.field),
    )


def _template(index: int, topic: model.MqttTopic, catalog: Catalog) -> Template:
    setting = f"mqtt.topics.{index}"
    if topic.product is not None:
        try:
            catalog.find(topic.product)
        except UnknownProduct as error:
            raise ConfigError(f"{setting}.product: {error}", setting=f"{setting}.product") from None
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
