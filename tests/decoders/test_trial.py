from __future__ import annotations

from decoders.trial import try_product
from tests.decoders.sensor import GOLDEN, loaded


def test_all_cases_pass_on_both_codecs() -> None:
    trial = try_product(loaded())
    assert trial.ok
    assert (trial.cases, trial.passed) == (5, 5)
    assert trial.to_plain()["kinds"] == [
        {"kind": "frame", "codec": "fused", "messages": 2, "fused": 2},
        {"kind": "frame", "codec": "fused", "variant": "coarse", "messages": 2, "fused": 2},
    ]


def test_a_wrong_value_is_named_on_each_codec() -> None:
    golden = GOLDEN.replace("temperature: 26.3, door_open: true", "temperature: 26.4, door_open: false")
    trial = try_product(loaded(golden=golden))
    assert not trial.ok
    assert (trial.cases, trial.passed) == (5, 4)
    assert [(failure.case, failure.codec) for failure in trial.failures] == [
        ("status", "construct"),
        ("status", "fused"),
    ]
    failure = trial.failures[0]
    assert failure.place == "sensor/golden/made.yaml:4"
    assert failure.differences == (
        "temperature: expected 26.4, found 26.3",
        "door_open: expected False, found True",
    )


def test_a_wrong_reply_and_a_missing_error_fail() -> None:
    golden = GOLDEN.replace("error: truncated", "error: bad_check").replace('replies: ["', 'replies: ["00', 1)
    trial = try_product(loaded(golden=golden))
    found = {(failure.case, failure.codec): failure.differences[0] for failure in trial.failures}
    assert found["login", "fused"].startswith("replies: expected ['00a5")
    assert found["half a status", "construct"].startswith("frame: expected 'error bad_check', found 'truncated")
    assert trial.passed == 3


def test_codecs_that_differ_fail_though_all_cases_pass() -> None:
    made = loaded()
    (kind,) = made.product.kinds
    assert kind.fused is not None
    sound = kind.fused.decode
    kind.fused.decode = lambda data, context, zone_s: (
        ("status", {}) if data[4] == 0xFF else sound(data, context, zone_s)
    )
    trial = try_product(made)
    assert not trial.failures
    assert not trial.ok
    assert list(trial.proven.disagreements)
