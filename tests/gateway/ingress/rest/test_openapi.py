"""The document holds for the routes, for what is committed, and for itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from gateway.access.scopes import Call
from gateway.ingress.rest.answers import BatchAnswer, ItemError
from gateway.ingress.rest.media import TYPES, media_of
from gateway.ingress.rest.openapi import document, document_bytes
from gateway.ingress.rest.openapi_examples import CALLS
from gateway.ingress.rest.routes import HEADERS, ROUTES, Answered, Operation, Place
from gateway.ingress.rest.uploads import UploadTally
from gateway.observe.problems import Limit, Problem, ProblemCode

ROOT = Path(__file__).resolve().parents[4]
COMMITTED = ROOT / "docs" / "openapi.json"
API = document()
SCHEMAS = API["components"]["schemas"]


def calls() -> Iterator[tuple[str, str, Any]]:
    for path, verbs in API["paths"].items():
        for verb, call in verbs.items():
            yield path, verb, call


def valid(value: object, name: str) -> None:
    """Raises where the value is not as the component says."""
    valid_as(value, {"$ref": f"#/components/schemas/{name}"})


def valid_as(value: object, schema: Any) -> None:
    jsonschema.Draft202012Validator({**schema, "components": API["components"]}).validate(value)


def test_the_committed_document_is_this_one() -> None:
    assert COMMITTED.read_bytes() == document_bytes(), "`make docs` renews docs/openapi.json"


def test_it_is_the_same_in_every_process() -> None:
    assert orjson.loads(document_bytes()) == API


def test_every_reference_leads_somewhere() -> None:
    for reference in set(re.findall(rb'"\$ref": "#/([^"]+)"', document_bytes())):
        found: Any = API
        for step in reference.decode().split("/"):
            found = found[step]


def test_schemas_are_schemas() -> None:
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_routes_and_document_are_the_same() -> None:
    routed = {(template, route.method.lower()) for route in ROUTES for template in (route.template, *route.also)}
    assert {(path, verb) for path, verb, _ in calls()} == routed
    ids = [call["operationId"] for _, _, call in calls()]
    assert len(set(ids)) == len(ids)
    assert set(Operation) == {route.operation for route in ROUTES}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation.value)
def test_parameters_bodies_and_rights_are_those_of_the_route(route: Any) -> None:
    for template in (route.template, *route.also):
        call = API["paths"][template][route.method.lower()]
        placed = {(one["name"], one["in"]) for one in call["parameters"]}
        own = {(one.name, one.place.value) for one in route.parameters}
        assert placed - {(header.name, "header") for header in HEADERS} == own
        assert {one["name"] for one in call["parameters"] if one["in"] == "path"} == set(
            re.findall(r"{(\w+)}", template)
        )
        assert all(one.get("required", False) == (one["in"] == Place.PATH.value) for one in call["parameters"])
        content = call.get("requestBody", {}).get("content", {})
        assert [media_of(media, route.forms).form for media in content] == list(route.forms)
        assert bool(call["security"]) == (route.right is not None)
        assert any("signature" in way for way in call["security"]) == (route.right is Call.INGEST)
        assert ("207" in call["responses"]) == (route.answered is Answered.BATCH)
        keys = [one for one in call["parameters"] if one["name"] == "Idempotency-Key"]
        assert bool(keys) == (route.answered is Answered.BATCH)


def test_every_form_has_a_name_that_is_read_as_it() -> None:
    for form, names in TYPES.items():
        assert {media_of(name, [form]).form for name in names} == {form}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation.value)
def test_examples_fit_the_schemas(route: Any) -> None:
    call = API["paths"][route.template][route.method.lower()]
    named = {one["name"] for one in call["parameters"]}
    examples = CALLS.get(route.operation)
    assert examples is None or set(examples.parameters) <= named
    for parameter in call["parameters"]:
        if "example" in parameter:
            valid_as(parameter["example"], parameter["schema"])
        assert parameter["in"] != "path" or "example" in parameter
    bodies = call.get("requestBody", {}).get("content", {})
    for content in bodies.values():
        for example in content.get("examples", {}).values():
            valid_as(example["value"], content["schema"])
    assert not bodies or any("examples" in content for content in bodies.values())
    answers = [API["components"]["responses"][name] for name in API["components"]["responses"]]
    for answer in [*call["responses"].values(), *answers]:
        for content in answer.get("content", {}).values():
            shown = [example["value"] for example in content.get("examples", {}).values()]
            for value in [*shown, *([content["example"]] if "example" in content else [])]:
                valid_as(value, content["schema"])


def test_answers_are_as_the_document_has_them() -> None:
    batch = BatchAnswer(3)
    batch.reject(0, ItemError("wrong_type", "no", "/a/b", retry=True))
    batch.keep(1, "id")
    valid(orjson.loads(batch.answer().body), "BatchAnswer")
    none = BatchAnswer(1)
    none.reject(0, ItemError("wrong_type", "no", "/a/b"))
    valid({**orjson.loads(none.answer().body), "request_id": "a"}, "Problem")
    tally = UploadTally()
    tally.reject(7, ItemError("wrong_type", "no", "/a"))
    tally.accepted = 1
    valid(orjson.loads(tally.answer(8, 1).body), "UploadAnswer")
    tally.accepted = 0
    valid({**orjson.loads(tally.answer(8, 1).body), "request_id": "a"}, "Problem")


@pytest.mark.parametrize("code", ProblemCode)
def test_problems_are_as_the_document_has_them(code: ProblemCode) -> None:
    errors = [{"code": "a", "message": "b", "pointer": "/c"}, {"code": "a", "detail": "b", "field": "c"}]
    problem = Problem(
        413, code, "why", errors, limit=Limit("a.b", 1.5), more={"lines": 3, "accepted": 0, "rejected": 3}
    )
    valid({**problem.document(), "request_id": "a"}, "Problem")
    valid({**Problem(503, code, "why", more={"limit": {"name": "a"}}).document(), "request_id": "a"}, "Problem")


def test_what_is_none_is_refused() -> None:
    with pytest.raises(jsonschema.ValidationError):
        valid({"accepted": 1, "rejected": 0, "items": [{"index": 0}]}, "BatchAnswer")
    with pytest.raises(jsonschema.ValidationError):
        valid({"hex": "00", "base64": "AA=="}, "FrameItem")
