"""PRIOS telegrams: the content of one, and what is none."""

from __future__ import annotations

import pytest

from decoders.metering.prios import prios_content

VALUES: dict[str, int | str] = {
    "manufacturer": "SAP",
    "link_number": 0x21242472,
    "version": 0xD4,
    "type": 1,
    "ci": 0xA2,
    "radio": 0x13403D01,
}


def test_the_content_of_a_telegram() -> None:
    data = bytes.fromhex("dd8b46a4999c1293e582cc")
    assert prios_content(data, VALUES).hex() == "4ba00d00009e0d00007e29"


@pytest.mark.parametrize("data", ["", "dc8b46", "00"])
def test_other_bytes_are_none(data: str) -> None:
    with pytest.raises(ValueError, match="no content"):
        prios_content(bytes.fromhex(data), VALUES)


def test_values_must_be_there() -> None:
    with pytest.raises(KeyError):
        prios_content(b"", {})
