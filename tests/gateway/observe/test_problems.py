from __future__ import annotations

import orjson

from gateway.observe.problems import Limit, Problem, ProblemCode, json_response


def test_a_problem_document_has_what_rfc_9457_says_and_our_members() -> None:
    problem = Problem(
        413,
        ProblemCode.TOO_LARGE,
        "the body has more than 10 bytes",
        [{"line": 3, "code": "x", "message": "y"}],
        limit=Limit("rest.max_body_bytes", 10),
        retry_after_s=7,
        headers={"Connection": "close"},
        more={"accepted": 1},
    )
    response = problem.response("r-1")
    assert response.status == 413
    assert response.content_type == "application/problem+json"
    assert response.headers["Retry-After"] == "7"
    assert response.headers["Connection"] == "close"
    assert isinstance(response.body, bytes)
    assert orjson.loads(response.body) == {
        "type": "urn:iotlink:problem:too_large",
        "title": "Too large",
        "status": 413,
        "code": "too_large",
        "detail": "the body has more than 10 bytes",
        "limit": {"name": "rest.max_body_bytes", "value": 10},
        "accepted": 1,
        "errors": [{"line": 3, "code": "x", "message": "y"}],
        "request_id": "r-1",
    }


def test_what_is_not_there_is_left_out() -> None:
    response = Problem(401, "invalid_key", "the API key is not valid").response("r")
    assert isinstance(response.body, bytes)
    document = orjson.loads(response.body)
    assert document.keys() == {"type", "title", "status", "code", "detail", "request_id"}
    assert document["type"] == "urn:iotlink:problem:invalid_key"
    assert "Retry-After" not in response.headers


def test_json_answers_are_not_stored() -> None:
    assert json_response({}).headers["Cache-Control"] == "no-store"
