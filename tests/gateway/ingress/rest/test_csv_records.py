from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ingress.rest.csv_records import CsvCutter, says_delimiter
from gateway.ingress.rest.lines import Line

CELLS = st.text(st.sampled_from('ab,;"\n \t|'), max_size=6)


def cut(data: bytes, size: int = 0, *, max_bytes: int = 1_000, delimiter: str = "") -> tuple[list[Line], CsvCutter]:
    cutter = CsvCutter(max_bytes, delimiter)
    pieces = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    found = [line for piece in pieces for line in cutter.feed(piece)]
    return found + cutter.end(), cutter


def texts(data: bytes, max_bytes: int = 1_000) -> list[bytes]:
    return [line.data for line in cut(data, max_bytes=max_bytes)[0]]


@given(st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=6), st.sampled_from(",;\t|"), st.integers(1, 9))
def test_records_of_a_writer_come_back(rows: list[list[str]], delimiter: str, size: int) -> None:
    """Against Python's csv module."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    written = out.getvalue().replace("\r\n", "\n")
    lines, cutter = cut(out.getvalue().encode(), size, delimiter=delimiter)
    read = [row for line in lines for row in csv.reader([line.data.decode()], delimiter=delimiter, strict=True)]
    wanted = [
        [cell.replace("\r\n", "\n") for cell in row] for row in csv.reader(io.StringIO(written), delimiter=delimiter)
    ]
    blank = [row for row in wanted if row and (len(row) > 1 or row[0].strip(" \t"))]
    if delimiter != "\t":  # a row of empty cells is a blank line there
        assert read == blank
    assert cutter.lines == out.getvalue().count("\n")


@given(st.text(st.sampled_from('a,"\n '), max_size=40), st.integers(1, 9))
def test_no_text_is_lost_or_cut_otherwise_in_pieces(text: str, size: int) -> None:
    data = text.encode()
    whole, _ = cut(data)
    assert cut(data, size)[0] == whole
    kept = b"\n".join(line.data for line in whole)
    assert kept.replace(b"\n", b"").replace(b" ", b"") == data.replace(b"\n", b"").replace(b" ", b"")
    numbers = [line.number for line in whole]
    assert numbers == sorted(set(numbers))


def test_a_record_over_several_lines_has_the_number_of_its_first() -> None:
    lines, cutter = cut(b'id,note\r\n\r\n1,"one\r\n\r\ntwo ""x"""\r\n2,b\r\n')
    assert lines == [Line(1, b"id,note"), Line(3, b'1,"one\n\ntwo ""x"""'), Line(6, b"2,b")]
    assert cutter.lines == 6


def test_lines_of_an_open_record_are_not_counted() -> None:
    cutter = CsvCutter(1_000)
    assert cutter.feed(b'a,b\n1,"x\ny\n') == [Line(1, b"a,b")]
    assert cutter.lines == 1
    assert cutter.feed(b'z"\n') == [Line(2, b'1,"x\ny\nz"')]
    assert cutter.lines == 4


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        (b"a,b", ","),
        (b"a;b,c;d", ";"),
        (b"a\tb", "\t"),
        (b"a|b|c", "|"),
        (b"alone", ","),
        (b'"a;b;c",d', ","),
        (b"\n\n1;2", ";"),
    ],
)
def test_the_first_line_shows_the_delimiter(header: bytes, delimiter: str) -> None:
    assert cut(header)[1].delimiter == delimiter


def test_a_delimiter_that_is_given_counts() -> None:
    lines, cutter = cut(b'a,b;c,"\nx"\n', delimiter=";")
    assert cutter.delimiter == ";"
    assert lines == [Line(1, b'a,b;c,"'), Line(2, b'x"')]


@pytest.mark.parametrize(
    "broken",
    [
        b'1,5" pipe',  # a character
        b'1,"two" three',
        b'1,"open',
        b'1,"open, and "" more',
    ],
)
def test_a_quote_out_of_place_harms_its_own_line_only(broken: bytes) -> None:
    data = b"a,b\n" + broken + b"\n2,x\n3,y\n"
    assert texts(data) == [b"a,b", broken, b"2,x", b"3,y"]


def test_a_quote_that_nobody_closes_is_given_up_after_some_lines() -> None:
    rows = [b"%d,x" % n for n in range(300)]
    data = b"\n".join([b"a,b", b'0,"open', *rows])
    assert texts(data) == [b"a,b", b'0,"open', *rows]
    assert texts(data, max_bytes=30) == [b"a,b", b'0,"open', *rows]


def test_a_line_that_is_too_long_is_told_also_within_quotes() -> None:
    lines, _ = cut(b'a,b\n1,"x\n' + b"y" * 50 + b'\n2,z"\n', max_bytes=20)
    assert lines == [Line(1, b"a,b"), Line(2, b'1,"x'), Line(3, b"", True), Line(4, b'2,z"')]


def test_korean_text_is_cut_before_its_charset_is_known() -> None:
    rows = ["온도,습도", "힣똠,뷁", '"가\n나",다']
    data = "\n".join(rows).encode("cp949")
    assert texts(data) == [row.encode("cp949") for row in rows]


@pytest.mark.parametrize(
    ("record", "says"),
    [(b"sep=;", True), (b"SEP=,", True), (b"sep=\t", True), (b"sep=", False), (b"sep=x", False), (b"a;sep=;", False)],
)
def test_what_excel_says_of_the_delimiter(record: bytes, says: bool) -> None:
    assert says_delimiter(record) is says
