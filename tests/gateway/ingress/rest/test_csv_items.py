from __future__ import annotations

import pytest

from decoders.errors import DecodeError
from gateway.ingress.rest.charsets import Charset
from gateway.ingress.rest.csv_items import CsvItems
from gateway.observe.problems import Problem


def items_of(*records: bytes, delimiter: str = ",") -> list[object]:
    items = CsvItems(None, Charset())
    found = [items.open(record, delimiter) for record in records]
    assert found[0] is None
    return [one[1].document for one in found[1:] if one is not None]


def test_the_header_names_the_values() -> None:
    assert items_of(b"device_id,n,note", b'007,1.50,"a, b"', b"8,,-3") == [
        {"device_id": "007", "n": 1.5, "note": "a, b"},
        {"device_id": "8", "note": -3},
    ]


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1", 1), ("-1.5e3", -1500.0), ("01", "01"), ("1,5", 1.5), ("1,5,0", "1,5,0"), ("9" * 16, "9" * 16), ("x", "x")],
)
def test_numbers_are_numbers(cell: str, value: object) -> None:
    assert items_of(b"a;b", f"{cell};x".encode(), delimiter=";")[0] == {"a": value, "b": "x"}


@pytest.mark.parametrize("header", [b"a,a", b"a,,b", b",".join(b"c%d" % n for n in range(1001))])
def test_a_header_that_cannot_be_used(header: bytes) -> None:
    with pytest.raises(Problem) as caught:
        CsvItems(None, Charset()).open(header, ",")
    assert (caught.value.status, caught.value.code) == (422, "bad_header")


@pytest.mark.parametrize("record", [b"1", b"1,2,3", b'1,"2', b"1,\xff"])
def test_records_that_cannot_be_read(record: bytes) -> None:
    items = CsvItems(None, Charset("utf-8"))
    items.open(b"a,b", ",")
    with pytest.raises(DecodeError):
        items.open(record, ",")
