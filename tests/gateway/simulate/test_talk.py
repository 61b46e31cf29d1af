from __future__ import annotations

import asyncio

import pytest

from decoders.framing.plan import Frame
from decoders.types import SessionContext
from gateway.simulate.talk import AnswerReader, expected_answers, talk
from tests.decoders.sensor import ACK, LOGIN, SPEC, STATUS, compiled, frame
from tests.gateway.simulate.answering import answering

STUFFED = """\
product: stuffed
frame:
  start: "7E"
  stop: "7E"
  escape: {mark: 0x7D, table: {1: 0x7D, 2: 0x7E}}
  header: [{name: type, type: u8}]
messages:
  ask: {when: {type: 1}, fields: [{name: value, type: u8}], replies: [{message: answer, with: {value: value}}]}
  answer: {downlink: true, when: {type: 2}, fields: [{name: value, type: u8}]}
"""


async def test_frames_go_one_by_one_and_answers_come_back() -> None:
    product = compiled()
    context = SessionContext()
    plan = [(wire, expected_answers(product, wire, context, 0)) for wire in (LOGIN, STATUS)]
    assert context.device_id == "123456"
    async with answering(product) as gateway:
        exchanges = await talk("127.0.0.1", gateway.port, plan, 2)
    assert [exchange.frame for exchange in exchanges] == [LOGIN, STATUS]
    assert [exchange.answers for exchange in exchanges] == [[ACK], [ACK]]
    assert all(exchange.milliseconds is not None and not exchange.closed for exchange in exchanges)
    assert gateway.frames == [[LOGIN, STATUS]]


async def test_several_answers_to_one_frame_are_told_apart() -> None:
    product = compiled(SPEC.replace("replies: [ack]\n  status", 'replies: [ack, {hex: "0102"}]\n  status'))
    expected = expected_answers(product, LOGIN, SessionContext(), 0)
    async with answering(product) as gateway:
        (exchange,) = await talk("127.0.0.1", gateway.port, [(LOGIN, expected)], 2)
    assert exchange.answers == [ACK, b"\1\2"]


async def test_an_answer_that_no_spec_foresees_is_taken_in_one_piece() -> None:
    async with answering(compiled(), lambda wire, replies: [b"what", b"ever"]) as gateway:
        (exchange,) = await talk("127.0.0.1", gateway.port, [(LOGIN, [])], 2)
    assert exchange.answers == [b"whatever"]


async def test_no_answer_in_time() -> None:
    async with answering(compiled(), lambda wire, replies: []) as gateway:
        exchanges = await talk("127.0.0.1", gateway.port, [(LOGIN, [ACK]), (STATUS, [ACK])], 0.1)
    assert [(exchange.answers, exchange.milliseconds) for exchange in exchanges] == [([], None), ([], None)]
    assert gateway.frames == [[LOGIN, STATUS]]


async def test_the_other_side_closes() -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        exchanges = await talk("127.0.0.1", port, [(LOGIN, [ACK]), (STATUS, [ACK])], 2)
    assert [exchange.closed for exchange in exchanges] == [True]


async def test_nobody_listens() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await talk("127.0.0.1", port, [(LOGIN, [])], 1)


def test_what_is_expected_of_a_frame_that_cannot_be_read() -> None:
    product = compiled(SPEC + 'unknown_message: [{hex: "00"}]\n')
    unknown = product.encoders[0, "ack"].encode({"serial": 1}, raw={"type": 9})
    assert expected_answers(product, unknown, SessionContext(), 0) == [b"\0"]
    assert expected_answers(product, b"\xa5", SessionContext(), 0) == []
    changed = unknown[:-1] + bytes([unknown[-1] ^ 1])
    assert expected_answers(product, changed, SessionContext(), 0) == []


def test_answers_are_read_as_the_device_would() -> None:
    reader = AnswerReader(compiled())
    assert reader.read(ACK) == ("ack", {"type": 6, "serial": 1})
    assert reader.read(frame("ack", serial=9)) == ("ack", {"type": 6, "serial": 9})
    for data in (b"", b"\1", ACK[:-1], STATUS):
        assert reader.read(data) is None


def test_a_stuffed_answer_is_read() -> None:
    product = compiled(STUFFED)
    values = product.decode(Frame(product.kinds[0].kind, bytes.fromhex("7e017d027e")), SessionContext()).values
    (reply,) = product.replies("ask", values, SessionContext(), 0)
    assert reply == bytes.fromhex("7e027d027e")
    assert AnswerReader(product).read(reply) == ("answer", {"type": 2, "value": 0x7E})


def test_an_answer_without_a_type_of_its_own_is_what_is_left() -> None:
    product = compiled(SPEC.replace("ack: {downlink: true, when: {type: 6}}", "ack: {downlink: true}"))
    assert AnswerReader(product).read(ACK) == ("ack", {"type": 6, "serial": 1})
