"""The digests were computed with `openssl dgst -sha256 -hmac SECRET`."""

from __future__ import annotations

import pytest

from gateway.access.signatures import SignatureCheck
from gateway.devices.directory import FileDirectory
from gateway.domain.device import Principal
from gateway.domain.ports import SignaturePort
from gateway.domain.topic_message import TopicMessage

DIRECTORY = FileDirectory.from_text(
    """
- {id: dev-1, hmac_secret: s3cret-of-dev-1}
- {id: free}
- {id: hub-1, hmac_secret: s3cret-of-hub-1, children: [child-1, own]}
- {id: own, hmac_secret: s3cret-of-dev-1}
- {id: dev-1, tenant: acme}
""",
    "devices.yaml",
)
HELLO = "25095022b46119b77a0a0ec168d881d64347f7264d0aadf82adefc7975f15c16"  # hello, dev-1
JSON = "595e9c07758aad681e5b47b200f45513b0358fbb06f0f44e4ef70afb1087f758"  # dev-1
SPACED = "437674ebbaf304ff642388d5725edb6789e1314d20a7aab335f96b307e4d4243"  # hub-1
SIGNED = b'{"metrics":{"tempC":21.5},"sig":"%s","trace_id":"t-1"}'
SIGNED_SPACED = b'{ "sig" : "%s", "tempC": 1 }'


class Sender:
    principal = Principal()
    device_id = ""

    def __init__(self, tenant: str = "") -> None:
        self.tenant = tenant

    def may_speak_for(self, device_id: str) -> bool:
        return True


def taken(
    payload: bytes,
    device_id: str = "dev-1",
    required: bool = True,
    properties: tuple[tuple[str, str], ...] = (),
    tenant: str = "",
    field: str = "sig",
) -> bool:
    message = TopicMessage("t", payload, 0, Sender(tenant), "mqtt", properties=properties)
    check: SignaturePort = SignatureCheck(DIRECTORY, required, field)
    reason = check.check(message, device_id)
    assert reason in (None, "bad_signature")
    return reason is None


@pytest.mark.parametrize("required", [True, False])
def test_a_signature_in_a_user_property(required: bool) -> None:
    right = ("signature", f"sha256={HELLO}")
    assert taken(b"hello", required=required, properties=(right,))
    assert taken(b"hello", required=required, properties=(("x", "y"), ("signature", f"sha256={HELLO.upper()}")))
    for properties in (
        (("signature", HELLO),),
        (("signature", f"sha1={HELLO}"),),
        (("signature", f"sha256={HELLO[:-1]}"),),
        (("signature", f"sha256={HELLO[:-1]}5"),),
        (("signature", f"sha256={HELLO}00"),),
        (("signature", f"sha256={'é' * 64}"),),
        (("signature", ""),),
        (right, right),
    ):
        assert not taken(b"hello", required=required, properties=properties)
    assert not taken(b"hello!", required=required, properties=(right,))
    assert not taken(b"", required=required, properties=(right,))


@pytest.mark.parametrize("required", [True, False])
def test_a_signature_in_the_message(required: bool) -> None:
    assert taken(SIGNED % JSON.encode(), required=required)
    assert taken(SIGNED % JSON.upper().encode(), required=required)
    assert taken(SIGNED_SPACED % SPACED.encode(), "hub-1", required)
    right = SIGNED % JSON.encode()
    for wrong in (
        right.replace(b"21.5", b"21.6"),
        right + b"\n",
        b"\n" + right,
        right.replace(b"59", b"5a", 1),
        SIGNED % JSON[:-1].encode(),
        SIGNED % b"",
        SIGNED.replace(b'"%s"', b"1"),
        right.replace(b"}", b',"sig":"%s"}' % JSON.encode(), 1),  # twice
        right.replace(b'"trace_id"', b'"\\u0073ig"'),  # twice, one in disguise
        b'{"a":%s}' % right,  # not at the top
        b"{" + right,  # no JSON
    ):
        assert not taken(wrong, required=required), wrong


def test_a_field_deeper_in_the_message_is_no_signature() -> None:
    """Even with digits that are right for these bytes (openssl)."""
    digits = b"c19afe03733cfb415d69d116246293aa6e299dbffdfe1425f9c582f9af12bbae"
    assert not taken(b'{"data":{"sig":"%s"}}' % digits)


def test_the_field_may_have_another_name() -> None:
    payload = SIGNED % JSON.encode()
    assert not taken(payload, field="mac")
    assert taken(payload, field="mac", required=False)


def test_without_a_signature_the_setting_decides() -> None:
    for payload in (b"", b"hello", b"[1]", b'{"a":1}', b'"sig"', b'["sig"]', b"\xff\x00"):
        assert not taken(payload)
        assert taken(payload, required=False)


def test_who_has_no_secret_need_not_sign() -> None:
    assert taken(b"hello", "free")
    assert taken(b"hello", "nobody")
    assert taken(b"hello", "")
    assert taken(b"hello", "dev-1", tenant="acme")
    assert taken(SIGNED % b"0", "free")


def test_a_device_behind_a_hub_is_signed_for_by_its_hub_unless_it_has_its_own_secret() -> None:
    assert taken(SIGNED_SPACED % SPACED.encode(), "child-1")
    assert not taken(SIGNED % JSON.encode(), "child-1")
    assert not taken(b"{}", "child-1")
    assert taken(SIGNED % JSON.encode(), "own")
    assert not taken(SIGNED_SPACED % SPACED.encode(), "own")
