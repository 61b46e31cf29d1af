from __future__ import annotations

import pytest

from gateway.ingress.rest.charsets import BOM, Charset
from gateway.ingress.rest.media import CP949, UTF_8

KOREAN = "온도,습도\n26.3,40\n"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"temp,hum", ""),
        (KOREAN.encode(), UTF_8),
        (KOREAN.encode("cp949"), CP949),
        (KOREAN.encode("euc_kr"), CP949),
        (BOM + b"temp", UTF_8),
        (KOREAN.encode()[:-17], UTF_8),
        (KOREAN.encode()[:4], UTF_8),  # in the middle of a character
        (KOREAN.encode("cp949")[:3], CP949),
        ("똠".encode("cp949"), CP949),  # not in EUC-KR
        (b"\xff\xff", ""),
    ],
)
def test_the_head_decides(head: bytes, name: str) -> None:
    charset = Charset()
    charset.look_at(head)
    assert charset.name == name


def test_what_is_said_counts_more() -> None:
    charset = Charset(CP949)
    charset.look_at(BOM)
    assert charset.decode("째".encode("cp949")) == "째"  # also valid UTF-8: a degree sign


def test_the_first_text_decides_where_the_head_was_ascii() -> None:
    charset = Charset()
    charset.look_at(b"a,b")
    assert charset.decode(b"1,2") == "1,2"
    assert charset.decode("온도".encode("cp949")) == "온도"
    assert charset.name == CP949
    assert charset.decode("온도".encode()[:-1] + b"\xff") is None


def test_text_of_another_charset_is_none() -> None:
    charset = Charset()
    charset.look_at(KOREAN.encode())
    assert charset.decode("온도".encode("cp949")) is None
    assert Charset().decode(b"\xff\xff") is None


def test_recoding() -> None:
    charset = Charset(CP949)
    assert charset.recode(b"ascii", UTF_8) == b"ascii"
    assert charset.recode("온도".encode("cp949"), UTF_8) == "온도".encode()
    assert charset.recode("온도".encode("cp949"), CP949) == "온도".encode("cp949")
    assert charset.recode(b"\xff\xff", UTF_8) is None
    assert Charset(UTF_8).recode("Ω😀".encode(), CP949) is None
