from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.ingest_chunks import (
    HEAD_BYTES,
    Chunk,
    ChunkPlan,
    FileFormat,
    chunks_of,
    content_type_of,
    format_of,
)


def cut(data: bytes, plan: ChunkPlan, *, after_line: int = 0, number: int = 0) -> list[Chunk]:
    file = io.BytesIO(data)
    return list(chunks_of(file.read(HEAD_BYTES), file, plan, after_line=after_line, number=number))


def ndjson(records: int, max_bytes: int = 1_000) -> ChunkPlan:
    return ChunkPlan(FileFormat.NDJSON, records, max_bytes=max_bytes)


def csv_plan(records: int) -> ChunkPlan:
    return ChunkPlan(FileFormat.CSV, records, max_bytes=1_000)


def test_lines_go_in_order_and_blank_ones_are_left_out() -> None:
    chunks = cut(b'{"a":1}\r\n\n{"a":2}\n  \n{"a":3}', ndjson(2))
    assert [chunk.body for chunk in chunks] == [b'{"a":1}\n{"a":2}\n', b'{"a":3}\n']
    assert [(chunk.number, chunk.last_line, chunk.lines) for chunk in chunks] == [(0, 3, [1, 3]), (1, 5, [5])]


def test_a_chunk_ends_before_it_has_too_many_bytes() -> None:
    chunks = cut(b"1234\n1234\n1234\n", ndjson(100, max_bytes=10))
    assert [chunk.body for chunk in chunks] == [b"1234\n1234\n", b"1234\n"]


def test_a_line_that_is_too_long_is_told_and_sent_nowhere() -> None:
    chunks = cut(b"1\n" + b"x" * 11 + b"\n2\n", ndjson(100, max_bytes=10))
    assert [(chunk.body, chunk.too_long, chunk.last_line) for chunk in chunks] == [(b"1\n2\n", [2], 3)]
    only = cut(b"x" * 11, ndjson(100, max_bytes=10))
    assert [(chunk.body, chunk.too_long) for chunk in only] == [(b"", [1])]


def test_the_header_stands_before_each_chunk() -> None:
    chunks = cut(b"\xef\xbb\xbfid,t\na,1\nb,2\nc,3\n", csv_plan(2))
    assert [chunk.body for chunk in chunks] == [b"id,t\na,1\nb,2\n", b"id,t\nc,3\n"]
    assert [chunk.lines for chunk in chunks] == [[2, 3], [4]]


def test_a_record_of_several_lines_stays_whole() -> None:
    [chunk] = cut(b'id,note\na,"1\n2"\nb,3\n', csv_plan(10))
    assert chunk.body == b'id,note\na,"1\n2"\nb,3\n'
    assert (chunk.lines, chunk.last_line) == ([2, 4], 4)


def test_a_header_alone_is_a_chunk_that_the_gateway_looks_at() -> None:
    """It may be a file in UTF-16, or one with CR alone."""
    [chunk] = cut(b"id,t\ra,1\rb,2\r", csv_plan(10))
    assert (chunk.body, chunk.lines, chunk.last_line) == (b"id,t\ra,1\rb,2\n", [], 1)
    assert cut(b"", csv_plan(10)) == []
    assert cut(b"id,t\na,1\n", csv_plan(10), after_line=2, number=1) == []


def test_what_excel_says_of_the_delimiter_goes_with_the_header() -> None:
    chunks = cut(b"sep=;\r\nid;t\r\na;1\r\nb;2\r\n", csv_plan(1))
    assert [chunk.body for chunk in chunks] == [b"sep=;\nid;t\na;1\n", b"sep=;\nid;t\nb;2\n"]
    assert [chunk.lines for chunk in chunks] == [[3], [4]]


@given(
    st.lists(st.integers(0, 999), max_size=30),
    st.integers(1, 5),
    st.integers(6, 40),
    st.sampled_from(FileFormat),
)
def test_whoever_goes_on_behind_a_chunk_gets_the_same_ones(
    values: list[int], records: int, max_bytes: int, form: FileFormat
) -> None:
    data = b"h,i\n" * (form is FileFormat.CSV) + b"".join(b'"%d\n",1\n' % value for value in values)
    plan = ChunkPlan(form, records, max_bytes=max_bytes)
    chunks = cut(data, plan)
    for chunk in chunks:
        assert cut(data, plan, after_line=chunk.last_line, number=chunk.number + 1) == chunks[chunk.number + 1 :]
    assert sum(len(chunk.lines) + len(chunk.too_long) for chunk in chunks) >= len(values)


@given(st.lists(st.lists(st.text('ab"\n ,;', max_size=6), min_size=2, max_size=2), min_size=1, max_size=20))
def test_every_record_of_a_csv_file_is_in_one_chunk(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    chunks = cut(text.getvalue().encode(), csv_plan(3))
    found = [row for chunk in chunks for row in list(csv.reader(io.StringIO(chunk.body.decode(), newline="")))[1:]]
    assert found == rows


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.csv", b"{", FileFormat.CSV),
        ("a.TSV", b"{", FileFormat.CSV),
        ("a.ndjson", b"a", FileFormat.NDJSON),
        ("a.jsonl", b"a", FileFormat.NDJSON),
        ("-", b'\xef\xbb\xbf \n{"a"', FileFormat.NDJSON),
        ("export.txt", b"id,t", FileFormat.CSV),
        ("-", b"", FileFormat.CSV),
    ],
)
def test_the_form_is_known_by_name_or_content(name: str, head: bytes, expected: FileFormat) -> None:
    assert format_of(name, head) is expected


@pytest.mark.parametrize(
    ("plan", "head", "expected"),
    [
        (ndjson(1), b"{}", "application/x-ndjson"),
        (csv_plan(1), b"id,t", "text/csv; header=present"),
        (csv_plan(1), "온도".encode(), "text/csv; header=present; charset=utf-8"),
        (csv_plan(1), "온도".encode("cp949"), "text/csv; header=present; charset=cp949"),
    ],
)
def test_the_content_type_says_what_holds_for_all_chunks(plan: ChunkPlan, head: bytes, expected: str) -> None:
    assert content_type_of(plan, head) == expected
