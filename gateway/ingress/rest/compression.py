"""Content-Encoding of request bodies: gzip and zstd, expanded piece by piece within bounds.

Place in the walk: between the socket and whoever reads the body. The server's own decompression is off, since
signatures are over the bytes as sent.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from gateway.observe.problems import Limit, Problem, ProblemCode

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

__all__ = ["Encoding", "Expansion", "ExpansionLimits", "encoding_of"]

_PIECE_BYTES = 64 * 1024
_SLICE_BYTES = 16 * 1024
"""Input given to a decompressor at once: what stands behind a member is copied, which many tiny ones would exploit."""
_ZSTD_WINDOW_LOG = 23
"""RFC 9659: over HTTP a zstd window has at most 8 MiB."""
_MIN_MEMBERS = 1024
_MEMBER_BYTES = 1024
"""A stream may have so many members (frames), and one more for each so many bytes."""
_GZIP = 16 + zlib.MAX_WBITS


class Encoding(StrEnum):
    """What a body may be packed with."""

    IDENTITY = "identity"
    GZIP = "gzip"
    ZSTD = "zstd"


@dataclass(slots=True, frozen=True)
class ExpansionLimits:
    """max_bytes: of the expanded body; limit_name: of the setting that says so. max_ratio: expanded to sent bytes, held
    once more than `ratio_from_bytes` came out; 0 is off."""

    max_bytes: int
    limit_name: str
    max_ratio: int = 200
    ratio_from_bytes: int = 1024 * 1024


def encoding_of(header: str) -> Encoding:
    """The value of a Content-Encoding header -> what it means. Raises Problem(415)."""
    names = [name for part in header.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    if not names:
        return Encoding.IDENTITY
    if names in (["gzip"], ["x-gzip"]):  # RFC 9110 section 8.4.1.3: the same
        return Encoding.GZIP
    if names == ["zstd"]:
        return Encoding.ZSTD
    known = ", ".join(Encoding)
    detail = f"Content-Encoding `{header[:100]}` is not supported: one of {known} is expected"
    raise Problem(415, ProblemCode.UNSUPPORTED_ENCODING, detail, headers={"Accept-Encoding": known})


class Expansion:
    """One body on its way out of its encoding. `expanded`: bytes that came out; `received`: that went in."""

    __slots__ = ("_encoding", "_limits", "_members", "_stream", "expanded", "received")

    def __init__(self, encoding: Encoding, limits: ExpansionLimits) -> None:
        self._encoding = encoding
        self._limits = limits
        self._stream: _Gzip | _Zstd | None = None
        self._members = 0
        self.received = 0
        self.expanded = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The next bytes as sent -> what they mean, in pieces of 64 KiB at most, none of them empty; take them all.

        Raises Problem: 413 beyond a limit, 400 for what is no such stream.
        """
        if self._encoding is Encoding.IDENTITY:
            self.received += len(data)
            if data:
                self._count(len(data))
                yield data
            return
        for start in range(0, len(data), _SLICE_BYTES):
            rest = data[start : start + _SLICE_BYTES]
            self.received += len(rest)
            while rest:
                stream = self._stream
                if stream is None:
                    stream = self._next_member()
                for piece in stream.take(rest):
                    self._count(len(piece))
                    yield piece
                rest = b""
                if stream.ended:
                    rest = stream.unused
                    self._stream = None

    def end(self) -> None:
        """The body has ended. Raises Problem(400) if the stream has not."""
        if self._stream is not None or (self._encoding is not Encoding.IDENTITY and not self._members):
            raise _broken(self._encoding, "it ends too early")

    def _next_member(self) -> _Gzip | _Zstd:
        self._members += 1
        if self._members > _MIN_MEMBERS + self.received // _MEMBER_BYTES:
            raise _broken(self._encoding, "it has too many tiny parts")
        stream = self._stream = _Gzip() if self._encoding is Encoding.GZIP else _Zstd()
        return stream

    def _count(self, size: int) -> None:
        limits = self._limits
        self.expanded += size
        if self.expanded > limits.max_bytes:
            detail = f"the body has more than {limits.max_bytes} bytes"
            if self._encoding is not Encoding.IDENTITY:
                detail += " when expanded"
            raise Problem(413, ProblemCode.TOO_LARGE, detail, limit=Limit(limits.limit_name, limits.max_bytes))
        ratio = limits.max_ratio
        if ratio and self.expanded > limits.ratio_from_bytes and self.expanded > self.received * ratio:
            detail = f"the body expands to more than {ratio} times of what was sent"
            raise Problem(413, ProblemCode.TOO_LARGE, detail, limit=Limit("max_expansion_ratio", ratio))


class _Gzip:
    """One gzip member (RFC 1952)."""

    __slots__ = ("_stream",)

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP)

    @property
    def ended(self) -> bool:
        return self._stream.eof

    @property
    def unused(self) -> bytes:
        return self._stream.unused_data

    def take(self, data: bytes) -> Iterator[bytes]:
        stream = self._stream
        while True:
            try:
                piece = stream.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise _broken(Encoding.GZIP, str(error)) from None
            if piece:
                yield piece
            data = stream.unconsumed_tail
            if stream.eof or (not data and len(piece) < _PIECE_BYTES):
                return


class _Zstd:
    """One zstd frame (RFC 8878)."""

    __slots__ = ("_stream",)

    def __init__(self) -> None:
        self._stream = ZstdDecompressor(options={DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})

    @property
    def ended(self) -> bool:
        return self._stream.eof

    @property
    def unused(self) -> bytes:
        return self._stream.unused_data

    def take(self, data: bytes) -> Iterator[bytes]:
        stream = self._stream
        while True:
            try:
                piece = stream.decompress(data, _PIECE_BYTES)
            except ZstdError as error:
                raise _broken(Encoding.ZSTD, str(error)) from None
            if piece:
                yield piece
            data = b""
            if stream.eof or stream.needs_input:
                return


def _broken(encoding: Encoding, detail: str) -> Problem:
    return Problem(400, ProblemCode.BROKEN_ENCODING, f"the body is no whole {encoding.value} stream: {detail}")
