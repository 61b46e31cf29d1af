from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from gateway.protocol.mqtt.codec import Decoder, encode
from gateway.protocol.mqtt.packets import V5, V311, Connect, Packet
from tests.gateway.protocol.mqtt.packet_strategies import connects, from_client, from_server

VERSIONS = st.sampled_from([V311, V5])
SEARCH = settings(max_examples=20_000, phases=[Phase.generate], database=None, derandomize=True)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[int, list[Packet]]:
    """A CONNECT and what follows it."""
    version = draw(VERSIONS)
    connect: Packet = draw(connects(version))
    return version, [connect, *draw(st.lists(from_client(version), max_size=6))]


# One search a packet, for as long as it takes: what a fixed number of examples reaches depends on which modules of the
# project are loaded, since Hypothesis takes constants from them.
@pytest.mark.parametrize("name", sorted(kind.__name__ for kind in get_args(Packet) if kind is not Connect))
def test_the_strategies_reach_every_packet(name: str) -> None:
    anybody = VERSIONS.flatmap(from_client) | VERSIONS.flatmap(from_server)
    found = find(anybody, lambda packet: type(packet).__name__ == name, settings=SEARCH)
    assert type(found).__name__ == name


@given(conversations())
def test_what_a_client_says_is_read_as_it_was_written(conversation: tuple[int, list[Packet]]) -> None:
    version, packets = conversation
    decoder = Decoder(1 << 20)
    assert decoder.receive(b"".join(encode(packet, version) for packet in packets)) == packets
    assert decoder.error is None
    assert decoder.version == version
    assert decoder.buffered == 0


@given(VERSIONS.flatmap(lambda version: st.tuples(st.just(version), st.lists(from_server(version), max_size=6))))
def test_what_a_server_says_is_read_as_it_was_written(said: tuple[int, list[Packet]]) -> None:
    version, packets = said
    decoder = Decoder(1 << 20, from_client=False, version=version)
    assert decoder.receive(b"".join(encode(packet, version) for packet in packets)) == packets
    assert decoder.error is None


@given(conversations(), st.lists(st.integers(0, 2_000), max_size=20))
def test_cuts_between_reads_change_nothing(conversation: tuple[int, list[Packet]], cuts: list[int]) -> None:
    version, packets = conversation
    whole = b"".join(encode(packet, version) for packet in packets)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    decoder = Decoder(1 << 20)
    read = [packet for start, stop in pairwise(places) for packet in decoder.receive(whole[start:stop])]
    assert read == packets
    assert decoder.error is None


@given(conversations(), st.data())
def test_cuts_change_nothing_about_broken_bytes_either(
    conversation: tuple[int, list[Packet]], data: st.DataObject
) -> None:
    """The same packets before the same error, in one read and byte by byte."""
    version, packets = conversation
    whole = bytearray(b"".join(encode(packet, version) for packet in packets))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    at_once, by_bytes = Decoder(4_096), Decoder(4_096)
    read = at_once.receive(bytes(whole))
    assert [packet for byte in whole for packet in by_bytes.receive(bytes((byte,)))] == read
    assert str(by_bytes.error) == str(at_once.error)
    assert by_bytes.version == at_once.version


@pytest.mark.parametrize("version", [V311, V5])
@given(noise=st.binary(max_size=60))
def test_noise_never_raises(version: int, noise: bytes) -> None:
    decoder = Decoder(1 << 20)
    decoder.receive(encode(Connect(version, "c"), version))
    decoder.receive(noise)
    assert decoder.buffered <= len(noise)
