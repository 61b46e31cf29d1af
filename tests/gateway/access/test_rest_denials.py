"""Every reason has an answer, and the answers tell a stranger nothing."""

from __future__ import annotations

import pytest

from gateway.access.rest_denials import DenyReason, RestDenial


@pytest.mark.parametrize("reason", list(DenyReason))
def test_every_reason_has_an_answer(reason: DenyReason) -> None:
    denial = RestDenial(reason)
    assert denial.status in (401, 403, 429, 503)
    assert denial.code == denial.code.lower()
    assert denial.detail
    headers = denial.headers()
    if denial.status == 401:
        assert headers["WWW-Authenticate"].startswith('Bearer realm="iotlink"')
    assert "Retry-After" not in headers
    assert RestDenial(reason, 7).headers()["Retry-After"] == "7"


def test_challenges() -> None:
    """RFC 6750 section 3.1: without credentials a challenge names no error."""
    challenge = "WWW-Authenticate"
    assert RestDenial(DenyReason.NO_CREDENTIALS).headers() == {challenge: 'Bearer realm="iotlink"'}
    assert RestDenial(DenyReason.KEY_WRONG).headers() == {challenge: 'Bearer realm="iotlink", error="invalid_token"'}
    insufficient = RestDenial(DenyReason.TOKEN_ALLOWS_NOTHING)
    assert insufficient.status == 403
    assert insufficient.headers() == {challenge: 'Bearer realm="iotlink", error="insufficient_scope"'}
    assert RestDenial(DenyReason.WRONG_TENANT).headers() == {}


@pytest.mark.parametrize(
    "alike",
    [
        {DenyReason.KEY_UNKNOWN, DenyReason.KEY_WRONG},
        {DenyReason.SIGNATURE_UNKNOWN_CLIENT, DenyReason.SIGNATURE_WRONG},
        {DenyReason.TOKEN_INVALID, DenyReason.TOKEN_ISSUER, DenyReason.TOKEN_AUDIENCE, DenyReason.TOKEN_KEY},
    ],
)
def test_what_a_stranger_cannot_tell_apart(alike: set[DenyReason]) -> None:
    denials = [RestDenial(reason) for reason in alike]
    assert len({(one.status, one.code, one.detail, str(one.headers())) for one in denials}) == 1
