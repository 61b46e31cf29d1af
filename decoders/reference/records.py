"""Self-describing records by construct: the parser of their format reads them, the rows of a tag name their values."""

from __future__ import annotations

from typing import Any

from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.layout import Records, least_size
from decoders.metering.formats import FORMATS
from decoders.metering.records import Record
from decoders.reference.raw_tree import Scope, Trace, Window, failure
from decoders.reference.rows import PARTS, Part, Rows, read_item
from decoders.reference.values import sub_window


class RecordList(Part):
    def __init__(self, node: Records) -> None:
        super().__init__(node)
        self.parse = FORMATS[node.format].parse
        self.rows = [(Rows(nodes), least_size(nodes)) for _, nodes in node.tags]
        self.places = {word: number for number, words in enumerate(node.words) for word in words}

    def _parse(self, stream: Window, context: Any, path: str) -> None:
        node: Records = self.node
        window = stream if node.size is None else sub_window(node.size, stream, context["scope"], path)
        data, start = window.getvalue(), window.tell()
        found: list[Record] = []
        fault: DecodeError | None = None
        end = start
        try:
            end = self.parse(data, start, len(data), node.max_items, found)
        except DecodeError as error:
            fault = error
        for number, record in enumerate(found):
            part = Window(data[record.start : record.stop], window.base + record.start)
            if not self.take(record, part, context, f"{path}#{number}"):
                break
        if fault is not None:
            place = window.base + (start if fault.offset is None else fault.offset)
            raise DecodeError(fault.code, fault.detail, offset=place, field=path)
        window.seek(end)

    def take(self, record: Record, part: Window, context: Any, path: str) -> bool:
        """Gives one record to the rows of its tag; False when an unknown one says stop."""
        node: Records = self.node
        scope: Scope = context["scope"]
        if node.raw:
            if node.raw not in scope.raw:
                scope.raw[node.raw] = []
                scope.taken.append((node, scope.raw[node.raw]))
            scope.raw[node.raw].append({"id": record.words[0], "value": part.getvalue().hex()})
        number = next((self.places[word] for word in record.words if word in self.places), None)
        if number is not None and part.size >= self.rows[number][1]:
            read_item(node, self.rows[number][0], None, part, {**context, "record": record}, path)
            return True
        if node.unknown == "refuse":
            raise failure(DecodeCode.UNKNOWN_TAG, f"the record {record.words[0]} is not in the spec", part, path)
        if node.unknown.startswith("into:"):
            into = node.unknown[5:]
            if record.value is not None:
                scope.taken.append((node, (into, record.name, record.value)))
            if context["trace"] is not None:
                name = f"{into}.{record.name}" if into else record.name
                context["trace"].append(Trace(name, part.base, part.size, record.raw))
        return node.unknown != "stop"

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        raise EncodeError("items", "records of meters cannot be built")


PARTS[Records] = RecordList
