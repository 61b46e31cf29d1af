from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ingress.rest.media import CP949, UTF_8, Form, Media, bytes_of_text, media_of
from gateway.observe.problems import Problem, ProblemCode

ALL = list(Form)


@pytest.mark.parametrize(
    ("content_type", "media"),
    [
        ("application/json", Media(Form.JSON)),
        ("Application/JSON; charset=UTF-8", Media(Form.JSON)),
        ("application/vnd.api+json", Media(Form.JSON)),
        ("application/x-ndjson", Media(Form.NDJSON)),
        ("application/jsonl; charset=us-ascii", Media(Form.NDJSON)),
        ("text/csv", Media(Form.CSV)),
        ('text/csv; charset="utf-8"; header=present', Media(Form.CSV, UTF_8, True)),
        ("text/csv;header=absent;charset=EUC-KR", Media(Form.CSV, CP949, False)),
        ("text/csv; charset=ks_c_5601-1987", Media(Form.CSV, CP949)),
        ("text/csv; charset=ms949", Media(Form.CSV, CP949)),
        ("text/tab-separated-values", Media(Form.CSV, tabs=True)),
        ("application/octet-stream", Media(Form.OCTETS)),
        ("text/x-hex", Media(Form.HEX)),
        ("text/x-base64", Media(Form.BASE64)),
        ("text/plain; charset=utf-8", Media(Form.TEXT)),
    ],
)
def test_what_a_content_type_says(content_type: str, media: Media) -> None:
    assert media_of(content_type, ALL) == media


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "application/x-www-form-urlencoded",
        "json",
        "",
        "multipart/form-data; boundary=x",
        "/",
        "a/b/c",
        "é/x",
    ],
)
def test_other_types_are_refused_with_those_that_are_taken(content_type: str) -> None:
    with pytest.raises(Problem) as caught:
        media_of(content_type, [Form.JSON, Form.CSV])
    assert (caught.value.status, caught.value.code) == (415, ProblemCode.UNSUPPORTED_MEDIA_TYPE)
    assert caught.value.headers["Accept"] == "application/json, text/csv"


def test_a_known_type_may_not_be_taken_here() -> None:
    with pytest.raises(Problem):
        media_of("text/csv", [Form.JSON])


def test_a_body_may_go_without_a_type_where_the_call_has_one() -> None:
    assert media_of(None, ALL, Form.OCTETS) == Media(Form.OCTETS, is_assumed=True)
    with pytest.raises(Problem):
        media_of(None, ALL)


@pytest.mark.parametrize(
    "content_type", ["text/csv; charset=shift_jis", "text/csv; charset=x", "application/json; charset=cp949"]
)
def test_other_charsets_are_refused(content_type: str) -> None:
    with pytest.raises(Problem) as caught:
        media_of(content_type, ALL)
    assert (caught.value.status, caught.value.code) == (415, ProblemCode.UNSUPPORTED_CHARSET)


@given(st.text(max_size=60))
def test_no_header_harms(content_type: str) -> None:
    with contextlib.suppress(Problem):
        media_of(content_type, ALL)


@given(st.binary(max_size=60))
def test_bytes_come_back_from_text(data: bytes) -> None:
    assert bytes_of_text(data.hex().encode(), Form.HEX) == data
    assert bytes_of_text(base64.b64encode(data), Form.BASE64) == data
    assert bytes_of_text(base64.urlsafe_b64encode(data).rstrip(b"="), Form.BASE64) == data
    assert bytes_of_text(data.hex(":").upper().encode(), Form.TEXT) == data


@pytest.mark.parametrize("text", [b"0x7878", b" 78 78\r\n", b"78-78", b"78:78", b"eHg="])
def test_ways_of_writing(text: bytes) -> None:
    assert bytes_of_text(text, Form.TEXT) == b"xx"


def test_what_can_be_hex_is_hex() -> None:
    assert bytes_of_text(b"abcd", Form.TEXT) == b"\xab\xcd"
    assert bytes_of_text(b"abcd", Form.BASE64) == base64.b64decode(b"abcd")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (b"7", Form.HEX),
        (b"zz", Form.HEX),
        (b"a", Form.BASE64),
        (b"!!!!", Form.TEXT),
        (b"\xff\xfe", Form.TEXT),
        ("é".encode(), Form.HEX),
    ],
)
def test_what_is_neither(text: bytes, form: Form) -> None:
    with pytest.raises(Problem) as caught:
        bytes_of_text(text, form)
    assert (caught.value.status, caught.value.code) == (400, ProblemCode.BROKEN_TEXT)
