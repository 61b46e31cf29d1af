"""Golden frames: everything that a case asks for is compared, and every difference is named."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.errors import SpecError
from decoders.golden import GoldenCase, GoldenFile, parse_golden, run_case, same
from decoders.spec.source import load
from tests.decoders.specs import product

SPEC = """
zone: "+01:00"
frame: {header: [{name: type, type: u8}], trailer: [{name: check, crc: xor8, over: type..body}], max_bytes: 64}
messages:
  login: {when: {type: 1}, fields: [{name: id, type: bcd, bytes: 2, identity: device}],
      replies: [{text: "hi {device_id}"}]}
  data:
    when: {type: 2}
    fields: [{name: a, type: u8, range: [0, 9], absent: 255}, {name: speed, type: u8}, {group: g, fields: [{name: t,
        type: u8, scale: 0.1}]}]
    replies: [{hex: "AA"}, {text: "{now:%H}"}]
  points: {when: {type: 3}, records: l, fields: [{name: n, type: u8}, {list: l, fields: [{name: a, type: u8},
      {name: time, type: ymdhms}]}]}
  port: {when: {port: 7}, fields: [{name: p, type: u8}]}
"""
DATA = "02 05 0a 19"  # a 5, speed 10, g.t 2.5
POINTS = "03 09 01 190601000000 02 190601010000"


def sealed(body: str) -> str:
    check = 0
    for byte in bytes.fromhex(body):
        check ^= byte
    return bytes.fromhex(body).hex() + f"{check:02x}"


def differences(case: str, file: str = "", now_ms: int = 0) -> list[str]:
    text = f"source: test\n{file}\ncases:\n  - name: one\n" + "".join(
        f"    {line}\n" for line in case.strip().splitlines()
    )
    golden = parse_golden(load(text, "golden.yaml"))
    result = run_case(product(SPEC), golden, golden.cases[0], now_ms)
    assert result.passed is not bool(result.differences)
    return [str(difference) for difference in result.differences]


def data(*lines: str) -> str:
    return "\n".join([f'hex: "{sealed(DATA)}"', *lines])


def points(*lines: str) -> str:
    return "\n".join([f'hex: "{sealed(POINTS)}"', *lines])


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("message: data", []),
        ("message: login", ["message: expected 'login', found 'data'"]),
        ("values: {a: 5, speed: 10, g: {t: 2.5}}", []),
        ("values: {a: 5.000001}", []),
        ("values: {a: 5.001}", ["a: expected 5.001, found 5"]),
        ("values: {a: '5'}", ["a: expected '5', found 5"]),
        ("values: {a: true}", ["a: expected True, found 5"]),
        ("values: {b: 1}", ["b: expected 1, found None"]),
        ("values: {b: null}", []),
        ("values: {g: {t: 2.6}}", ["g: expected {'t': 2.6}, found {'t': 2.5}"]),
        ("absent: [b]", []),
        ("absent: [a]", ["a: expected 'no value', found 5"]),
        ("flags: {}", []),
        ("flags: {a: out_of_range}", ["flags: expected {'a': 'out_of_range'}, found {}"]),
        ("records: [{a: 5, speed: 10, g.t: 2.5}]", []),
        ("records: [{type: 2}]", ["records[0].type: expected 2, found None"]),
        ("records: []", ["records: expected 0, found 1"]),
        ("replies: ['AA', '3031']", []),
        ("replies: ['AA']", ["replies: expected ['aa'], found ['aa', '3031']"]),
        ("error: bad_check", ["frame: expected 'error bad_check', found 'message data'"]),
    ],
)
def test_what_a_case_may_ask_for(line: str, found: list[str]) -> None:
    assert differences(data(line)) == found


def test_contract_flags() -> None:
    frame = f'hex: "{sealed("02 0a ff 00")}"\n'
    assert differences(frame + "flags: {a: out_of_range}") == []
    assert differences(frame + "flags: {}") == ["flags: expected {}, found {'a': 'out_of_range'}"]
    assert differences(f'hex: "{sealed("02 ff 00 00")}"\nabsent: [a]') == []


@pytest.mark.parametrize(
    ("frame", "error", "found"),
    [
        ("0205", "bad_check", []),
        (
            "0205",
            "truncated",
            [
                "frame: expected 'error truncated', found 'bad_check: xor8 is 0x02, the frame says 0x05 at "
                "check (offset 1)'"
            ],
        ),
        (sealed("02 05"), "truncated", []),
        (sealed("09"), "unknown_message", []),
        ("", "truncated", []),
        ("0", "truncated", None),
    ],
)
def test_errors(frame: str, error: str, found: list[str] | None) -> None:
    if found is None:
        with pytest.raises(SpecError):
            differences(f'hex: "{frame}"\nerror: {error}')
        return
    assert differences(f'hex: "{frame}"\nerror: {error}') == found


def test_an_error_that_nobody_expected() -> None:
    assert differences('hex: "0205"\nmessage: data') == [
        "frame: expected 'a decoded frame', found 'bad_check: xor8 is 0x02, the frame says 0x05 at check (offset 1)'"
    ]


def test_a_sound_frame_that_cannot_be_read_is_still_answered() -> None:
    short = f'hex: "{sealed("02 05")}"\nerror: truncated\n'
    assert differences(short + "replies: ['AA', '3031']") == []
    assert differences(short + "replies: []") == ["replies: expected [], found ['aa', '3031']"]


def test_records_of_a_list() -> None:
    assert differences(points("records: [{n: 9, a: 1}, {a: 2}]")) == []
    assert differences(points("records: [{a: 1}, {a: 1}]")) == ["records[1].a: expected 1, found 2"]
    assert differences(points("records: [{a: 1}]")) == ["records: expected 1, found 2"]


def test_the_session_and_the_port() -> None:
    assert (
        differences(points("values: {l: [{time: 2025-05-31T23:00:00.000Z}, {time: 2025-06-01T00:00:00.000Z}]}")) == []
    )
    zoned = "session: {zone_s: 0}\nvalues: {l: [{time: 2025-06-01T00:00:00.000Z}, {time: 2025-06-01T01:00:00.000Z}]}"
    assert differences(points(zoned)) == []
    assert differences(f'hex: "{sealed("63 05")}"\nport: 7\nvalues: {{p: 5}}') == []
    assert differences(f'hex: "{sealed("63 05")}"\nerror: unknown_message') == []


def test_replies_know_the_device_and_the_time() -> None:
    login = f'hex: "{sealed("01 08 15")}"\nreplies: ["{b"hi 0815".hex()}"]'
    assert differences(login) == []
    assert differences(data("replies: ['AA', '3136']"), now_ms=1_750_000_000_000) == []


UPSTREAM = "answers: {speed: {from: speed_knots, formula: x * 1.852, tolerance: 0.1}, g.t: temp, a: level}"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("upstream: {speed_knots: 5.4}", []),
        ("upstream: {speed_knots: 7}", ["speed: expected 12.964, found 10"]),
        ("upstream: {temp: 2.5, level: 5}", []),
        ("upstream: {temp: 2.6}", ["g.t: expected 2.6, found 2.5"]),
        ("upstream: {speed: 10}", []),
        ("upstream: {nothing: 1}", ["nothing: expected 1, found None"]),
        ("upstream: {nothing: null}", []),
        ("upstream: {g: {t: 2.5}}", []),
        ("upstream: {g: {t: 9}}", ["g.t: expected 9, found 2.5"]),
        ("answers: {a: speed_knots}\nupstream: {speed_knots: 5}", []),
    ],
)
def test_upstream_values_are_answered_by_ours(line: str, found: list[str]) -> None:
    assert differences(data(*line.splitlines()), UPSTREAM) == found


def test_upstream_values_may_be_ignored_with_a_reason() -> None:
    assert (
        differences(data("upstream: {nothing: 1, g: {x: 2}}"), "ignore: {nothing: it is nothing, g.x: neither}") == []
    )


def test_upstream_lists() -> None:
    answers = "answers: {l: positions, a: number, time: {from: ms, formula: iso_ms(x)}}"
    right = "upstream: {positions: [{number: 1, ms: 1748732400000}, {number: 2, ms: 1748736000000}]}"
    assert differences(points(right), answers) == []
    wrong = right.replace("number: 2", "number: 3")
    assert differences(points(wrong), answers) == ["l[1].a: expected 3, found 2"]
    assert differences(points("upstream: {positions: [{number: 1}]}"), answers)[0].startswith(
        "l: expected '1 items', found ["
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cases: []", "source"),
        ("source: x\ncases: [{name: a}]", "exactly one of `hex` and `text`"),
        ("source: x\ncases: [{name: a, hex: 'A', message: b}]", "bytes in hex"),
        ("source: x\ncases: [{name: a, hex: AA, mesage: b}]", "message"),
        ("source: x\nanswers: {a: {from: b, formula: x +}}\ncases: []", "is no formula"),
        ("source: x\nanswers: {a: {from: b, formula: open(x)}}\ncases: []", "unknown function"),
    ],
)
def test_mistakes_in_golden_files(text: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_golden(load(text, "golden.yaml"))
    assert words in str(caught.value)
    assert caught.value.problems[0].source == "golden.yaml"


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (1, 1.0, True),
        (1, True, False),
        (True, True, True),
        (1000, 1000.0009, True),
        (1000, 1000.01, False),
        (0, 1e-10, True),
        (0, 1e-8, False),
        ("a", "a", True),
        ([1, 2], [1, 2], True),
        ([1, 2], [1, 2, 3], False),
        ([1], {"a": 1}, False),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, True),
        (None, None, True),
    ],
)
def test_same(one: Any, other: Any, alike: bool) -> None:
    assert same(one, other) is alike


def test_text_frames() -> None:
    golden = GoldenFile.model_validate({"source": "x", "cases": [{"name": "a", "text": "°\n"}]})
    assert golden.cases[0].wire == "°\n".encode()
    assert golden.cases[0].context().received_ms == 0


def test_a_payload_may_be_empty() -> None:
    compiled = product("messages: {ping: {when: {length: 0}}, data: {fields: [{name: a, type: u8}]}}")
    file = parse_golden(load(EMPTY, "g.yaml"))
    assert [run_case(compiled, file, case).passed for case in file.cases] == [True, True, False]


EMPTY = """
source: s
cases:
  - {name: empty, hex: "", message: ping}
  - {name: one, hex: "05", message: data, values: {a: 5}}
  - {name: not cut off, hex: "", error: truncated}
"""


def test_the_only_record_may_stand_flat_in_what_others_say() -> None:
    fields = "[{name: n, type: u8}, {list: l, count: n, fields: [{name: speed, type: u8}]}]"
    compiled = product(f"messages: {{m: {{records: l, fields: {fields}}}}}")
    cases = [
        "{name: one, hex: '0105', upstream: {n: 1, speed: 5}}",
        "{name: two, hex: '020506', upstream: {speed: 5}}",
    ]
    file = parse_golden(load(f"source: s\ncases: [{', '.join(cases)}]", "g.yaml"))
    assert [run_case(compiled, file, case).passed for case in file.cases] == [True, False]


def test_each_record_may_have_a_time_and_an_identity_of_its_own() -> None:
    row = "{list: l, fields: [{name: time, type: unix32}, {name: who, type: u8, identity: child}, {name: a, type: u8}]}"
    compiled = product(f"messages: {{m: {{records: l, fields: [{{name: hub, type: u8, identity: hub}}, {row}]}}}}")
    wire = "09" + "00000001" + "0705" + "00000002" + "0806"
    first = "{time: '1970-01-01T00:00:01.000Z', who: 7, hub: 9, a: 5}"
    second = "{time: '1970-01-01T00:00:02.000Z', who: 8, a: 6}"
    cases = [
        f"{{name: {name}, hex: '{wire}', records: [{one}]}}"
        for name, one in (
            ("good", f"{first}, {second}"),
            ("time of another", f"{first}, {second.replace('02.', '01.')}"),
        )
    ]
    file = parse_golden(load(f"source: s\ncases: [{', '.join(cases)}]", "g.yaml"))
    good, wrong = (run_case(compiled, file, case) for case in file.cases)
    assert good.passed
    assert [difference.field for difference in wrong.differences] == ["records[1].time"]


def test_replies_without_an_arrival_are_made_at_a_moment_that_is_said() -> None:
    spec = "messages: {m: {fields: [{name: a, type: u8}], replies: [{text: '{now:%Y%m%d}{received:%Y}'}]}}"
    for said, reply in ((None, "202601012026"), ("2025-03-01T12:00:00Z", "202503012025")):
        case = GoldenCase(name="c", hex="01", received_at=said, replies=[reply.encode().hex()])
        file = GoldenFile(source="s", cases=[case])
        assert run_case(product(spec), file, case).differences == []
