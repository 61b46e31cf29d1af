"""Items of a batch as the sending calls take them: read as usual or at length, together or alone, with one outcome."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import DecodeError
from decoders.json_text import read_json
from gateway.access.admission import Provisioning
from gateway.access.scopes import DevicePatterns, RestGrant, Scope
from gateway.domain.device import Device, DeviceKey, Principal
from gateway.domain.errors import RefuseReason
from gateway.domain.reading import Refused
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.record import Record
from gateway.domain.state import State
from gateway.domain.uplink import Uplink
from gateway.ingress.flow import Flow
from gateway.ingress.rest.answers import BatchAnswer
from gateway.ingress.rest.bodies import Shapes
from gateway.ingress.rest.groups import BatchOffer
from gateway.ingress.rest.items import Items, ItemServices, ItemSpeaker, Sending
from tests.gateway.fakes import FakeOutbox
from tests.gateway.ingress.topic_rig import NOW_MS, THERMO, TopicRig

ITEM = {"device_id": "d-1", **THERMO}
GRANT = RestGrant(Principal("key", "erp"), "client:erp", Scope())


class Outbox(FakeOutbox):
    """Implements AckingOutbox. refuses: every put, with this reason."""

    acks_on_sink = False
    refuses: str = ""

    def put(self, receipt: Receipt, records: Sequence[Record], states: Sequence[State] = ()) -> None:
        if self.refuses == "error":
            raise ValueError("a mistake")
        if self.refuses:
            self.settle(receipt, Outcome.REFUSED, self.refuses)
        else:
            super().put(receipt, records, states)


class Rig:
    """usual: whether items may be read as the ones before them."""

    def __init__(self, *, usual: bool = True, on_sink: bool | None = None, grant: RestGrant = GRANT) -> None:
        self.usual = usual
        rig = self.rig = TopicRig(devices=[Device(DeviceKey("", "known"), product="example_thermo", hub_id="hub")])
        self.outbox = rig.outbox = Outbox()
        flow = Flow(rig.chain, rig.outbox)
        self.items = Items(ItemServices(rig.reader, flow, self.outbox, rig.presence, rig.directory, rig.metrics))
        self.sending = Sending(grant, grant, "rest", "p", "r-1", on_sink)
        self.shape = Shapes(lambda: rig.catalog).telemetry("")

    def send(self, *items: bytes, sending: Sending | None = None) -> list[dict[str, Any]]:
        """What each item of a batch is answered."""
        sending = sending or self.sending
        answer = BatchAnswer(len(items))
        offer = BatchOffer(answer, None)
        offer.group = self.items.group(sending, offer.grouped)
        route = self.shape.route
        assert route is not None
        for index, raw in enumerate(items):
            offer.index, offer.size = index, len(raw)
            error = None
            try:
                message = sending.message(raw, NOW_MS)
                document = read_json(raw)
                uplink = self.items.read_usual(message, route, document) if self.usual else None
                if uplink is None:
                    taken = self.shape.open(sending, document, raw, NOW_MS)
                    assert taken is not None
                    error = self.items.take(sending, message, self.items.read(*taken), offer)
                else:
                    error = self.items.take(sending, message, uplink, offer)
            except DecodeError as wrong:
                error = self.items.reject_unread("rest", len(raw), wrong)
            if error is not None:
                answer.reject(index, error)
        offer.flush()
        assert offer.receipts.unsettled == 0
        found: list[dict[str, Any]] = json.loads(answer.answer().body)["items"]
        return found


def item(**members: Any) -> bytes:
    return json.dumps({**ITEM, **members}).encode()


def statuses(answered: list[dict[str, Any]]) -> list[str]:
    return [one["status"] for one in answered]


def bodies(rig: Rig) -> list[bytes]:
    """Records without what each has of its own."""
    return [record.body.partition(b'"device_id"')[2] for record in rig.outbox.records]


def test_items_are_put_together_in_their_order() -> None:
    rig = Rig()
    rig.send(item())
    answered = rig.send(*[item(ts=NOW_MS + number) for number in range(5)])
    assert statuses(answered) == ["accepted"] * 5
    assert [len(kept.records) for kept in rig.outbox.kept] == [1, 5]
    assert [one["record_id"] for one in answered] == [record.record_id for record in rig.outbox.records[1:]]
    assert rig.rig.balance() == (6, 6)


@pytest.mark.parametrize("refuses", ["", "outbox_full", "error"])
def test_those_that_share_a_receipt_are_counted_until_it_settles(refuses: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.send(item())
    rig.outbox.refuses = refuses
    put, seen = rig.outbox.put, []

    def look(*arguments: Any) -> None:
        seen.append(rig.rig.metrics.grouped())
        put(*arguments)

    monkeypatch.setattr(rig.outbox, "put", look)
    rig.send(item(), item(), item())
    assert (seen, rig.rig.metrics.grouped()) == ([2], 0)


def test_what_may_end_otherwise_goes_by_itself_and_behind_the_others() -> None:
    rig = Rig()
    sent = [
        item(),
        item(trace_id="t"),
        item(),
        b'{"device_id": "d-1"}',
        item(trace_id="t"),
        item(),
        item(tags={"a": 1}),
    ]
    answered = rig.send(*sent)
    assert statuses(answered)[:3] == ["accepted"] * 3
    assert (answered[3]["status"], answered[3]["error"]["code"]) == ("rejected", "unknown_product")
    assert statuses(answered)[4:] == ["duplicate", "accepted", "accepted"]
    named = [one["record_id"] for one in answered if "record_id" in one]
    assert named == [record.record_id for record in rig.outbox.records]
    assert rig.rig.balance() == (7, 7)


def test_a_large_record_goes_by_itself() -> None:
    rig = Rig()
    large = item(productId="generic_json", metrics={"text": "x" * 5_000})
    assert statuses(rig.send(item(), large, item())) == ["accepted"] * 3
    assert [len(kept.records) for kept in rig.outbox.kept] == [1, 1, 1]
    assert max(len(record.body) for record in rig.outbox.records) > 5_000


def test_a_group_is_bounded_and_of_one_product() -> None:
    rig = Rig()
    other = item(productId="generic_json")
    rig.send(item(), other)
    rig.send(*[item()] * 300)
    rig.send(item(), other, other)
    assert [len(kept.records) for kept in rig.outbox.kept] == [1, 1, 128, 128, 44, 1, 2]
    assert rig.rig.balance() == (305, 305)


@pytest.mark.parametrize("refusal", ["outbox_full", "error"])
def test_a_refusal_is_that_of_every_item(refusal: str) -> None:
    rig = Rig()
    rig.send(item())
    rig.outbox.refuses = refusal
    answered = rig.send(item(), item())
    assert statuses(answered) == ["rejected"] * 2
    assert {one["error"]["code"] for one in answered} == {refusal.replace("error", "sink_failed")}
    assert all("record_id" not in one for one in answered)
    assert rig.rig.balance() == (3, 3)
    (traffic,) = rig.rig.metrics._traffic.values()
    assert traffic.refused[answered[0]["error"]["code"]] == 2


@pytest.mark.parametrize(
    ("asked", "configured", "together"), [(None, True, False), (False, True, True), (True, False, False)]
)
def test_who_waits_for_the_sinks_has_receipts_of_its_own(asked: bool | None, configured: bool, together: bool) -> None:
    rig = Rig(on_sink=asked)
    rig.outbox.acks_on_sink = configured
    rig.send(item())
    assert statuses(rig.send(item(), item())) == ["accepted"] * 2
    assert [len(kept.records) for kept in rig.outbox.kept[1:]] == ([2] if together else [1, 1])
    assert [kept.receipt.on_sink for kept in rig.outbox.kept[1:]] == ([False] if together else [asked] * 2)


def test_scopes_hold_for_usual_items() -> None:
    rig = Rig(grant=RestGrant(Principal("key", "erp"), "client:erp", Scope(devices=DevicePatterns(["d-1"]))))
    for _ in range(2):
        answered = rig.send(item(), item(device_id="d-2"))
        assert statuses(answered) == ["accepted", "rejected"]
        assert answered[1]["error"]["code"] == "device_not_allowed"


def test_a_sender_with_a_device_of_its_own_speaks_for_that() -> None:
    rig = Rig()
    sending = Sending(GRANT, ItemSpeaker.of(GRANT, "d-1"), "rest", "p", "r-1")
    bare = json.dumps(THERMO).encode()
    assert statuses(rig.send(bare, item(), bare, item(device_id="d-2"), sending=sending)) == ["accepted"] * 4
    lanes = [record.lane for record in rig.outbox.records]
    assert lanes == ["d-1", "d-1", "d-1", "d-2"]


def test_errors_say_what_can_be_done_about_an_item() -> None:
    rig = Rig()
    nobody, nothing, long = rig.send(
        json.dumps(THERMO).encode(), b'{"device_id": "d-9", "tempC": 5}', item(device_id="x" * 500)
    )
    assert nobody["error"]["message"] == (
        "no device is named: put its id into the item as `device_id`, or into the address as `?device_id=`"
    )
    assert "put `productId` into the item, `?product=` into the address" in nothing["error"]["message"]
    assert "is too long or not printable: put its id into the item" in long["error"]["message"]
    assert all("topic" not in one["error"]["message"] for one in (nobody, nothing, long))


QUICK, SLOW = Rig(), Rig(usual=False)
KEYS = st.sampled_from(
    [
        *("productId", "metrics", "ts", "device_timestamp", "hub_timestamp", "message", "trace_id", "fw", "header"),
        *("tempC", "device_id", "tags", "type", "data", "hub_id", "childDeviceId", "nodes", "measurement"),
    ]
)
VALUES = st.sampled_from(
    [
        *('"example_thermo"', '"generic_json"', '"d-1"', '"known"', '"a:b"', '"\\u0041"', '""', "null", "true", "21.5"),
        *("18446744073709551617", "9300000000000000001.0", "1772366400123", "-0", "5", "{}", "[]", '{"tempC":21.5}'),
        *('{"tempC":21.5,"tempC":22}', '{"tempC":200,"rpm":65535}', '"2026-03-01T12:00:00Z"'),
        '{"timestamp":1772366400123}',
    ]
)
USUAL = [(name, json.dumps(value)) for name, value in ITEM.items()]
MEMBERS = st.lists(st.sampled_from(USUAL) | st.tuples(KEYS, VALUES), max_size=6)


@given(MEMBERS)
def test_any_item_is_read_the_same(members: list[tuple[str, str]]) -> None:
    sent = b"{" + ",".join(f'"{name}":{value}' for name, value in members).encode() + b"}"
    found = []
    for rig in (QUICK, SLOW):
        before = len(rig.outbox.records)
        answered = rig.send(item(), sent, item())
        for one in answered:
            one.pop("record_id", None)
        found.append((answered, bodies(rig)[before:]))
    assert found[0] == found[1]


def test_where_only_known_devices_are_taken_a_table_is_admitted_by_its_name() -> None:
    rig = TopicRig(provisioning=Provisioning.KNOWN, devices=[Device(DeviceKey("", "table:sites"))])
    shape = Shapes(lambda: rig.catalog).records("master", "")
    sending = Sending(GRANT, GRANT, "rest", "p", "r-1")
    found = []
    for table in ("sites", "owners"):
        row = {"op": "upsert", "table": table, "keys": {"id": 1}, "data": {"name": "a"}}
        taken = shape.open(sending, row, b"", NOW_MS)
        assert taken is not None
        message, route, one = taken
        assert route is not None
        found.append(rig.reader.read_item(message, route, one))
    admitted, refused = found
    assert isinstance(admitted, Uplink)
    assert admitted.device.key.device_id == "table:sites"
    assert isinstance(refused, Refused)
    assert refused.reason is RefuseReason.UNKNOWN_DEVICE
