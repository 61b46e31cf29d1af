"""`dedup:` of a spec: which messages get which key, and what authors are told."""

from __future__ import annotations

from decoders.compile import CompiledProduct
from decoders.errors import SpecError
from decoders.plan import DedupPlan
from decoders.spec.dedup_keys import dedup_text
from decoders.spec.diff import diff
from decoders.spec.show import message_rows
from decoders.types import SessionContext
from tests.decoders.specs import product

FRAME = """\
frame:
  header: [{name: start, type: u8, const: 0xA5}, {name: length, type: u8, counts: type..serial}, {name: type, type: u8}]
  trailer: [{name: serial, type: u8}]
"""
MESSAGES = """\
messages:
  position:
    when: {type: 1}
    fields:
      - {name: time, type: unix32}
      - {group: place, fields: [{name: x, type: u8}]}
      - {name: quiet, type: u8, hidden: true}
  status: {when: {type: 2}, fields: [{name: on, type: u8}]}
  login: {when: {type: 3}, record: none, fields: [{name: time, type: unix32}, {name: id, type: u8, identity: device}]}
  ack: {when: {type: 4}, downlink: true, fields: [{name: time, type: unix32}]}
"""


def plans(spec: str) -> dict[str, DedupPlan]:
    return {name: plan.dedup for name, plan in product(spec).messages.items() if plan.dedup is not None}


def told(spec: str) -> list[str]:
    try:
        product(spec)
    except SpecError as error:
        return [str(problem).removeprefix("spec.yaml:").partition(": ")[2] for problem in error.problems]
    return []


def with_dedup(dedup: str, own: str = "") -> str:
    """dedup: at the top; own: of the message `position`."""
    top = f"dedup: {dedup}\n" if dedup else ""
    messages = MESSAGES.replace("when: {type: 1}", f"when: {{type: 1}}\n    dedup: {own}") if own else MESSAGES
    return FRAME + top + messages


def test_without_dedup_everything_counts() -> None:
    assert plans(with_dedup("")) == {}


def test_one_at_the_top_holds_for_the_records_that_have_its_values() -> None:
    assert plans(with_dedup("{key: [serial, time], window_s: 1.5, count: 9}")) == {
        "position": DedupPlan(("serial", "time"), (("serial",), ("time",)), window_ms=1500, count=9, kept=9)
    }
    assert plans(with_dedup("{key: serial}")).keys() == {"position", "status"}


def test_a_message_may_have_its_own_or_none() -> None:
    found = plans(with_dedup("{key: serial, count: 5}", "{key: [place.x, frame]}"))
    assert found["position"].names == ("place.x", "frame")
    assert (found["position"].paths, found["position"].frame) == ((("place", "x"),), True)
    assert (found["position"].count, found["status"].count) == (128, 5)
    assert found["position"].kept == found["status"].kept == 128  # they share one memory per device
    assert plans(with_dedup("{key: serial}", "false")).keys() == {"status"}


def test_names_have_to_exist() -> None:
    assert told(with_dedup("{key: [serial, tim]}")) == [
        "dedup.key[1]: `tim` is no value of any message that makes records (did you mean `time`?)"
    ]
    assert told(with_dedup("{key: [place.x, on]}")) == [
        "dedup.key: no message that makes records has all of these values (give the messages a `dedup` of their own)"
    ]
    assert told(with_dedup("", "{key: on}"))[0].startswith(
        "messages.position.dedup.key: `on` is no value of this message"
    )
    assert "(hidden rows have no value: `hidden: false`)" in told(with_dedup("", "{key: quiet}"))[0]
    spec = with_dedup("").replace("record: none", "record: none, dedup: {key: time}")
    assert told(spec) == [
        "messages.login.dedup: the message leaves no record, so a copy of it leaves none twice (remove `dedup`)"
    ]


def test_what_it_may_say() -> None:
    assert "expected" in told(with_dedup("serial"))[0]
    assert "window_s" in told(with_dedup("{key: serial, window_s: 0}"))[0]
    assert "count" in told(with_dedup("{key: serial, count: 5000}"))[0]
    assert told(with_dedup("{key: []}"))
    assert told(with_dedup("{window_s: 5}"))
    assert told(with_dedup("", "true"))


def test_a_variant_may_have_its_own() -> None:
    spec = with_dedup("{key: serial}") + "variants: {old: {dedup: null}, new: {dedup: {key: [serial, time]}}}\n"
    assert plans(spec).keys() == {"position", "status"}


def document(more: str = "") -> CompiledProduct:
    fields = "[{name: temperature, unit: '°C'}, {name: n}]"
    return product(f"messages: {{sample: {{json: true, {more} fields: {fields}}}}}")


def decoded(compiled: CompiledProduct, text: bytes) -> tuple[list[object] | None, dict[str, object]]:
    """Key of a document, and its metrics."""
    found = compiled.decode_json(text, SessionContext())
    plan = found.message.dedup
    return plan.key(found.values, text) if plan is not None else None, compiled.parts(found)[0].metrics


def test_documents_may_say_a_trace_id() -> None:
    compiled = document()
    key, metrics = decoded(compiled, b'{"device_id": "d", "trace_id": "t-1", "temperature": 20.5}')
    assert key == ["trace_id", "t-1", "d", None, None]
    assert metrics == {"temperature": 20.5}
    for other in (
        b'{"temperature": 20.5}',
        b'{"trace_id": "", "temperature": 20.5}',
        b'{"trace_id": 7, "temperature": 1}',
    ):
        assert decoded(compiled, other)[0] is None


def test_a_key_for_documents_without_a_trace_id() -> None:
    compiled = document("dedup: {key: [n, device_timestamp]},")
    key, _ = decoded(compiled, b'{"device_id": "d", "n": 4, "ts": 1772323200}')
    assert key == [4, "2026-03-01T00:00:00.000Z", "d", None, None]
    assert decoded(compiled, b'{"device_id": "d", "n": 4}')[0] is None
    off = document("dedup: false,")
    assert decoded(off, b'{"device_id": "d", "trace_id": "t-1", "temperature": 20.5}')[0] is None


def test_the_tools_tell_of_it() -> None:
    before, after = product(with_dedup("")), product(with_dedup("{key: [serial, time]}"))
    words = "serial, time within 600 s, among the last 128"
    assert dedup_text(after.messages["position"].dedup) == words
    assert dedup_text(after.messages["status"].dedup) == ""
    assert message_rows(after, "position")[0].note.endswith(f"; copies known by {words}")
    assert [change.text for change in diff(before, after).changes] == [f"copies known by: none -> `{words}`"]
