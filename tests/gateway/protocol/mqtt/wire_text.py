"""Packets written by hand."""

from __future__ import annotations

__all__ = ["said"]


def said(first: int, body: str) -> bytes:
    """A packet from its first byte and its body: hex, with texts between quotes and spaces anywhere."""
    parts = body.split("'")
    raw = b"".join(bytes.fromhex(part) if index % 2 == 0 else part.encode() for index, part in enumerate(parts))
    assert len(raw) < 0x80
    return bytes((first, len(raw))) + raw
