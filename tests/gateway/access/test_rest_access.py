"""The table of `gateway.access.rest`, row by row, and what comes after it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from structlog.testing import capture_logs

from gateway.access.api_keys import hash_api_key, make_api_key
from gateway.access.clients import Client, Clients
from gateway.access.key_file import IssuedKey, KeyFile
from gateway.access.key_uses import KeyUses
from gateway.access.quotas import QuotaLimits
from gateway.access.request_signatures import RequestSignatures, SignatureMode, SignatureOptions, SigningSecrets
from gateway.access.rest import (
    AccessRequest,
    RestAccess,
    RestAccessOptions,
    RestAccessServices,
    SignedRequest,
    TokenRefusal,
)
from gateway.access.rest_denials import DenyReason, RestDenial
from gateway.access.scopes import Call, RestGrant, Scope
from gateway.access.token_scopes import TokenRule
from gateway.devices.directory import FileDirectory
from gateway.domain.device import Device, DeviceKey, Principal

NOW = 1_767_225_600
ISSUER = "https://issuer.example"
SECRET = b"a secret of 32 bytes, more or le"
KEY = make_api_key("erp")
OPS_KEY = make_api_key("ops")
OLD_KEY = make_api_key("old")
ACME_KEY = make_api_key("acme")
QUOTA = QuotaLimits(requests_per_s=5)
CLIENTS = [
    Client("erp", Scope.of(["ingest", "read"], ["prod-a"]), (hash_api_key(KEY),), certificate="erp.cert", quota=QUOTA),
    Client("ops", Scope.of(["admin"]), (hash_api_key(OPS_KEY),)),
    Client("old", Scope(), (hash_api_key(OLD_KEY),), SigningSecrets((SECRET,)), expires_unix_s=NOW - 1.0),
    Client("acme", Scope.of(tenant="acme"), (hash_api_key(ACME_KEY),)),
    Client("ha", Scope.of(["ingest", "admin"], None, ["home-*"]), signing=SigningSecrets((SECRET,))),
    Client("cold", signing=SigningSecrets((SECRET,), SignatureMode.BODY)),
]
TOKENS: dict[str, Mapping[str, object] | DenyReason] = {
    "eyJ.good": {"iss": ISSUER, "sub": "u1", "scope": "iotlink/read", "cognito:groups": ["PUSH"]},
    "eyJ.machine": {"iss": ISSUER, "client_id": "m1", "scope": "iotlink/ingest"},
    "eyJ.nothing": {"iss": ISSUER, "sub": "u1", "scope": "openid"},
    "eyJ.nobody": {"iss": ISSUER, "scope": "iotlink/read"},
    "eyJ.other": {"iss": "https://other.example", "sub": "u1", "scope": "iotlink/read"},
    "eyJ.late": DenyReason.TOKEN_EXPIRED,
    "eyJ.down": DenyReason.KEYS_UNAVAILABLE,
}
CERTIFICATE = Principal("certificate", "erp.cert")
DEVICE = Principal("certificate", "hub-1")
Answer = RestGrant | SignedRequest | RestDenial


class Attempts:
    """Counts failures; an address or a name that is `closed` may try no more."""

    def __init__(self) -> None:
        self.closed: set[str] = set()
        self.failures: list[tuple[str, str]] = []
        self.successes: list[tuple[str, str]] = []

    def allowed(self, address: str, user: str) -> bool:
        return not {address, user} & self.closed

    def failed(self, address: str, user: str) -> None:
        self.failures.append((address, user))

    def succeeded(self, address: str, user: str) -> None:
        self.successes.append((address, user))


class Verifier:
    async def verify(self, token: str) -> Mapping[str, object]:
        found = TOKENS.get(token, DenyReason.TOKEN_INVALID)
        if isinstance(found, DenyReason):
            raise TokenRefusal(found)
        return found


class Rig:
    def __init__(
        self,
        tenant: str = "",
        *,
        anonymous: Scope | None = None,
        certificate_devices: bool = False,
        tokens: bool = True,
        remembered: int = 100,
        key_file: KeyFile | None = None,
    ) -> None:
        self.attempts = Attempts()
        self.clients = Clients(CLIENTS, key_file, lambda: NOW)
        services = RestAccessServices(
            self.clients,
            RequestSignatures(SignatureOptions(max_remembered=remembered), lambda: NOW, lambda: 0.0),
            self.attempts,
            FileDirectory([Device(DeviceKey("", "child"), hub_id="hub-1")]),
            Verifier() if tokens else None,
        )
        rule = TokenRule(ISSUER, {"PUSH": frozenset({Call.INGEST})}, scope=Scope.of(devices=["truck-*"]), quota=QUOTA)
        self.access = RestAccess(RestAccessOptions(anonymous, certificate_devices, [rule]), services, "rest", tenant)

    async def ask(
        self,
        *headers: tuple[str, str],
        certificate: Principal | None = None,
        path_client: str = "",
        streamed: bool = False,
    ) -> Answer:
        given = CIMultiDictProxy(CIMultiDict(headers))
        return await self.access.authenticate(
            AccessRequest(given, "192.0.2.1", certificate, path_client, streamed, "r-7")
        )

    async def said(self, *headers: tuple[str, str], certificate: Principal | None = None, path_client: str = "") -> str:
        return told(await self.ask(*headers, certificate=certificate, path_client=path_client))


def told(answer: Answer) -> str:
    """The caller, or `!` and the reason."""
    match answer:
        case RestGrant():
            return answer.caller
        case RestDenial():
            return f"!{answer.reason}"
        case _:
            return "signed"


def bearer(credentials: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {credentials}")


def signed(body: bytes, client: str = "ha", secret: bytes = SECRET, at: int = NOW) -> list[tuple[str, str]]:
    made = hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return [("X-Client-Id", client), ("X-Timestamp", str(at)), ("X-Signature", f"sha256={made}")]


SIGNATURE = signed(b"{}")
NOTHING: list[tuple[str, str]] = []


@pytest.mark.parametrize(
    ("headers", "certificate", "expected"),
    [
        ([bearer(KEY)], None, "client:erp"),
        ([("authorization", f"bearer {KEY}")], None, "client:erp"),
        ([("X-Api-Key", KEY)], None, "client:erp"),
        ([bearer("eyJ.good")], None, f"token:{ISSUER}:u1"),
        ([bearer("eyJ.machine")], None, f"token:{ISSUER}:m1"),
        (SIGNATURE, None, "signed"),
        (NOTHING, CERTIFICATE, "client:erp"),
        (NOTHING, None, "!no_credentials"),
        ([("X-Client-Id", "ha"), ("X-Timestamp", str(NOW))], None, "!no_credentials"),
        ([("Authorization", "Basic ZXJwOng=")], None, "!unsupported_scheme"),
        ([("Authorization", "Bearer")], None, "!unsupported_scheme"),
        ([("Authorization", KEY)], None, "!unsupported_scheme"),
        ([("Authorization", "")], None, "!unsupported_scheme"),
        ([("X-Api-Key", "")], None, "!key_malformed"),
        ([("X-Api-Key", "eyJ.good")], None, "!key_malformed"),
        ([("X-Signature", "")], None, "!signature_malformed"),
        ([bearer(KEY), ("X-Api-Key", KEY)], None, "!several_credentials"),
        ([bearer(KEY), bearer(KEY)], None, "!several_credentials"),
        ([("X-Api-Key", KEY), ("X-Api-Key", KEY)], None, "!several_credentials"),
        ([bearer(KEY), *SIGNATURE], None, "!several_credentials"),
        ([("X-Api-Key", KEY), *SIGNATURE], None, "!several_credentials"),
        ([("Authorization", "Basic x"), ("X-Api-Key", KEY)], None, "!several_credentials"),
        ([bearer(KEY)], CERTIFICATE, "client:erp"),
        ([bearer(OPS_KEY)], CERTIFICATE, "!credentials_differ"),
        ([bearer("eyJ.good")], CERTIFICATE, "!credentials_differ"),
        ([bearer(OPS_KEY)], DEVICE, "client:ops"),
        ([bearer(KEY + "x")], CERTIFICATE, "!key_malformed"),
        (NOTHING, DEVICE, "!certificate_names_nobody"),
        (NOTHING, Principal("certificate"), "!certificate_names_nobody"),
        ([bearer(make_api_key("erp"))], None, "!key_wrong"),
        ([bearer(make_api_key("nobody"))], None, "!key_unknown"),
        ([bearer("iotlink_erp_x")], None, "!key_malformed"),
        ([bearer(OLD_KEY)], None, "!client_expired"),
        ([bearer("eyJ.unheard-of")], None, "!token_invalid"),
        ([bearer("e" * 8_193)], None, "!token_invalid"),
        ([bearer("eyJ.late")], None, "!token_expired"),
        ([bearer("eyJ.down")], None, "!keys_unavailable"),
        ([bearer("eyJ.nobody")], None, "!token_names_nobody"),
        ([bearer("eyJ.other")], None, "!token_issuer"),
        ([bearer("eyJ.nothing")], None, "!token_allows_nothing"),
    ],
)
async def test_the_table(headers: Sequence[tuple[str, str]], certificate: Principal | None, expected: str) -> None:
    rig = Rig()
    assert await rig.said(*headers, certificate=certificate) == expected
    reason = expected.removeprefix("!")
    assert {one: count for one, count in rig.access.denied.items() if count} == (
        {DenyReason(reason): 1} if reason != expected else {}
    )
    # What does not prove itself is not taken for nobody where nobody may come.
    lenient = Rig(anonymous=Scope())
    if reason in ("no_credentials", "certificate_names_nobody"):
        expected = "anonymous:192.0.2.1"
    assert await lenient.said(*headers, certificate=certificate) == expected


async def test_what_a_key_grants() -> None:
    rig = Rig("plant")
    grant = await rig.ask(bearer(KEY))
    assert isinstance(grant, RestGrant)
    assert (grant.principal, grant.client_id, grant.tenant) == (Principal("key", "erp"), "erp", "plant")
    assert grant.quota is QUOTA
    assert grant.refusal(Call.READ, product="prod-a", device_id="any") is None
    assert rig.attempts.failures == []


async def test_the_use_of_a_key_is_noted_once_it_is_let_in(tmp_path: Path) -> None:
    file, key, old = KeyFile(tmp_path / "keys.json"), make_api_key("app"), make_api_key("over")
    with file.edited() as keys:
        keys.append(IssuedKey("app", hash_api_key(key), Scope(), NOW))
        keys.append(IssuedKey("over", hash_api_key(old), Scope(), NOW - 5, expires_unix_s=NOW - 1))
    rig = Rig(key_file=file)
    rig.clients.reload()
    assert await rig.said(bearer(key)) == "client:app"
    assert await rig.said(bearer(old)) == "!client_expired"
    rig.clients.reload()
    assert KeyUses(file.path, lambda: NOW).read() == {hash_api_key(key): NOW}


async def test_what_a_token_grants() -> None:
    grant = await Rig("plant").ask(bearer("eyJ.good"))
    assert isinstance(grant, RestGrant)
    assert grant.scope.calls == {Call.READ, Call.INGEST}
    assert (grant.principal, grant.client_id, grant.tenant) == (Principal("token", "u1"), "", "plant")
    assert grant.quota is QUOTA
    assert [grant.may_speak_for(name) for name in ("truck-1", "van")] == [True, False]


async def test_the_log_names_the_client_that_a_wrong_key_claims() -> None:
    with capture_logs() as lines:
        assert await Rig().said(bearer(make_api_key("erp"))) == "!key_wrong"
        assert await Rig().said(bearer("iotlink_erp_x")) == "!key_malformed"
    assert [line.get("client") for line in lines] == ["erp", None]


async def test_without_issuers_there_are_no_tokens() -> None:
    assert await Rig(tokens=False).said(bearer("eyJ.good")) == "!key_malformed"
    assert await Rig(tokens=False).said(bearer(KEY)) == "client:erp"


async def test_what_anonymous_callers_get() -> None:
    grant = await Rig("plant", anonymous=Scope.of(["read"])).ask()
    assert isinstance(grant, RestGrant)
    assert grant.scope.calls == {Call.READ}
    assert (grant.tenant, grant.principal.kind) == ("plant", "anonymous")


async def test_a_device_by_its_certificate() -> None:
    rig = Rig(certificate_devices=True)
    grant = await rig.ask(certificate=DEVICE)
    assert isinstance(grant, RestGrant)
    assert (grant.caller, grant.device_id, grant.principal) == ("device:hub-1", "hub-1", DEVICE)
    assert [grant.may_speak_for(name) for name in ("hub-1", "child", "x")] == [True, True, False]
    assert not grant.scope.has_call(Call.READ)
    assert await rig.said(certificate=CERTIFICATE) == "client:erp"
    assert await rig.said(certificate=Principal("certificate", "x" * 300)) == "!certificate_names_nobody"
    assert await Rig("plant", certificate_devices=True).said(certificate=DEVICE) == "device:plant/hub-1"


async def test_tenants() -> None:
    assert await Rig("plant").said(bearer(ACME_KEY)) == "!wrong_tenant"
    for tenant in ("", "acme"):
        grant = await Rig(tenant).ask(bearer(ACME_KEY))
        assert isinstance(grant, RestGrant)
        assert grant.tenant == "acme"


async def test_the_client_of_the_path() -> None:
    rig = Rig(anonymous=Scope())
    assert await rig.said(bearer(KEY), path_client="erp") == "client:erp"
    assert await rig.said(bearer(KEY), path_client="ha") == "!client_differs"
    assert await rig.said(bearer("eyJ.good"), path_client="ha") == f"token:{ISSUER}:u1"
    assert await rig.said(path_client="ha") == "anonymous:192.0.2.1"
    without = [header for header in SIGNATURE if header[0] != "X-Client-Id"]
    answer = await rig.ask(*without, path_client="ha")
    assert isinstance(answer, SignedRequest)
    answer.update(b"{}")
    assert told(answer.finish()) == "client:ha"
    assert await rig.said(*without) == "!signature_malformed"
    other = await rig.ask(*signed(b"x"), path_client="erp")
    assert isinstance(other, SignedRequest)
    other.update(b"x")
    assert told(other.finish()) == "!client_differs"


# Signatures


async def finished(rig: Rig, headers: Sequence[tuple[str, str]], body: bytes) -> RestGrant | RestDenial:
    answer = await rig.ask(*headers)
    assert isinstance(answer, SignedRequest)
    for index in range(len(body)):
        answer.update(memoryview(body)[index : index + 1])
    return answer.finish()


async def test_a_signed_request_sends_data_and_no_more() -> None:
    rig = Rig()
    grant = await finished(rig, SIGNATURE, b"{}")
    assert isinstance(grant, RestGrant)
    assert (grant.principal, grant.client_id) == (Principal("signature", "ha"), "ha")
    assert grant.scope.calls == {Call.INGEST}  # whatever the client may do with a key
    assert [grant.may_speak_for(name) for name in ("home-1", "truck")] == [True, False]
    assert rig.attempts.successes == [("192.0.2.1", "rest:ha")]
    assert told(await finished(rig, SIGNATURE, b"{}")) == "!signature_replayed"
    assert rig.attempts.failures == []  # it is no guess


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        (signed(b"{}"), b"{ }", "!signature_wrong"),
        (signed(b"{}", secret=b"another"), b"{}", "!signature_wrong"),
        (signed(b"{}", "nobody"), b"{}", "!signature_unknown_client"),
        (signed(b"{}", "erp"), b"{}", "!signature_unknown_client"),
        (signed(b"{}", "erp", b""), b"{}", "!signature_unknown_client"),
        (signed(b"{}", "ha\udcff"), b"{}", "!signature_unknown_client"),
        (signed(b"{}", "old"), b"{}", "!client_expired"),
    ],
)
async def test_signed_requests_that_are_refused_at_their_end(
    headers: Sequence[tuple[str, str]], body: bytes, expected: str
) -> None:
    rig = Rig(anonymous=Scope())
    assert told(await finished(rig, headers, body)) == expected
    guess = expected != "!client_expired"
    assert rig.attempts.failures == ([("192.0.2.1", f"rest:{headers[0][1]}")] if guess else [])
    assert rig.access.denied[DenyReason(expected[1:])] == 1


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (signed(b"{}", at=NOW - 301), "!signature_stale"),
        ([*signed(b"{}"), ("X-Timestamp", str(NOW))], "!signature_malformed"),
        ([*signed(b"{}"), ("X-Client-Id", "ha")], "!signature_malformed"),
        (signed(b"{}")[1:], "!signature_malformed"),
        ([("X-Client-Id", "ha"), ("X-Signature", "sha256=" + "0" * 64)], "!signature_malformed"),
        ([*signed(b"{}"), ("X-Signature", "sha256=" + "0" * 64)], "!several_credentials"),
        ([("X-Client-Id", "ha"), ("X-Timestamp", str(NOW)), ("X-Signature", "0" * 64)], "!signature_malformed"),
    ],
)
async def test_signed_requests_that_are_refused_at_once(headers: Sequence[tuple[str, str]], expected: str) -> None:
    rig = Rig()
    assert await rig.said(*headers) == expected
    assert rig.attempts.failures == []


async def test_a_client_that_signs_the_body_alone() -> None:
    made = hmac.new(SECRET, b"{}", hashlib.sha256).hexdigest()
    headers = [("X-Client-Id", "cold"), ("X-Signature", f"sha256={made}")]
    rig = Rig()
    for _ in range(2):
        assert told(await finished(rig, headers, b"{}")) == "client:cold"


async def test_streams_are_not_signed() -> None:
    rig = Rig()
    answer = await rig.ask(*SIGNATURE, streamed=True)
    assert answer == RestDenial(DenyReason.SIGNATURE_ON_STREAM)
    assert told(await rig.ask(bearer(KEY), streamed=True)) == "client:erp"


async def test_a_signed_request_of_which_nothing_was_kept() -> None:
    rig = Rig()
    answer = await rig.ask(*SIGNATURE)
    assert isinstance(answer, SignedRequest)
    answer.update(b"{}")
    assert told(answer.finish()) == "client:ha"
    answer.release()
    assert told(await finished(rig, SIGNATURE, b"{}")) == "client:ha"


async def test_no_room_for_more_signatures() -> None:
    rig = Rig(remembered=1)
    assert told(await finished(rig, SIGNATURE, b"{}")) == "client:ha"
    denial = await finished(rig, signed(b"x"), b"x")
    assert isinstance(denial, RestDenial)
    assert (denial.status, denial.headers()) == (503, {"Retry-After": "601"})


# Failed attempts


async def test_failures_are_counted_to_the_address() -> None:
    rig = Rig()
    for credentials in (make_api_key("erp"), make_api_key("nobody"), "iotlink_x", "eyJ.late", "eyJ.other"):
        await rig.said(bearer(credentials))
    assert rig.attempts.failures == [("192.0.2.1", "")] * 5
    for credentials in ("eyJ.down", "eyJ.nothing", OLD_KEY, KEY):
        await rig.said(bearer(credentials))
    assert len(rig.attempts.failures) == 5


async def test_an_address_with_too_many_failures() -> None:
    rig = Rig()
    rig.attempts.closed.add("192.0.2.1")
    denial = await rig.ask(bearer(make_api_key("erp")))
    assert isinstance(denial, RestDenial)
    assert (denial.status, denial.code, denial.headers()) == (429, "too_many_attempts", {"Retry-After": "30"})
    assert await rig.said(bearer("eyJ.good")) == "!too_many_attempts"
    assert await rig.said(*SIGNATURE) == "!too_many_attempts"
    assert rig.attempts.failures == []
    assert await rig.said(bearer(KEY)) == "client:erp"  # a right key is nobody's guess
    assert await rig.said(certificate=CERTIFICATE) == "client:erp"


async def test_a_client_whose_secret_is_guessed_at() -> None:
    rig = Rig()
    rig.attempts.closed.add("rest:ha")
    assert await rig.said(*SIGNATURE) == "!too_many_attempts"
    assert await rig.said(*signed(b"{}", "cold")) == "signed"


async def test_denials_in_the_log() -> None:
    rig = Rig()
    with capture_logs() as lines:
        for number in range(10):
            await rig.said(*signed(b"{}", f"\x1b[2J\udcff{number}" + "x" * 300, at=1))
            await rig.said()
    stale = [line for line in lines if line["reason"] == "signature_stale"]
    assert len(lines) == 6  # three of each reason from one address
    assert {**stale[0], "client": ""} == {
        "event": "rest_denied",
        "log_level": "warning",
        "listener": "rest",
        "reason": "signature_stale",
        "address": "192.0.2.1",
        "request_id": "r-7",
        "client": "",
    }
    assert all(line["client"].isprintable() for line in stale)
    assert rig.access.denied[DenyReason.SIGNATURE_STALE] == 10
