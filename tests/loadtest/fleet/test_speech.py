from __future__ import annotations

import pytest

from decoders.catalog import Catalog
from decoders.types import SessionContext
from gateway.pipeline.preview import Preview
from loadtest.fleet.numbers import number_of
from loadtest.fleet.speech import Document, NothingToSay, Speaker, document_of, voices_of


@pytest.mark.parametrize("product", ["concox_gt06", "jtt_808"])
def test_every_frame_makes_one_record_that_names_it(proven: Catalog, product: str) -> None:
    (voice, *_) = voices_of(proven, [product])
    assert voice.product_id == product
    speaker, preview = Speaker(voice, 12), Preview(voice.script.product)
    context = SessionContext()
    if speaker.login is not None:
        preview.read(speaker.login.wire, context, 0)
    for number in range(1, 2 * len(voice.frames) + 1):
        frame = speaker.frame(number)
        answer = preview.read(frame.wire, context, 0)
        assert answer["ok"], answer
        (record,) = answer["records"]
        assert number_of(record["device_timestamp"]) == number
        assert record.get("device_id", context.device_id) == speaker.device_id
        sizes = [len(bytes.fromhex(reply)) for reply in answer["replies"]]
        assert sum(sizes) == frame.reply_bytes > 0
        if frame.exact:
            assert answer["replies"] == [reply.hex() for reply in frame.replies]


def test_devices_have_ids_of_their_own_and_share_what_does_not_name_them(proven: Catalog) -> None:
    (voice,) = voices_of(proven, ["concox_gt06"], ["position_cell"])
    first, second = Speaker(voice, 1), Speaker(voice, 2)
    assert first.device_id != second.device_id
    assert first.frame(5).wire == second.frame(5).wire  # only the login names the device
    assert first.frame(5).wire != first.frame(6).wire
    assert {template.message for template in voice.frames} == {"position_cell"}


def test_heartbeats_are_answered(proven: Catalog) -> None:
    for voice in voices_of(proven, ["concox_gt06", "jtt_808"]):
        speaker = Speaker(voice, 3)
        assert speaker.has_heartbeat
        assert speaker.heartbeat().replies
        assert speaker.heartbeat().wire != speaker.heartbeat().wire  # serial numbers


def test_a_product_that_cannot_be_counted_is_refused(proven: Catalog) -> None:
    with pytest.raises(NothingToSay, match="concox_gt06: no golden frame among heartbeat makes"):
        voices_of(proven, ["concox_gt06"], ["heartbeat"])
    with pytest.raises(NothingToSay, match="elsys"):
        voices_of(proven, ["elsys"])  # does not speak TCP


def test_documents_hold_the_metrics_of_a_golden_frame(proven: Catalog) -> None:
    document = document_of(proven, "example_thermo", "d-1")
    made = document.at(7)
    assert len(made) == document.size
    assert made.startswith(b'{"device_id":"d-1","productId":"example_thermo","device_timestamp":')
    assert b'"metrics":{' in made
    assert document.at(7) != document.at(8)
    assert b"device_id" not in Document("p", {"a": 1}).at(1)
