"""Which charset a CSV body is written in, where nobody says: UTF-8 or CP949.

Place in the walk: between the lines of a body and their meaning. Both charsets use no byte of ASCII punctuation within
a character, so lines and cells are cut before the charset is known.
"""

from __future__ import annotations

import codecs

from gateway.ingress.rest.media import CP949, UTF_8

__all__ = ["BOM", "Charset"]

BOM = codecs.BOM_UTF8


class Charset:
    """The charset of one body. name: UTF_8, CP949, or "" as long as nothing but ASCII came."""

    __slots__ = ("name",)

    def __init__(self, given: str = "") -> None:
        self.name = given

    def look_at(self, head: bytes) -> None:
        """The beginning of the body, the longer the better: it decides, if nobody has and it is not all ASCII.

        A BOM means UTF-8; so does text that is valid as such; else CP949, if it is that. A character may be cut at the
        end.
        """
        if self.name or (head.isascii() and not head.startswith(BOM)):
            return
        if head.startswith(BOM) or _is(UTF_8, head):
            self.name = UTF_8
        elif _is(CP949, head):
            self.name = CP949

    def decode(self, data: bytes) -> str | None:
        """A line or record as text, which decides if nothing has yet. None: it is not text in this charset."""
        if not self.name:
            if data.isascii():
                return data.decode("ascii")
            self.look_at(data)
        try:
            return data.decode(self.name or UTF_8)
        except UnicodeDecodeError:
            return None

    def recode(self, data: bytes, charset: str) -> bytes | None:
        """The same text in another charset. None: it is not text in this one, or the other has not all characters."""
        if data.isascii():
            return data
        text = self.decode(data)
        if text is None or self.name == charset:
            return None if text is None else data
        try:
            return text.encode(charset)
        except UnicodeEncodeError:
            return None


def _is(charset: str, head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder(charset)().decode(head)
    except UnicodeDecodeError:
        return False
    return True
