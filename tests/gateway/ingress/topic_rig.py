"""A topic flow with the real reader, pipeline and directory, and an outbox that a test rules."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from decoders.catalog import Catalog
from gateway.access.admission import Admission, Provisioning
from gateway.devices.directory import FileDirectory
from gateway.devices.presence import Presence
from gateway.domain.device import Device, Principal
from gateway.domain.ports import SignaturePort
from gateway.domain.receipt import Receipt
from gateway.domain.state import State
from gateway.domain.topic_message import TopicMessage
from gateway.ingress.clock import IdSource
from gateway.ingress.flow import Flow
from gateway.ingress.topic_flow import TopicFlow
from gateway.ingress.topic_reader import ReaderOptions, TopicReader
from gateway.observe.metrics import Metrics
from gateway.pipeline.archive import Archive
from gateway.pipeline.chain import Chain
from gateway.pipeline.dedup import Dedup
from gateway.pipeline.shape import Numbering, Shaper
from gateway.protocol.uplink_topics import Template, Templates
from gateway.specs import load_catalog
from tests.gateway.fakes import FakeOutbox, FakeTap

NOW_MS = 1_772_366_400_123
NOW = "2026-03-01T12:00:00.123Z"
THERMO = {"productId": "example_thermo", "metrics": {"tempC": 21.5, "rpm": 1200}, "ts": NOW_MS}
STATUS_HEX = "a50d02010704b00ce40a0e000716a7"  # of example_thermo: tempC 26.3

Json = dict[str, Any]


@cache
def catalog() -> Catalog:
    names = ["example_thermo", "milesight_em300_th", "generic_json", "decentlab_5tm"]
    return load_catalog(only=names, check_golden=False)


@dataclass(slots=True)
class Someone:
    """A speaker; hubs speak for their children."""

    device_id: str = ""
    children: Collection[str] = ()
    tenant: str = ""
    principal: Principal = field(default_factory=Principal)

    def may_speak_for(self, device_id: str) -> bool:
        return device_id == self.device_id or device_id in self.children


class TopicRig:
    """`send` publishes; `records` and `letters` are what came of it."""

    def __init__(
        self,
        *,
        templates: Iterable[Template] = (),
        devices: Iterable[Device] = (),
        provisioning: Provisioning = Provisioning.ALLOW_NEW,
        refuse_env: bool = False,
        signatures: SignaturePort | None = None,
        archive: bool = False,
        hold: bool = False,
    ) -> None:
        self.directory = FileDirectory(devices)
        self.metrics = Metrics()
        self.outbox = FakeOutbox(hold=hold)
        self.presence = Presence()
        self.tap = FakeTap()
        self.catalog = catalog()
        self.admission = Admission(self.directory, provisioning)
        self.reader = TopicReader(
            Templates(templates),
            lambda: self.catalog,
            self.directory,
            self.admission,
            IdSource().make,
            options=ReaderOptions("prd", refuse_env, provisioning),
            signatures=signatures,
        )
        numbering = Numbering("gw", 1)
        self.chain = Chain(
            Shaper(numbering, "prd", self.directory), Archive(numbering, "prd") if archive else None, Dedup()
        )
        flow = Flow(self.chain, self.outbox)
        self.flow = TopicFlow(self.reader, flow, self.outbox, self.presence, self.directory, self.metrics, self.tap)

    def send(
        self,
        topic: str,
        payload: object,
        *,
        speaker: Someone | None = None,
        states: tuple[State, ...] = (),
        content_type: str = "",
        **properties: str,
    ) -> Receipt:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        message = TopicMessage(
            topic, data, NOW_MS, speaker or Someone(), "mqtt", "s", "p", content_type, tuple(properties.items())
        )
        receipt = Receipt()
        self.flow.receive(message, receipt, states)
        return receipt

    @property
    def records(self) -> list[Json]:
        return [json.loads(record.body) for record in self.outbox.records]

    def record(self, topic: str, payload: object, **more: Any) -> Json:
        """The one record that a message makes."""
        before = len(self.outbox.records)
        receipt = self.send(topic, payload, **more)
        assert receipt.outcome == "accepted", [(letter.reason, letter.detail) for letter in self.outbox.letters]
        (record,) = self.records[before:]
        return record

    def reason(self, topic: str, payload: object, **more: Any) -> tuple[str, str]:
        """Reason and detail of the dead letter that a message becomes."""
        receipt = self.send(topic, payload, **more)
        assert receipt.outcome == "dead_lettered", (receipt.outcome, receipt.reason)
        letter = self.outbox.letters[-1]
        assert (letter.topic, letter.raw) == (topic, payload if isinstance(payload, bytes) else letter.raw)
        return letter.reason, letter.detail

    def balance(self) -> tuple[int, int]:
        """Uplinks received, and settled."""
        traffic = self.metrics._traffic.values()
        return sum(t.received for t in traffic), sum(sum(t.outcomes.values()) for t in traffic)
