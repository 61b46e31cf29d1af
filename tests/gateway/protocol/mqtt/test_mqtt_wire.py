from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.mqtt.packets import MqttError, ReasonCode
from gateway.protocol.mqtt.wire import MAX_VARIABLE, Reader, binary, text, variable


def reader(data: bytes) -> Reader:
    """With bytes around it that are not its own."""
    return Reader(b"\x00\x01" + data + b"\x00\x01", 2, len(data) + 2)


@pytest.mark.parametrize(
    ("value", "wire"),
    [  # table 1-1 of section 1.5.5
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (16_383, "ff7f"),
        (16_384, "808001"),
        (2_097_151, "ffff7f"),
        (2_097_152, "80808001"),
        (268_435_455, "ffffff7f"),
    ],
)
def test_variable_byte_integers(value: int, wire: str) -> None:
    assert variable(value).hex() == wire
    assert reader(bytes.fromhex(wire)).variable() == value


@given(st.integers(0, MAX_VARIABLE))
def test_variable_byte_integers_round_trip(value: int) -> None:
    read = reader(variable(value))
    assert read.variable() == value
    read.finish()


@pytest.mark.parametrize("wire", ["", "80", "8080", "808080", "80808080", "8080808001", "8000", "ff8000"])
def test_bad_variable_byte_integers(wire: str) -> None:  # cut, five bytes, longer than needed
    with pytest.raises(MqttError) as caught:
        reader(bytes.fromhex(wire)).variable()
    assert caught.value.reason is ReasonCode.MALFORMED_PACKET


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), st.binary())
def test_strings_and_binary_data(name: str, blob: bytes) -> None:
    read = reader(text(name) + binary(blob) + b"rest")
    assert read.text("name") == name
    assert read.binary() == blob
    assert read.more
    assert read.rest() == b"rest"
    assert not read.more
    read.finish()


def test_the_error_says_which_text_it_was() -> None:
    with pytest.raises(MqttError, match="malformed_packet: user name is not UTF-8"):
        reader(b"\0\1\xff").text("user name")
    with pytest.raises(MqttError, match=r"user name holds U\+0000"):
        reader(b"\0\1\0").text("user name")


def test_integers() -> None:
    read = reader(b"\1\2\3\4\5\6\7")
    assert [read.byte(), read.integer(2), read.integer(4)] == [1, 0x0203, 0x04050607]
    for take in (read.byte, lambda: read.integer(2)):
        with pytest.raises(MqttError, match="longer than its packet"):
            take()


def test_nothing_more_belongs_here() -> None:
    with pytest.raises(MqttError, match="longer than what it says"):
        reader(b"x").finish()
