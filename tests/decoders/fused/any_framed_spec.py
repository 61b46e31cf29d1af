"""Framed specs made at random: all kinds of headers, trailers and check values, messages told apart in many ways."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.decoders.fused.any_spec import (
    DERIVED,
    EVERY_NAME,
    NEVER,
    PLAIN,
    VALUE,
    Row,
    Rows,
    having,
    merged,
    of,
    options,
)

HEADER: Rows = st.lists(
    of(
        {"name": "kind", "type": "u16le"},
        {"name": "port", "type": "u8"},
        {"name": "size", "type": "u8", "counts": "body"},
        {"name": "attributes", "type": "u16", "bits": {"size": {"at": "0-9", "counts": "body"}, "more": 15}},
        {"name": "device", "type": "bcd", "bytes": 2},
        {"name": "device", "type": "hex", "bytes": 2, "metric": True},
        {"name": "letters", "type": "text", "bytes": 2},
        {"name": "maker", "type": "mbus_manufacturer"},
        {"name": "name", "type": "text", "prefix": "u8"},
        {"name": "extra", "type": "u16", "if": "more"},
        {"skip": 1},
        {"group": "head", "fields": [{"name": "inner", "type": "u8"}]},
        {"name": "serial", "type": "u16"},
        {"name": "total", "type": "i8", "if": "kind == 1", "else": 5},
        {"literal": "01", "optional": True},
    ),
    max_size=4,
    unique_by=str,
)
CHECK = merged(
    having(name="check", crc=of("crc16_x25", "xor8", "sum8", "crc32", "lrc8", "fletcher16", "sum16_words_le")),
    options(
        on_wrong=of("flag"),
        over=of("1..-3", "flag", "0..-6", "2..4"),
        written=of("hex", "HEX"),
        endian=of("little"),
    ),
)
TRAILER: Rows = st.one_of(
    st.just([]),
    st.tuples(of({"name": "serial_2", "type": "u8"}, {"name": "kind_2", "type": "u8"}, {"skip": 1}), CHECK).map(list),
    st.tuples(CHECK, of({"name": "stop", "type": "u8", "const": 1})).map(list),
    st.tuples(of({"name": "again", "type": "u8", "equals": "kind"}, {"name": "total", "type": "u8"})).map(list),
)
WHEN = st.one_of(
    having(kind=of(1, [0, 2], "1..3", [1, "4..9"])),
    having(kind=of(1, 2, 3)),
    having(version=of(1, "0..2")),
    having(device=of("0001", "0102")),
    having(letters=of("11", "01")),
    having(maker=of("ABB", "KAM")),
    having(length=of(3, "0..4", [1, 7])),
    having(port=of(0, 3, "1..9")),
    having(first=of("01", ["00", "0102"])),
    st.just({"u8(0) & 3": 1}),
    st.just({"next_u8": [1, 2]}),
    st.just({"u16(-2) >> 8": "0..9", "port": 0}),
    st.just({"starts('\\x01')": True}),
    st.just({"remaining": "4..9"}),
    having(kind=of(1, 2), port=of(0)),
)
BODY_CHECK = merged(having(name="sum", crc=of("sum8", "crc16_modbus")), options(on_wrong=of("flag"), over=of("0..-2")))
BODY: Rows = st.lists(st.one_of(VALUE, VALUE, DERIVED, PLAIN), max_size=4)
MESSAGE = merged(
    having(fields=BODY, rest=of("skip", "skip", "refuse")),
    st.one_of(having(when=WHEN), having(when=WHEN), st.just({})),
    options(downlink=of(True)),
)
FIRST: Row = {"name": "flag", "type": "u8", "bits": {"version": "0-2", "kind": "3-5", "more": 7}}
COMPUTED = ("port", "length", "first", "next_u8", "remaining", "u8(0) & 3", "u16(-2) >> 8", "starts('\x01')")
"""What `when` reads besides the header."""


def _spec(parts: dict[str, Any]) -> dict[str, Any]:
    frame = {"start": "A5", "header": [FIRST, *parts["header"]], "trailer": parts["trailer"], **parts["ends"]}
    known = {"version", "kind", *(row.get("name") for row in parts["header"]), *COMPUTED}
    login = {"when": {"port": 77}, "fields": [{"name": "kept", "type": "u8", "session": "keep"}]}
    messages: dict[str, Any] = {"login": login}
    for number, message in enumerate(parts["messages"]):
        when = {key: value for key, value in message.get("when", {}).items() if key in known}
        fields = [*EVERY_NAME, *NEVER, *message["fields"], *parts["last"]]
        messages[f"m{number}" if number else "m"] = message | {"fields": fields, "when": when}
    return {"blocks": {"shared": [], "other": []}, "frame": frame, "messages": messages}


SPECS = st.fixed_dictionaries(
    {
        "header": HEADER,
        "trailer": TRAILER,
        "ends": of(
            {"size": "u8(1) + 6"},
            {"size": 24},
            {"until": "0D0A"},
            {"stop": "0D", "escape": {"mark": 0x7D, "xor": 0x20}},
        ),
        "messages": st.lists(MESSAGE, min_size=1, max_size=4),
        "last": st.one_of(st.just([]), st.just([]), BODY_CHECK.map(lambda row: [row])),
    }
).map(_spec)
SMALL = st.one_of(st.integers(0, 5), st.integers(0, 5), st.integers(0, 255), of(0x30, 0x31))
INPUTS = st.lists(
    st.lists(SMALL, min_size=4, max_size=40).map(lambda data: bytes([0xA5, *data])), min_size=5, max_size=20
)
