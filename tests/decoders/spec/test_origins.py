from __future__ import annotations

from decoders.layout import Repeat, Value, walk
from decoders.spec import model
from decoders.spec.origins import Origins
from tests.decoders.spec.shipped import shipped
from tests.decoders.specs import product, rows


def test_each_node_knows_its_row_and_place() -> None:
    compiled = product("blocks: {b: [{name: x, type: u8}]}\nmessages: {m: {fields: [{use: b}, {use: b, if: x > 1}]}}")
    nodes = compiled.kinds[0].layout.messages["m"].body
    found = [compiled.origins.of(node) for node in walk(nodes) if isinstance(node, Value)]
    assert [origin.path for origin in found if origin is not None] == [("blocks", "b", 0)] * 2
    assert found[0] is not found[1]


def test_what_a_row_makes_within_its_node_is_its_own() -> None:
    compiled = rows("[{list: l, type: u16, count: 2, unit: V}]")
    (node,) = compiled.kinds[0].layout.messages["sample"].body
    assert isinstance(node, Repeat)
    assert isinstance(compiled.origins.row(node.nodes[0]), model.ListRow)


def test_a_frames_length_and_check_value_are_known_too() -> None:
    frame = 'frame: {start: "AA", header: [{name: n, type: u8, counts: n..c}], trailer: [{name: c, crc: xor8}]}'
    compiled = product(f"{frame}\nmessages: {{m: {{}}}}\n")
    kind = compiled.kinds[0]
    assert compiled.origins.of(kind.layout.header[0]) is None  # the start mark is no row
    assert compiled.origins.row(kind.layout.header[1]).counts == "n..c"
    assert compiled.origins.row(kind.layout.trailer[0]).crc == "xor8"


def test_equal_nodes_of_different_rows_are_told_apart() -> None:
    origins, one, other = Origins(), Value, Value
    origins.keep([one], "row", ("a",))
    origins.keep([other], "later", ("b",))
    assert origins.row(one) == "row"
    origins.moved(one, one)
    assert origins.of(object()) is None


def test_all_values_of_all_products_have_a_row() -> None:
    for loaded in shipped().values():
        for kind in loaded.product.kinds:
            for message in kind.layout.messages.values():
                nodes = [node for node in walk(message.body) if isinstance(node, Value)]
                assert all(loaded.product.origins.of(node) is not None for node in nodes), loaded.product.id
