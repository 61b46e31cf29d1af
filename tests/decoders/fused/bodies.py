"""Rows of every kind, and a body for each that both codecs can read."""

from __future__ import annotations

from decoders.product import CompiledProduct

BODIES = {
    "numbers": "[{name: a, type: u8}, {name: b, type: i24le}, {name: c, type: sm16, scale: 0.1}, {name: d, type: f32}, "
    "{name: e, type: u64le}, {name: f, type: u40}]",
    "texts": "[{name: a, type: bcd, bytes: 2}, {name: b, type: text, prefix: u8}, {name: c, type: hex, bytes: rest}]",
    "clocks": "[{name: a, type: ymdhms}, {name: b, type: bcd_ymdhms, zone: '+08:00'}, {name: c, type: unix32}, "
    "{name: d, "
    "type: unixms64, if: remaining >= 8}, {name: e, type: hex, bytes: rest}]",
    "bits": "[{name: a, type: u16, bits: {x: 0-3, y: {at: 4-7, signed: true}, z: {at: 8, invert: true}, w: {at: "
    "9, hidden: "
    "true}}}, {name: b, type: u8, negate: w}, {name: c, type: u8, enum: {0..9: low, 10: ten}}, {name: d, "
    "formula: b / y}]",
    "sentinels": "[{name: a, type: u8, absent: [0, 255]}, {name: b, type: u8, absent: 7, scale: 0.5}, {name: c, "
    "formula: "
    "a + b}, {name: d, formula: 'first(a, b, 1)'}, {name: c, formula: a * 2, if: a > 4}]",
    "lists": "[{name: n, type: u8}, {list: l, count: n % 4, fields: [{name: a, type: u8}, {name: b, formula: a "
    "* n}]}, {list: "
    "m, until_left: 2, max: 9, keep: a > 9, fields: [{name: a, type: u8, absent: 99}]}, {name: z, type: u16}]",
    "nested": "[{list: o, count_type: u8, max: 6, fields: [{name: k, type: u8}, {list: i, item_prefix: u8, "
    "count: k % 3, "
    "fields: [{name: a, type: uint, bytes: rest}, {name: b, formula: k + a}]}]}, {name: r, type: hex, bytes: rest}]",
    "groups": "[{group: g, prefix: u8, rest: skip, fields: [{name: a, type: u8}, {group: h, fields: [{name: b, "
    "type: u8}]}]}, "
    "{group: null, bytes: 2, fields: [{name: c, type: u8}, {name: d, type: u8, if: c > 127}]}]",
    "switch": "[{name: k, type: u8}, {switch: k % 5, cases: {0: [{name: a, type: u8}], 1..2: [{name: a, type: "
    "u16}, {name: b, "
    "type: u8, if: a > 9}], 3: []}, default: [{name: a, type: text, bytes: 2}]}, {name: c, formula: a + k}]",
    "conditions": "[{name: f, type: u8, bits: {p: 0, q: 1, r: 2-3}}, {name: a, type: u8, if: p}, {name: a, "
    "type: u16, if: q}, "
    "{name: b, type: u8, if: a > 100 and r}, {name: c, type: u8, if: remaining == 1}, {name: d, formula: a - b, "
    "if: q}]",
    "tags": "[{items: {key: u8, length: u8, tags: {0: {name: a, type: u16}, 1: {name: b, type: int, absent: 5}, "
    "2: {list: l, "
    "fields: [{name: x, type: u8}]}, 3: {group: g, fields: [{name: y, type: u8}]}}, on_unknown: {into: o, type: "
    "uint}}}]",
    "tags without length": "[{items: {key: u8, raw: all, tags: {0: {name: a, type: u16}, 1: {name: b, type: "
    "u8}, 2: [], 3: "
    "{name: c, type: text, prefix: u8}}, on_unknown: stop}}]",
    "tags of sizes": "[{items: {key: u8, length: 1, count_type: u8, max: 5, raw: all, tags: {1: {name: a, type: u8}}, "
    "on_unknown: {into: o}}}, {items: {key: u8, length: 2, tags: {1: {name: a, type: uint}}, on_unknown: {into: "
    "o, type: int}}}]",
    "tags in lists": "[{list: l, item_prefix: u8, max: 5, fields: [{name: n, type: u8}, {items: {key: u8, "
    "length: u8, tags: "
    "{1: {name: n, type: u8}, 2: {name: m, type: u8}}}}, {name: s, formula: n + m}]}]",
    "lists of values": "[{name: n, type: u8}, {list: l, count: n % 4, type: i16le, scale: 0.1, absent: 0x7FFF}, "
    "{list: m, "
    "item_prefix: u8, max: 4, type: text}]",
    "parallel lists": "[{name: n, type: u8}, {list: l, count: n % 4, fields: [{name: a, type: u8, absent: 9}]}, "
    "{list: m, "
    "into: l, count: n % 3, fields: [{name: b, type: u8}, {name: c, formula: a + b}]}, {list: o, into: l, max: 5, "
    "type: i8}]",
    "numbered values": "[{list: t, count_type: u8, max: 4, numbered: true, type: u8, absent: 9}, {list: x, max: 3, "
    "numbered: true, keep: a > 1, fields: [{name: a, type: u8}, {name: b, type: u8, if: remaining}]}, {name: s, "
    "formula: t_1 + a_2}]",
    "lists with an end": "[{list: l, while: more, max: 4, fields: [{name: h, type: u8, bits: {more: 7, v: "
    "0-6}}]}, {list: m, "
    "while: next_u8 != 0xFF and m != 3, max: 4, type: u8}, {name: r, type: hex, bytes: rest}]",
    "tags with a header": "[{items: {header: [{name: h, type: u8, bits: {size: 5-7, tag: 0-4}}, {name: e, type: "
    "u8, if: "
    "size == 7}], key: tag, length: size, tags: {'0..3': {name: a, type: uint, if: e > 4 or key < 3}, '4, 6..9': "
    "{name: b, "
    "type: hex}}, on_unknown: {into: o}, while: remaining != 3}}, {name: r, type: hex, bytes: rest}]",
    "keys that go on": "[{items: {key: u8, escape: {0xFF: u8, 0xFE: u16le}, length: u8, length_counts: "
    "key_and_value, tags: "
    "{5: {name: a, type: u8}, 0xFF05: {name: b, type: u8}, 0xFE0005: {name: c, type: u8}}, raw: all, until_left: 2}}, "
    "{name: z, type: u16}]",
}

SOUND = {
    "numbers": "01 feffff 8005 3fc00000 0100000000000000 0000000001",
    "texts": "1234 026869 ff",
    "clocks": "19060f0f0628 250615150640 684ee180 0000016b40d8ea30 aa",
    "bits": "0321 05 05",
    "sentinels": "0509",
    "lists": "02 05 06 0a0b63 0001",
    "nested": "02 01 0105 02 0105 020102 ff",
    "groups": "04 01 02 ffff 8001",
    "switch": "06 000a 05",
    "conditions": "07 05 0009 01",
    "tags": "0002ffff 0101 04 0203010203 030107 0902aabb",
    "tags without length": "000001 0105 03026869 09",
    "tags of sizes": "02 0105 0907 010102 09fffe",
    "tags in lists": "04 05 010107 04 05 020107",
    "lists of values": "02 0a00 ff7f 026869 00",
    "parallel lists": "02 0509 0304 ff 7f 05",
    "numbered values": "02 05 09 0203 01",
    "lists with an end": "8283 01 0506 ff00",
    "tags with a header": "2107 4404 05 e0 05 01020304050607 0a aabbcc",
    "keys that go on": "050307 ff050401 fe05000502 0903aa 0001",
}


def source(compiled: CompiledProduct) -> str:
    """The generated code of a product's first kind of frame."""
    fused = compiled.kinds[0].fused
    assert fused is not None, compiled.kinds[0].why_not_fused
    return fused.source
