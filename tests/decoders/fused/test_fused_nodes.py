"""Specs made at random, read by both codecs: constructs must not only work alone but in any company."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decoders.errors import SpecError
from decoders.fused import writer
from tests.decoders.fused import any_framed_spec, any_spec, any_text_spec
from tests.decoders.fused.alike import CONTEXTS, compiled, read_around


def check(spec: dict[str, Any], inputs: list[bytes], few: int, *, text: bool = False) -> None:
    """few: optional values up to this many are kept in variables; more are put into their dict at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "_FEW", few)
        try:
            product = compiled(spec)
        except SpecError as error:
            assert all(problem.line for problem in error.problems)  # noqa: PT017 - a mistake is named with its place
            return
        for index, data in enumerate(inputs):
            read_around(product, data, CONTEXTS[index % 2], text=text)


FEW = st.sampled_from([0, 4])
SOME = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


@SOME
@given(spec=any_spec.SPECS, inputs=any_spec.INPUTS, few=FEW)
def test_any_spec_is_read_alike_by_both_codecs(spec: dict[str, Any], inputs: list[bytes], few: int) -> None:
    check(spec, inputs, few)


@SOME
@given(spec=any_framed_spec.SPECS, inputs=any_framed_spec.INPUTS, few=FEW)
def test_any_spec_with_frames_is_read_alike_by_both_codecs(spec: dict[str, Any], inputs: list[bytes], few: int) -> None:
    check(spec, inputs, few)


@SOME
@given(spec=any_text_spec.SPECS, inputs=any_text_spec.INPUTS, few=FEW)
def test_any_spec_of_text_is_read_alike_by_both_codecs(spec: dict[str, Any], inputs: list[bytes], few: int) -> None:
    check(spec, inputs, few, text=True)


HEADER = [{"name": "h", "type": "u8", "bits": {"size": "0-1", "tag": "2-7"}}]
NUMBERED = [{"list": "x", "numbered": True, "type": "u8", "max": 5, "scale": -1}]
WITHIN = [{"items": {"key": "tag", "length": "size", "header": HEADER, "tags": {}, "on_unknown": "skip"}}]


@pytest.mark.parametrize("unknown", [NUMBERED, WITHIN])
def test_elements_of_a_tag_list_that_say_the_same_again(unknown: list[dict[str, Any]]) -> None:
    """Numbered values of several elements; a header whose names those of the elements around have too."""
    items = {"items": {"key": "tag", "length": "size", "header": HEADER, "tags": {}, "on_unknown": unknown}}
    spec = {"messages": {"m": {"rest": "skip", "fields": [{"name": "a", "type": "u8"}, items]}}}
    check(spec, [bytes.fromhex(data) for data in ("a200392c0430", "a2", "a200", "a20100", "a23a01023903")], 4)
