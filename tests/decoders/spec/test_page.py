from __future__ import annotations

from decoders.spec.page import markdown_table, product_page
from tests.decoders.sensor import ACK, GOLDEN, SPEC, STATUS, loaded
from tests.decoders.spec.shipped import shipped


def test_a_page_has_all_that_people_look_for() -> None:
    text = product_page(loaded())
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads == [
        "# Temperature sensor", "## Frames", "### frame", "## Messages", "### login", "### status", "### ack",
        "## Contract", "## Variants", "## Examples", "### login: login", "### status: status",
        "### status: coarse status", "## Frames that are refused",
    ]  # fmt: skip
    assert "A frame begins with `a5`. Its length stands at offset 1, 1 byte long. At most 2048 bytes." in text
    assert "| start | length | type | **message** | serial | check |\n" in text
    assert "| 0 | 2 | i16 | `temperature` | `* 0.1` | °C | -40 to 125 |" in text
    assert "| `temperature` | -40 to 125 °C | flag | status |" in text
    assert "It is answered with:\n\n- the message `ack`" in text


def test_examples_are_decoded() -> None:
    text = product_page(loaded())
    assert "| 3 | `0107` | `temperature` | 26.3 |" in text
    assert '| 9 | `05` | `flags` | {"door_open": true, "mode": 2} |' in text
    assert f"Answer: `{ACK.hex()}`" in text
    assert f"| half a status | truncated | `{STATUS[:6].hex()}` |" in text
    assert '{"temperature": 263}' in text  # the variant's


def test_a_page_is_the_same_each_time() -> None:
    assert product_page(loaded()) == product_page(loaded(SPEC, GOLDEN))


def test_tables_drop_empty_columns_and_mask_bars() -> None:
    assert (
        markdown_table(("a", "b", "c"), [["x|y", "", 1], ["<", None, 2]])
        == "| a | c |\n|---|---|\n| x\\|y | 1 |\n| &lt; | 2 |"
    )
    assert markdown_table(("a",), []) == ""


def test_every_product_has_a_page() -> None:
    for loaded_product in shipped().values():
        text = product_page(loaded_product)
        assert text.startswith("# ")
        assert all(f"### {name}" in text for name in loaded_product.product.spec.messages)


def test_what_the_gateway_sends_is_never_all_others() -> None:
    text = product_page(
        loaded(
            SPEC.replace("ack: {downlink: true, when: {type: 6}}", "ack: {downlink: true}"), "source: s\ncases: []\n"
        )
    )
    assert "| [ack](#ack) | - | sent by the gateway |" in text
