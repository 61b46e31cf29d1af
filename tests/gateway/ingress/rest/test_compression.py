from __future__ import annotations

import gzip
import random
import zlib

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from gateway.ingress.rest.compression import Encoding, Expansion, ExpansionLimits, encoding_of
from gateway.observe.problems import Problem, ProblemCode

LIMITS = ExpansionLimits(8 * 1024 * 1024, "rest.max_body_bytes")
MIB = 1024 * 1024


def expand(encoding: Encoding, chunks: list[bytes], limits: ExpansionLimits = LIMITS) -> bytes:
    expansion = Expansion(encoding, limits)
    parts = [piece for chunk in chunks for piece in expansion.feed(chunk)]
    assert all(parts)
    if encoding is not Encoding.IDENTITY:
        assert max(map(len, parts), default=0) <= 64 * 1024
    expansion.end()
    assert expansion.received == sum(map(len, chunks))
    assert expansion.expanded == sum(map(len, parts))
    return b"".join(parts)


def refused(encoding: Encoding, chunks: list[bytes], limits: ExpansionLimits = LIMITS) -> Problem:
    with pytest.raises(Problem) as caught:
        expand(encoding, chunks, limits)
    return caught.value


def pack(encoding: Encoding, data: bytes) -> bytes:
    match encoding:
        case Encoding.GZIP:
            return gzip.compress(data)
        case Encoding.ZSTD:
            return zstd.compress(data)
    return data


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("", Encoding.IDENTITY),
        ("identity", Encoding.IDENTITY),
        ("gzip", Encoding.GZIP),
        ("X-GZip", Encoding.GZIP),
        ("identity, gzip", Encoding.GZIP),
        (" zstd ", Encoding.ZSTD),
    ],
)
def test_encodings_that_are_taken(header: str, encoding: Encoding) -> None:
    assert encoding_of(header) is encoding


@pytest.mark.parametrize("header", ["br", "deflate", "gzip, gzip", "gzip, zstd", "gzip;q=1", "\x00"])
def test_others_are_not(header: str) -> None:
    with pytest.raises(Problem) as caught:
        encoding_of(header)
    assert (caught.value.status, caught.value.code) == (415, ProblemCode.UNSUPPORTED_ENCODING)
    assert caught.value.headers["Accept-Encoding"] == "identity, gzip, zstd"


@given(st.sampled_from(Encoding), st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 50))
def test_what_was_packed_comes_out_however_it_is_cut(encoding: Encoding, members: list[bytes], size: int) -> None:
    packed = b"".join(pack(encoding, member) for member in members)
    if not members and encoding is not Encoding.IDENTITY:
        assert refused(encoding, []).code is ProblemCode.BROKEN_ENCODING
        return
    assert expand(encoding, cut(packed, size)) == b"".join(members)


@pytest.mark.parametrize("encoding", [Encoding.GZIP, Encoding.ZSTD])
def test_a_large_body_comes_in_pieces(encoding: Encoding) -> None:
    data = random.Random(7).randbytes(300_000) + b"a" * 300_000
    assert expand(encoding, [pack(encoding, data)]) == data


@pytest.mark.parametrize("encoding", [Encoding.GZIP, Encoding.ZSTD])
def test_every_broken_stream_is_told(encoding: Encoding) -> None:
    packed = pack(encoding, b"some telemetry" * 20)
    for size in range(1, len(packed)):
        assert refused(encoding, [packed[:size]]).status == 400, size
    for broken in (b"{}", packed + b"x", packed[:-8] + b"\x00\x01\x02\x03\x04\x05\x06\x07"):
        problem = refused(encoding, [broken])
        assert (problem.status, problem.code) == (400, ProblemCode.BROKEN_ENCODING)
        assert encoding.value in problem.detail


@pytest.mark.parametrize("encoding", Encoding)
def test_the_limit_of_bytes_is_exact_and_named(encoding: Encoding) -> None:
    limits = ExpansionLimits(1_000, "rest.max_body_bytes")
    assert len(expand(encoding, [pack(encoding, b"x" * 1_000)], limits)) == 1_000
    problem = refused(encoding, [pack(encoding, b"x" * 1_001)], limits)
    assert (problem.status, problem.code) == (413, ProblemCode.TOO_LARGE)
    assert problem.document()["limit"] == {"name": "rest.max_body_bytes", "value": 1_000}


@pytest.mark.parametrize("encoding", [Encoding.GZIP, Encoding.ZSTD])
def test_a_bomb_is_noticed_by_its_ratio(encoding: Encoding) -> None:
    limits = ExpansionLimits(1 << 40, "rest.max_upload_bytes")
    bomb = pack(encoding, bytes(64 * MIB))
    expansion = Expansion(encoding, limits)
    with pytest.raises(Problem) as caught:
        for _ in expansion.feed(bomb):
            pass
    assert caught.value.document()["limit"] == {"name": "max_expansion_ratio", "value": 200}
    assert expansion.expanded < 5 * MIB  # of 64
    assert len(expand(encoding, [bomb], ExpansionLimits(1 << 40, "", max_ratio=0))) == 64 * MIB


def test_tiny_members_are_bounded() -> None:
    empty = gzip.compress(b"")
    assert expand(Encoding.GZIP, [empty * 1_000]) == b""
    assert "tiny" in refused(Encoding.GZIP, [empty * 50_000]).detail
    blocks = [gzip.compress(random.Random(n).randbytes(1_500)) for n in range(2_000)]
    assert len(expand(Encoding.GZIP, [b"".join(blocks)])) == 3_000_000


def test_a_zstd_window_is_bounded() -> None:
    """RFC 9659."""
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 24, zstd.CompressionParameter.checksum_flag: 0}
    compressor = zstd.ZstdCompressor(options=options)
    packed = compressor.compress(random.Random(1).randbytes(1000)) + compressor.flush()
    problem = refused(Encoding.ZSTD, [packed])
    assert (problem.status, problem.code) == (400, ProblemCode.BROKEN_ENCODING)


def test_raw_deflate_is_no_gzip() -> None:
    assert refused(Encoding.GZIP, [zlib.compress(b"x")]).status == 400
