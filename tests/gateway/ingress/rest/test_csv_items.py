from __future__ import annotations

import pytest

from decoders.errors import DecodeError
from decoders.product import CompiledProduct
from gateway.ingress.rest.charsets import Charset
from gateway.ingress.rest.csv_items import CsvItems
from gateway.observe.problems import Problem
from gateway.specs import load_catalog


def items_of(*records: bytes, delimiter: str = ",") -> list[object]:
    items = CsvItems(None, Charset())
    found = [items.open(record, delimiter) for record in records]
    assert found[0] is None
    return [one[1] for one in found[1:] if one is not None]


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


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"a,b,a", "`a` stands there twice"),
        (b"a,,b", "column 2 has no name"),
        (b"a,,", "column 2 has no name"),
        (b",".join(b"c%d" % n for n in range(1001)), "it has 1001 columns, at most 1000 are taken"),
        (b"a,M\xfcller", "not text in the charset of the body (utf-8)"),
        (b'a,"b', "not CSV: unexpected end of data"),
        (b"a,b\r1,2\r3,4", "lines end with LF or CR LF, not with CR alone"),
    ],
)
def test_a_header_that_cannot_be_used(header: bytes, said: str) -> None:
    """Whatever is wrong with it: the next record must not become the header."""
    with pytest.raises(Problem) as caught:
        CsvItems(None, Charset("utf-8")).open(header, ",")
    assert (caught.value.status, caught.value.code) == (422, "bad_header")
    assert caught.value.detail == f"the first record must name the columns: {said}"


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_named(charset: str) -> None:
    with pytest.raises(Problem) as caught:
        CsvItems(None, Charset()).open("\ufeffa,b".encode(charset), ",")
    assert (caught.value.status, caught.value.code) == (415, "unsupported_charset")
    assert "UTF-16" in caught.value.detail


@pytest.mark.parametrize("record", [b" a , b,c ", b"a,,", b",,", b"\ta,b ,  c"])
def test_cells_without_quotes_are_those_with_them(record: bytes) -> None:
    quoted = b",".join(b'"%b"' % cell.strip() for cell in record.split(b","))
    assert items_of(b"x,y,z", record) == items_of(b"x,y,z", quoted)


def test_what_excel_says_of_the_delimiter_is_no_header() -> None:
    items = CsvItems(None, Charset())
    assert [items.open(record, ";") for record in (b"sep=;", b"a;b")] == [None, None]
    assert items.open(b"1;x", ";") == (b"1;x", {"a": 1, "b": "x"})


def test_lines_may_end_with_a_delimiter() -> None:
    assert items_of(b"a,b,", b"1,2,", b"3,4") == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    items = CsvItems(None, Charset())
    items.open(b"a,b,", ",")
    with pytest.raises(DecodeError, match="3 columns, 2 are expected"):
        items.open(b"1,2,3", ",")


@pytest.fixture(scope="module")
def products() -> dict[str, CompiledProduct]:
    names = ["example_thermo", "generic_json"]
    catalog = load_catalog(only=names, check_golden=False)
    return {name: catalog.find(name).product for name in names}


JSON_NAMES = b"device_id,ts,productId,tempC"


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"device_id,temp,rpm", "the product has no value `temp` (did you mean `tempC`?)"),
        (b"device_id,TEMPC", "the product has no value `TEMPC` (did you mean `tempC`?)"),
        (b"device_id,site,speed", "none of the columns is a value of the product: "),
    ],
)
def test_names_that_the_product_does_not_have(products: dict[str, CompiledProduct], header: bytes, said: str) -> None:
    with pytest.raises(Problem) as caught:
        CsvItems(products["example_thermo"], Charset()).open(header, ",")
    assert (caught.value.status, caught.value.code) == (422, "bad_header")
    assert said in caught.value.detail


@pytest.mark.parametrize(
    "header",
    [
        JSON_NAMES,
        JSON_NAMES + b",site,remark",  # files grow columns: they are left out
        b"device_id,rpm,"
        + b"x" * 65
        + b","
        + b",".join(b"site%d" % n for n in range(100))
        + b",temp",  # looked at are 100
    ],
)
def test_columns_more_than_the_product_has(products: dict[str, CompiledProduct], header: bytes) -> None:
    assert CsvItems(products["example_thermo"], Charset()).open(header, ",") is None


def test_a_product_that_takes_any_value_takes_any_column(products: dict[str, CompiledProduct]) -> None:
    assert CsvItems(products["generic_json"], Charset()).open(b"device_id,whatever", ",") is None


@pytest.mark.parametrize("record", [b"1", b"1,2,3", b'1,"2', b"1,\xff"])
def test_records_that_cannot_be_read(record: bytes) -> None:
    items = CsvItems(None, Charset("utf-8"))
    items.open(b"a,b", ",")
    with pytest.raises(DecodeError):
        items.open(record, ",")
