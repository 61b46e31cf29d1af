"""Errors of the decoders, split by who must act.

DecodeError   the peer sent bytes that are not what its spec says
EncodeError   the caller asked to build a message with values that do not fit
SpecError     the spec author must change a file; lists every problem with its place

The codes are closed enums: the same string is the metric label, the dead-letter reason, the log field and the
anchor in the documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class DecodeCode(StrEnum):
    """Why bytes could not be read."""

    meaning: str

    def __new__(cls, word: str, meaning: str = "") -> Self:
        made = str.__new__(cls, word)
        made._value_ = word
        made.meaning = meaning
        return made

    NOT_A_FRAME = "not_a_frame", "does not start as any frame kind of the product starts"
    TRUNCATED = "truncated", "fewer bytes than the layout needs"
    TRAILING_BYTES = "trailing_bytes", "bytes left over after the layout"
    FRAME_TOO_LONG = "frame_too_long", "declared or buffered length beyond `max_bytes`"
    BAD_CHECK = "bad_check", "check value differs"
    BAD_CONST = "bad_const", "a constant field (start, stop, marker) differs"
    BAD_LENGTH = "bad_length", "a length field contradicts the bytes"
    BAD_ESCAPE = "bad_escape", "a byte after the escape byte that the table does not know"
    BAD_VALUE = "bad_value", "bytes that are no value of the field's type (BCD digit)"
    BAD_DOCUMENT = "bad_document", "JSON or CSV that cannot be read"
    UNKNOWN_MESSAGE = "unknown_message", "no message of the spec answers to this header"
    UNKNOWN_TAG = "unknown_tag", "a tag that the spec does not know, with `on_unknown: refuse`"
    NO_BRANCH = "no_branch", "a switch without a branch for this value and without a default"
    TOO_MANY_ITEMS = "too_many_items", "a count beyond the array's `max`"
    TOO_DEEP = "too_deep", "nesting beyond the limit"
    WRONG_ANSWER = "wrong_answer", "a registered type returned something that is no value"


class DecodeError(Exception):
    """The bytes are not what the spec says.

    offset: byte position in the frame (after unescaping) where reading failed, or None.
    field: path of the field (`records[2].speed`), or "".
    message: name of the message where it was known already, else "".
    values: what was read before the failure; at least the header and trailer where the frame itself was sound.
    node: the node of the layout where reading failed, for those who show its row; None where no row was read.
    kind: number of the kind of frame, as of `Decoded`.
    """

    def __init__(
        self,
        code: DecodeCode,
        detail: str,
        *,
        offset: int | None = None,
        field: str = "",
        message: str = "",
        values: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code.value}: {detail}")
        self.code = code
        self.detail = detail
        self.offset = offset
        self.field = field
        self.message = message
        self.values: dict[str, Any] = values if values is not None else {}
        self.node: Any = None
        self.kind = -1


class EncodeError(Exception):
    """The values do not fit the layout; names the field."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}" if field else detail)
        self.field = field
        self.detail = detail


@dataclass(slots=True, frozen=True)
class SpecProblem:
    """One thing to change in a spec (or config) file. Lines and columns count from 1; 0 means unknown."""

    source: str
    line: int
    column: int
    path: str  # `messages.status.fields[2].type`
    message: str  # what is wrong and what was expected
    hint: str = ""  # the nearest valid word, or what to write instead
    code: str = "invalid"

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}:{self.column}" if self.line else self.source
        path = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {path}{self.message}{hint}"


class SpecError(Exception):
    """A spec, golden or config file that cannot be used. `problems` is never empty."""

    def __init__(self, problems: Sequence[SpecProblem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = list(problems)
