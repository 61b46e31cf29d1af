"""The tree stays readable: every module is tested where one looks for it, says what it is, and is of a size to read."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("decoders", "gateway", "loadtest", "product_specs")
MAX_LINES = 600
SMALL = 30  # a module up to this long needs no test of its own

# Modules longer than that without a test module in the mirrored folder, and why.
WITHOUT_A_TEST: dict[str, str] = {
    "decoders/types.py": "values only",
    "decoders/framing/measure.py": "values only",
    "decoders/framing/plan.py": "values only",
    "gateway/delivery/spool/values.py": "values and protocols only",
    "gateway/domain/dead_letter.py": "values only",
    "gateway/domain/device.py": "values only",
    "gateway/domain/errors.py": "closed enums",
    "gateway/domain/ports.py": "protocols only",
    "gateway/domain/reading.py": "values only",
    "gateway/domain/record.py": "values only",
    "gateway/domain/topic_message.py": "values and protocols only",
    "gateway/domain/uplink.py": "values only",
}

# Modules that a test of another name covers.
COVERED_BY: dict[str, str] = {
    "decoders/clock_fields.py": "tests/decoders/test_clock_patterns.py",
    "decoders/document_frame.py": "tests/decoders/test_document_mapping.py",
    "decoders/document_kinds.py": "tests/decoders/test_document_mapping.py",
    "decoders/document_values.py": "tests/decoders/test_document_mapping.py",
    "decoders/envelopes/chirpstack.py": "tests/decoders/envelopes/test_envelopes.py",
    "decoders/envelopes/milesight.py": "tests/decoders/envelopes/test_envelopes.py",
    "decoders/envelopes/reading.py": "tests/decoders/envelopes/test_envelopes.py",
    "decoders/envelopes/things_stack.py": "tests/decoders/envelopes/test_envelopes.py",
    "decoders/errors.py": "tests/decoders/test_compile.py",
    "decoders/formula_parts.py": "tests/decoders/test_solve.py",
    "decoders/fused/header.py": "tests/decoders/test_text_frames.py",
    "decoders/fused/parallel.py": "tests/decoders/test_lists_and_tags.py",
    "decoders/fused/records.py": "tests/decoders/spec/test_record_rows.py",
    "decoders/fused/text_items.py": "tests/decoders/test_text_items.py",
    "decoders/fused/text_values.py": "tests/decoders/test_text_frames.py",
    "decoders/fused_encoder.py": "tests/decoders/test_encode.py",
    "decoders/inverse.py": "tests/decoders/test_encode.py",
    "decoders/metering/mbus_data.py": "tests/decoders/metering/test_mbus.py",
    "decoders/reference/building.py": "tests/decoders/test_encode_structures.py",
    "decoders/reference/codec.py": "tests/decoders/reference/test_reference_codec.py",
    "decoders/reference/draft.py": "tests/decoders/test_encode_structures.py",
    "decoders/reference/fields.py": "tests/decoders/test_encode_structures.py",
    "decoders/reference/finish.py": "tests/decoders/reference/test_reference_codec.py",
    "decoders/reference/lists.py": "tests/decoders/reference/test_reference_codec.py",
    "decoders/reference/raw_tree.py": "tests/decoders/reference/test_reference_codec.py",
    "decoders/reference/read.py": "tests/decoders/reference/test_reference_codec.py",
    "decoders/reference/records.py": "tests/decoders/spec/test_record_rows.py",
    "decoders/reference/rows.py": "tests/decoders/reference/test_reference_codec.py",
    "decoders/reference/tag_building.py": "tests/decoders/test_encode_structures.py",
    "decoders/reference/text_items.py": "tests/decoders/test_text_items.py",
    "decoders/reference/time_parts.py": "tests/decoders/test_read_back.py",
    "decoders/reference/values.py": "tests/decoders/reference/test_reference_codec.py",
    "decoders/reply_builder.py": "tests/decoders/test_replies.py",
    "decoders/spec/check_rows.py": "tests/decoders/test_check_places.py",
    "decoders/spec/conversions.py": "tests/decoders/test_compile.py",
    "decoders/spec/documents.py": "tests/decoders/test_document_mapping.py",
    "decoders/spec/frame_marks.py": "tests/decoders/spec/test_frames.py",
    "decoders/spec/lint/subject.py": "tests/decoders/spec/test_lint.py",
    "decoders/spec/list_rows.py": "tests/decoders/test_compile.py",
    "decoders/spec/message_draft.py": "tests/decoders/test_compile.py",
    "decoders/spec/model.py": "tests/decoders/spec/test_schema.py",
    "decoders/spec/model_conversion.py": "tests/decoders/spec/test_schema.py",
    "decoders/spec/model_rows.py": "tests/decoders/spec/test_schema.py",
    "decoders/spec/model_words.py": "tests/decoders/spec/test_author_mistakes.py",
    "decoders/spec/notes.py": "tests/decoders/test_plan.py",
    "decoders/spec/python_rows.py": "tests/decoders/test_custom.py",
    "decoders/spec/result_rows.py": "tests/decoders/test_raw_rows.py",
    "decoders/spec/rows.py": "tests/decoders/test_compile.py",
    "decoders/spec/selectors.py": "tests/decoders/test_body_calls.py",
    "decoders/spec/text_items.py": "tests/decoders/test_text_items.py",
    "decoders/spec/text_rows.py": "tests/decoders/test_text_frames.py",
    "decoders/spec/value_rows.py": "tests/decoders/test_compile.py",
    "gateway/app/rest.py": "tests/e2e/test_rest_callers.py",
    "gateway/cli/letter_sources.py": "tests/gateway/cli/test_dlq.py",
    "gateway/cli/serve.py": "tests/e2e/test_serve_process.py",
    "gateway/delivery/dead_letter_files.py": "tests/gateway/delivery/test_dead_letters.py",
    "gateway/delivery/sinks/__init__.py": "tests/gateway/delivery/test_sender.py",
    "gateway/delivery/sinks/packings.py": "tests/gateway/delivery/sinks/test_kinesis_sink.py",
    "gateway/delivery/spool/opening.py": "tests/gateway/delivery/spool/test_spool.py",
    "gateway/delivery/spool/reader.py": "tests/gateway/delivery/spool/test_spool_disk_faults.py",
    "gateway/delivery/spool/segments.py": "tests/gateway/delivery/spool/test_spool_disk_faults.py",
    "gateway/domain/receipt.py": "tests/gateway/delivery/test_outbox.py",
    "gateway/ingress/rest/openapi_examples.py": "tests/gateway/ingress/rest/test_openapi.py",
    "gateway/ingress/rest/openapi_schemas.py": "tests/gateway/ingress/rest/test_openapi.py",
    "gateway/ingress/rest/routes.py": "tests/gateway/ingress/rest/test_openapi.py",
    "gateway/ingress/rest/calls.py": "tests/e2e/test_rest_calls.py",
    "gateway/ingress/rest/catalog_calls.py": "tests/e2e/test_rest_calls.py",
    "gateway/ingress/rest/gate.py": "tests/e2e/test_rest_callers.py",
    "gateway/ingress/rest/items.py": "tests/e2e/test_rest_calls.py",
    "gateway/ingress/rest/sending.py": "tests/e2e/test_rest_behaviour.py",
    "gateway/ingress/rest/server.py": "tests/e2e/test_rest_behaviour.py",
    "gateway/ingress/topic_devices.py": "tests/gateway/ingress/test_topic_reader.py",
    "gateway/ingress/topic_documents.py": "tests/gateway/ingress/test_topic_reader.py",
    "gateway/ingress/topic_properties.py": "tests/gateway/ingress/test_topic_reader.py",
    "gateway/observe/rest_metrics.py": "tests/e2e/test_rest_calls.py",
    "gateway/protocol/mqtt/answers.py": "tests/gateway/protocol/mqtt/test_mqtt_broker_model.py",
    "gateway/observe/source_metrics.py": "tests/gateway/ingress/test_broker_source.py",
    "gateway/protocol/mqtt/greeting.py": "tests/gateway/protocol/mqtt/test_mqtt_client_connect.py",
    "gateway/protocol/mqtt/inbound.py": "tests/gateway/protocol/mqtt/test_mqtt_client_publish.py",
    "gateway/protocol/mqtt/intake.py": "tests/gateway/protocol/mqtt/test_mqtt_client_publish.py",
    "gateway/protocol/mqtt/message.py": "tests/gateway/protocol/mqtt/test_mqtt_broker_delivery.py",
    "gateway/protocol/mqtt/output.py": "tests/gateway/protocol/mqtt/test_mqtt_client_publish.py",
    "gateway/protocol/mqtt/routing.py": "tests/gateway/protocol/mqtt/test_mqtt_broker_delivery.py",
    "gateway/protocol/mqtt/states.py": "tests/gateway/protocol/mqtt/test_mqtt_recovery.py",
    "gateway/protocol/mqtt/subscribing.py": "tests/gateway/protocol/mqtt/test_mqtt_broker_delivery.py",
    "gateway/settings/listeners.py": "tests/gateway/settings/test_rules.py",
    "gateway/settings/section.py": "tests/gateway/settings/test_model.py",
    "gateway/settings/storage.py": "tests/gateway/settings/test_rules.py",
    "loadtest/faults/flip.py": "tests/faults/test_scenarios.py",
    "loadtest/faults/outage.py": "tests/faults/test_every_step.py",
    "loadtest/faults/processes.py": "tests/faults/test_scenarios.py",
    "loadtest/faults/rig.py": "tests/faults/test_scenarios.py",
    "loadtest/faults/scenarios.py": "tests/faults/test_scenarios.py",
    "loadtest/faults/steps.py": "tests/faults/test_every_step.py",
    "loadtest/kinesis_faults.py": "tests/loadtest/test_fake_kinesis.py",
    "loadtest/kinesis_shards.py": "tests/loadtest/test_fake_kinesis.py",
    "loadtest/kpl_reader.py": "tests/gateway/delivery/test_kpl.py",
}

VAGUE_NAMES = frozenset({"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"})
UNFINISHED = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b")
PATH_OF_ONE_MACHINE = re.compile(r"(?<![\w.~*-])/(?:home/\w|Users/\w|root/|work/)")

TEXT_SUFFIXES = frozenset([".css", ".html", ".js", ".json", ".md", ".py", ".sh", ".tf", ".toml", ".yaml", ".yml"])
TEXT_NAMES = frozenset({"Dockerfile", "Makefile", "NOTICE", "run"})


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def text_files() -> list[Path]:
    """What people wrote: neither hidden folders (but `.ci`) nor what builds, environments and a gateway leave here."""
    found = []
    for entry in ROOT.iterdir():
        hidden = entry.name.startswith(".") and entry.name != ".ci"
        if hidden or entry.name in {"build", "data", "dist"} or (entry / "pyvenv.cfg").is_file():
            continue
        paths = entry.rglob("*") if entry.is_dir() else [entry]
        found += [path for path in paths if path.suffix in TEXT_SUFFIXES or path.name in TEXT_NAMES]
    return sorted(path for path in found if path.is_file())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def line_count(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def mirrored_tests(module: str) -> re.Pattern[str]:
    """Test files that count as a module's own, as a pattern of their paths: `gateway/delivery/outbox.py` is tested by
    `tests/gateway/delivery/test_outbox.py`, or by several with the name in theirs: `test_outbox_order.py`."""
    path = Path(module)
    if path.name == "__init__.py":
        path = path.parent  # tested beside the package or inside it
        folder = f"{re.escape(path.parent.as_posix())}(?:/{re.escape(path.name)})?"
    else:
        folder = re.escape(path.parent.as_posix())
    return re.compile(rf"tests/{folder}/test_(?:\w+_)?{re.escape(path.stem.strip('_'))}(?:_\w+)?\.py")


def test_every_module_has_its_test() -> None:
    tests = [name_of(path) for path in python_files("tests")]
    missing = []
    for path in python_files(*PACKAGES):
        module = name_of(path)
        if line_count(path) <= SMALL or module in WITHOUT_A_TEST or module in COVERED_BY:
            continue
        if not any(mirrored_tests(module).fullmatch(test) for test in tests):
            missing.append(f"{module} ({line_count(path)} lines)")
    assert not missing, "\nno test module in the mirrored folder, no entry in the tables:\n" + "\n".join(missing)


def test_the_tables_of_exceptions_are_not_stale() -> None:
    stale = [module for module in (*WITHOUT_A_TEST, *COVERED_BY) if not (ROOT / module).is_file()]
    stale += [test for test in COVERED_BY.values() if not (ROOT / test).is_file()]
    stale += [module for module in WITHOUT_A_TEST if module in COVERED_BY]
    assert not stale


@pytest.mark.parametrize(
    ("module", "test", "counts"),
    [
        ("gateway/delivery/outbox.py", "tests/gateway/delivery/test_outbox.py", True),
        ("gateway/delivery/outbox.py", "tests/gateway/delivery/test_outbox_order.py", True),
        ("decoders/framing/plan.py", "tests/decoders/framing/test_framing_plan.py", True),
        ("gateway/delivery/__init__.py", "tests/gateway/test_delivery.py", True),
        ("gateway/delivery/__init__.py", "tests/gateway/delivery/test_delivery.py", True),
        ("gateway/__main__.py", "tests/gateway/test_main.py", True),
        ("gateway/delivery/outbox.py", "tests/gateway/delivery/test_outboxes.py", False),
        ("gateway/delivery/outbox.py", "tests/delivery/test_outbox.py", False),
        ("gateway/delivery/outbox.py", "tests/gateway/delivery/outbox.py", False),
    ],
)
def test_what_counts_as_a_modules_test(module: str, test: str, counts: bool) -> None:
    assert bool(mirrored_tests(module).fullmatch(test)) is counts


def test_every_module_says_what_it_is() -> None:
    silent = [name_of(p) for p in python_files(*PACKAGES) if not ast.get_docstring(ast.parse(p.read_text("utf-8")))]
    assert not silent


def test_every_source_folder_is_a_package() -> None:
    """The wheel takes packages only: a folder without `__init__.py` would be missing from it."""
    folders = {path.parent for path in python_files(*PACKAGES)}
    assert not [name_of(folder) for folder in folders if not (folder / "__init__.py").is_file()]


def test_no_file_is_too_long_to_read() -> None:
    long = [f"{name_of(p)}: {line_count(p)}" for p in python_files(*PACKAGES, "tests") if line_count(p) > MAX_LINES]
    assert not long


def test_names_say_what_is_inside() -> None:
    vague = [
        name_of(path)
        for path in python_files(*PACKAGES, "tests")
        if any(VAGUE_NAMES & set(part.removesuffix(".py").split("_")) for part in path.relative_to(ROOT).parts)
    ]
    assert not vague


def test_nothing_is_left_unfinished_or_tied_to_a_machine() -> None:
    faults = []
    for path in text_files():
        for lineno, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if UNFINISHED.search(line):
                faults.append(f"{name_of(path)}:{lineno} is marked as unfinished")
            if PATH_OF_ONE_MACHINE.search(line):
                faults.append(f"{name_of(path)}:{lineno} names a path of one machine")
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.parametrize("path", ["home/ann/x", "root/x", "Users/ann", "work/x"])
@pytest.mark.parametrize("before", ["", "cd ", "path='", "sys.path=", "file://"])
def test_a_path_of_one_machine_is_seen(before: str, path: str) -> None:
    assert PATH_OF_ONE_MACHINE.search(f"{before}/{path}")


@pytest.mark.parametrize("line", ["https://host.example/home/page", "tests/work/x", "~/work/x", "./root/x", "/homes/x"])
def test_other_paths_are_not(line: str) -> None:
    assert not PATH_OF_ONE_MACHINE.search(line)
