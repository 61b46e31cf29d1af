"""A kind of frame that holds a document: what stands around it, and the document itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from decoders.csv_lines import CsvCodec
from decoders.document import JsonCodec
from decoders.errors import DecodeError
from decoders.faults import add_values, without_faults
from decoders.reference.codec import ReferenceCodec
from decoders.times import Zone
from decoders.types import SessionContext

__all__ = ["DocumentFrame"]


@dataclass(slots=True, frozen=True)
class DocumentFrame:
    """Decodes frames with a document in them.

    front, back: bytes of the marks around it. envelope: reads header and trailer where these are more than marks.
    """

    codec: JsonCodec | CsvCodec
    front: int = 0
    back: int = 0
    envelope: ReferenceCodec | None = None

    @property
    def format(self) -> str:
        """`json` or `csv`."""
        return self.codec.format

    @property
    def is_line(self) -> bool:
        """True where nothing but the end of the line stands around it."""
        return self.format == "csv" and not self.front and self.envelope is None

    def decode(self, data: bytes, context: SessionContext, zone: Zone) -> tuple[str, dict[str, Any]]:
        """One frame -> message name and values, those of header and trailer among them. Raises DecodeError."""
        around: dict[str, Any] = {}
        body = data[self.front : len(data) - self.back]
        if self.envelope is not None:
            body, around = self.envelope.open(data, context, zone)
        try:
            name, values = self.codec.decode(body, context, zone)
        except DecodeError as error:
            if error.offset is not None:
                error.offset += self.front
            error.values = {**without_faults(around), **error.values}
            raise
        add_values(around, values)
        return name, around
