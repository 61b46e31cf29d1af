"""Content-Type of a request body: which form it has, and in which charset.

Place in the walk: the first look at a body, before a byte of it is read.
"""

from __future__ import annotations

import base64
import binascii
import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum

from gateway.observe.problems import Problem, ProblemCode

__all__ = ["CP949", "TYPES", "UTF_8", "Form", "Media", "bytes_of_text", "empty_body", "media_of"]

UTF_8 = "utf-8"
CP949 = "cp949"
"""Korean Windows code page; it holds all of EUC-KR."""

_HEX_BREAKS = str.maketrans("", "", " \t\r\n:-")


class Form(StrEnum):
    """What a body is made of."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    OCTETS = "octets"
    HEX = "hex"
    BASE64 = "base64"
    TEXT = "text"  # hex if it can be, else base64


TYPES = {
    Form.JSON: ("application/json", "text/json"),
    Form.NDJSON: (
        *("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonl"),
        *("application/jsonlines", "application/x-jsonlines", "text/x-ndjson"),
    ),
    Form.CSV: ("text/csv", "application/csv", "text/tab-separated-values"),
    Form.OCTETS: ("application/octet-stream",),
    Form.HEX: ("text/x-hex", "text/hex"),
    Form.BASE64: ("text/x-base64", "text/base64"),
    Form.TEXT: ("text/plain",),
}
"""Names of each form, the one that we use first."""
_FORMS = {name: form for form, names in TYPES.items() for name in names}


@dataclass(slots=True, frozen=True)
class Media:
    """What a Content-Type says.

    charset: UTF_8, CP949, or "" where it does not say; of CSV only. header: whether the first record of CSV names the
    columns (RFC 4180 section 3), None where it does not say. tabs: CSV whose delimiter is a tab. is_assumed: there was
    no Content-Type.
    """

    form: Form
    charset: str = ""
    header: bool | None = None
    tabs: bool = False
    is_assumed: bool = False

    @property
    def doubt(self) -> str:
        """What is to be added where a body is not what its form says."""
        return f" (read as {TYPES[self.form][0]}, as no Content-Type was given)" if self.is_assumed else ""


def media_of(content_type: str | None, taken: Sequence[Form], default: Form | None = None) -> Media:
    """The value of a Content-Type header (None: there is none) -> what it means.

    taken: what the call takes. default: what a body without a type is. Raises Problem(415), with the types that are
    taken in `detail` and `Accept`.
    """
    if content_type is None or not content_type.strip():
        if default is None:
            raise _unsupported("a Content-Type is needed", taken)
        return Media(default, is_assumed=True)
    message = Message()
    message["Content-Type"] = content_type
    name = message.get_content_type()
    form = _FORMS.get(name)
    if form is None and name.startswith("application/") and name.endswith("+json"):
        form = Form.JSON
    if form is None or form not in taken or content_type.split(";")[0].strip().lower() != name:
        raise _unsupported(f"Content-Type `{content_type[:100]}` is not taken here", taken)
    charset = _charset(message.get_param("charset"), form)
    header = {"present": True, "absent": False}.get(str(message.get_param("header")).lower())
    return Media(form, charset, header if form is Form.CSV else None, name == "text/tab-separated-values")


def bytes_of_text(text: bytes, form: Form) -> bytes:
    """Hexadecimal digits (with or without spaces, line ends, `:` or `-`; `0x` before them) or base64 -> bytes.

    form: HEX, BASE64, or TEXT for hex if it can be, else base64. Raises Problem(400).
    """
    try:
        plain = text.decode("ascii").strip().removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise Problem(400, ProblemCode.BROKEN_TEXT, f"the body is not {_NAMES[form]}") from None
    data = None
    if form is not Form.BASE64:
        data = _hex(plain)
    if data is None and form is not Form.HEX:
        data = _base64(plain)
    if data is None:
        raise Problem(400, ProblemCode.BROKEN_TEXT, f"the body is not {_NAMES[form]}")
    return data


def empty_body(media: Media) -> Problem:
    return Problem(400, ProblemCode.EMPTY_BODY, f"the body is empty{media.doubt}")


_NAMES = {
    Form.HEX: "hexadecimal text: two digits for each byte are expected",
    Form.BASE64: "base64 text",
    Form.TEXT: "hexadecimal or base64 text",
}


def _hex(text: str) -> bytes | None:
    digits = text.translate(_HEX_BREAKS)
    if digits[:2] in ("0x", "0X"):
        digits = digits[2:]
    try:
        return binascii.unhexlify(digits)
    except ValueError:
        return None


def _base64(text: str) -> bytes | None:
    """RFC 4648 sections 4 and 5, line ends allowed, padding not needed."""
    letters = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except ValueError:
        return None


def _charset(given: object, form: Form) -> str:
    if not isinstance(given, str) or not given.strip():
        return ""
    try:
        name = codecs.lookup(given.strip()).name
    except LookupError:
        name = ""
    if name in ("utf-8", "utf-8-sig", "ascii"):
        return UTF_8 if form is Form.CSV else ""
    if name in ("cp949", "euc_kr") and form is Form.CSV:
        return CP949
    known = "utf-8 or cp949" if form is Form.CSV else "utf-8"
    detail = f"charset `{given[:40]}` is not supported: {known} is expected"
    raise Problem(415, ProblemCode.UNSUPPORTED_CHARSET, detail)


def _unsupported(what: str, taken: Sequence[Form]) -> Problem:
    types = ", ".join(TYPES[form][0] for form in taken)
    detail = f"{what}: one of {types} is expected"
    return Problem(415, ProblemCode.UNSUPPORTED_MEDIA_TYPE, detail, headers={"Accept": types})
