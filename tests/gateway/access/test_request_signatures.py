"""Signatures against openssl's, times, replays, two secrets, and a memory that never forgets too early."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.request_signatures import (
    RequestSignatures,
    SignatureMode,
    SignatureOptions,
    SignedBody,
    SigningSecrets,
    signing_warnings,
)
from gateway.access.rest_denials import DenyReason, RestDenial

NOW = 1_767_225_600
SECRET = b"a secret of 32 bytes, more or le"
SIGNING = SigningSecrets((SECRET,))
BODY_ALONE = SigningSecrets((SECRET,), SignatureMode.BODY)


class Time:
    """wall may jump, steady may not."""

    def __init__(self) -> None:
        self.wall = float(NOW)
        self.steady = 50.0

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def time() -> Time:
    return Time()


def checks(time: Time, **options: int) -> RequestSignatures:
    return RequestSignatures(SignatureOptions(**options), lambda: time.wall, lambda: time.steady)


def signed(body: bytes, timestamp: object = NOW, secret: bytes = SECRET) -> str:
    return "sha256=" + hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def begun(
    signatures: RequestSignatures,
    body: bytes,
    timestamp: object = NOW,
    signature: str | None = None,
    signing: SigningSecrets | None = SIGNING,
    client: str = "erp",
) -> SignedBody | DenyReason:
    given_ = signed(body, timestamp) if signature is None else signature
    made = signatures.begin(client, signing, str(timestamp), given_)
    if isinstance(made, RestDenial):
        return made.reason
    made.update(body)
    return made


def outcome(
    signatures: RequestSignatures,
    body: bytes,
    timestamp: object = NOW,
    signature: str | None = None,
    signing: SigningSecrets | None = SIGNING,
    client: str = "erp",
) -> DenyReason | None:
    made = begun(signatures, body, timestamp, signature, signing, client)
    if isinstance(made, DenyReason):
        return made
    denial = made.finish()
    return denial.reason if denial is not None else None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"device_id": "a", "metrics": {"t": 21.5}}\n',
        "온도,21.5\r\n".encode("cp949"),
        bytes(range(256)) * 41,
    ],
)
@pytest.mark.parametrize("mode", list(SignatureMode))
def test_signatures_that_openssl_made(time: Time, body: bytes, mode: SignatureMode) -> None:
    message = body if mode is SignatureMode.BODY else f"{NOW}.".encode() + body
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{SECRET.hex()}", "-r"]
    made = subprocess.run(command, input=message, capture_output=True, check=True).stdout.split()[0].decode()
    signing = SigningSecrets((SECRET,), mode)
    assert outcome(checks(time), body, signature=f"sha256={made}", signing=signing) is None
    other = made[:-1] + ("0" if made[-1] != "0" else "1")
    assert outcome(checks(time), body, signature=f"sha256={other}", signing=signing) is DenyReason.SIGNATURE_WRONG
    wrong = outcome(checks(time), body + b" ", signature=f"sha256={made}", signing=signing)
    assert wrong is DenyReason.SIGNATURE_WRONG


def test_the_vector_of_rfc_4231(time: Time) -> None:
    """Test case 2: key "Jefe"."""
    made = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    body, signing = b"what do ya want for nothing?", SigningSecrets((b"Jefe",), SignatureMode.BODY)
    assert outcome(checks(time), body, signature=made, signing=signing) is None
    assert outcome(checks(time), body, signature=made.replace("5bdc", "5BDC"), signing=signing) is None


@pytest.mark.parametrize("secret", [SECRET, b"of before", b"wrong"])
@pytest.mark.parametrize("signing", [SigningSecrets((SECRET, b"of before")), SigningSecrets((SECRET,)), None])
def test_comparing_takes_the_same_time_whatever_is_wrong(
    time: Time, monkeypatch: pytest.MonkeyPatch, signing: SigningSecrets | None, secret: bytes
) -> None:
    """Every secret is compared, by `hmac.compare_digest`; that of a client that is none too."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(made: bytes, claimed: bytes) -> bool:
        compared.append((made, claimed))
        return made == claimed

    monkeypatch.setattr(hmac, "compare_digest", compare)
    outcome(checks(time), b"x", signature=signed(b"x", secret=secret), signing=signing)
    assert len(compared) == (len(signing.secrets) if signing is not None else 1)
    assert {(len(made), len(claimed)) for made, claimed in compared} == {(32, 32)}


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_the_body_may_come_in_any_pieces(body: bytes, cuts: list[int]) -> None:
    signatures = checks(Time())
    made = signatures.begin("erp", SIGNING, str(NOW), signed(body))
    assert isinstance(made, SignedBody)
    places = sorted({0, len(body), *(cut for cut in cuts if cut <= len(body))})
    view = memoryview(body)
    for start, end in itertools.pairwise(places):
        made.update(view[start:end])
    assert made.finish() is None


@pytest.mark.parametrize("skew", [-301, -300, 0, 300, 301, -(10**9)])
def test_the_window(time: Time, skew: int) -> None:
    expected = None if abs(skew) <= 300 else DenyReason.SIGNATURE_STALE
    assert outcome(checks(time), b"x", NOW + skew) is expected


@pytest.mark.parametrize(
    "timestamp", ["", "0", "-1", "+1767225600", "01767225600", "1767225600.0", " 1767225600", "1e9", "१७६७", "9" * 13]
)
def test_timestamps_that_are_none(time: Time, timestamp: str) -> None:
    assert outcome(checks(time), b"x", timestamp) is DenyReason.SIGNATURE_MALFORMED


@pytest.mark.parametrize(
    "signature",
    ["", "sha256=", "5bdc", "sha256=" + "0" * 63, "sha256=" + "0" * 65, "sha256=" + "g" * 64, "sha1=" + "0" * 40],
)
def test_signatures_that_are_none(time: Time, signature: str) -> None:
    assert outcome(checks(time), b"x", signature=signature) is DenyReason.SIGNATURE_MALFORMED


def test_the_time_is_signed_too(time: Time) -> None:
    assert outcome(checks(time), b"x", NOW + 1, signature=signed(b"x", NOW)) is DenyReason.SIGNATURE_WRONG
    # Where time ends and body begins is not in doubt: a timestamp has only digits.
    assert outcome(checks(time), b"5.x", NOW, signature=signed(b"x", f"{NOW}.5")) is None


def test_a_client_that_is_none_ends_as_a_wrong_signature_does(time: Time) -> None:
    signatures = checks(time)
    assert outcome(signatures, b"x", signing=None) is DenyReason.SIGNATURE_UNKNOWN_CLIENT
    made = signatures.begin("erp", None, str(NOW), signed(b"x", secret=b""))
    assert isinstance(made, SignedBody)  # the body is read as of any other
    denial, wrong = made.finish(), RestDenial(DenyReason.SIGNATURE_WRONG)
    assert denial is not None
    assert (denial.status, denial.code, denial.detail) == (wrong.status, wrong.code, wrong.detail)


def test_two_secrets_while_they_change(time: Time) -> None:
    both = SigningSecrets((b"the new secret", SECRET))
    signatures = checks(time)
    assert outcome(signatures, b"x", signing=both) is None
    assert outcome(signatures, b"x", signature=signed(b"x", secret=b"the new secret"), signing=both) is None
    gone = SigningSecrets((b"the new secret",))
    assert outcome(checks(time), b"x", signing=gone) is DenyReason.SIGNATURE_WRONG


@pytest.mark.parametrize("secrets", [(), (b"",), (b"a", b""), (b"a", b"b", b"c")])
def test_secrets_that_are_none(secrets: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="1 to 2 secrets"):
        SigningSecrets(secrets)


def test_secrets_are_not_shown() -> None:
    assert "secret of 32" not in repr(SIGNING)


def test_a_signature_counts_once(time: Time) -> None:
    signatures = checks(time)
    assert outcome(signatures, b"x") is None
    assert outcome(signatures, b"x") is DenyReason.SIGNATURE_REPLAYED
    assert outcome(signatures, b"x", signature=signed(b"x").upper().replace("SHA", "sha")) is (
        DenyReason.SIGNATURE_REPLAYED
    )
    assert outcome(signatures, b"x", NOW + 1) is None
    assert outcome(signatures, b"x", client="other with the same secret") is None


def test_two_at_the_same_time(time: Time) -> None:
    signatures = checks(time)
    first, second = begun(signatures, b"x"), begun(signatures, b"x")
    assert isinstance(first, SignedBody)
    assert isinstance(second, SignedBody)
    assert second.finish() is None
    assert first.finish() == RestDenial(DenyReason.SIGNATURE_REPLAYED)
    first.release()  # is not its to release
    assert outcome(signatures, b"x") is DenyReason.SIGNATURE_REPLAYED


def test_what_was_not_kept_may_come_again(time: Time) -> None:
    signatures = checks(time)
    first = begun(signatures, b"x")
    assert isinstance(first, SignedBody)
    assert first.finish() is None
    first.release()
    assert outcome(signatures, b"x") is None
    first.release()  # once only
    assert outcome(signatures, b"x") is DenyReason.SIGNATURE_REPLAYED


def test_a_wrong_signature_takes_no_room(time: Time) -> None:
    signatures = checks(time, max_remembered=1)
    for _ in range(10):
        assert outcome(signatures, b"x", signature=signed(b"y")) is DenyReason.SIGNATURE_WRONG
    assert outcome(signatures, b"x") is None


def test_one_from_the_future_is_remembered_as_long_as_it_counts(time: Time) -> None:
    signatures = checks(time)
    assert outcome(signatures, b"x", NOW + 300) is None
    for _ in range(6):
        time.passes(100)
        assert outcome(signatures, b"x", NOW + 300) is DenyReason.SIGNATURE_REPLAYED
    time.passes(1)
    assert outcome(signatures, b"x", NOW + 300) is DenyReason.SIGNATURE_STALE


def test_a_body_that_is_held_back_until_the_memory_forgets(time: Time) -> None:
    signatures = checks(time)
    assert outcome(signatures, b"x", NOW) is None
    time.passes(299)
    held = begun(signatures, b"x", NOW)
    assert isinstance(held, SignedBody)
    time.passes(400)
    assert held.finish() == RestDenial(DenyReason.SIGNATURE_STALE)


def test_a_wall_clock_that_jumps_there_and_back(time: Time) -> None:
    signatures = checks(time)
    assert outcome(signatures, b"x") is None
    time.wall += 86_400
    assert outcome(signatures, b"y", NOW + 86_400) is None  # nothing is forgotten by that
    time.wall -= 86_400
    assert outcome(signatures, b"x") is DenyReason.SIGNATURE_REPLAYED


def test_a_full_memory_refuses_and_does_not_forget(time: Time) -> None:
    signatures = checks(time, max_remembered=2)
    assert outcome(signatures, b"1") is None
    time.passes(1)
    assert outcome(signatures, b"2") is None
    made = begun(signatures, b"3")
    assert isinstance(made, SignedBody)
    denial = made.finish()
    assert denial == RestDenial(DenyReason.SIGNATURE_MEMORY_FULL, 600)
    assert denial.status == 503
    assert outcome(signatures, b"1") is DenyReason.SIGNATURE_REPLAYED
    time.passes(600)
    assert outcome(signatures, b"3", NOW + 601) is None


def test_a_client_has_its_share_of_the_memory(time: Time) -> None:
    signatures = checks(time, max_remembered=10, max_of_client=2)
    assert [outcome(signatures, body) for body in (b"1", b"2")] == [None, None]
    assert outcome(signatures, b"3") is DenyReason.SIGNATURE_MEMORY_FULL
    assert outcome(signatures, b"3", client="other") is None
    time.passes(601)
    assert outcome(signatures, b"3", NOW + 601) is None


def test_mode_body_can_be_replayed(time: Time) -> None:
    made = "sha256=" + hmac.new(SECRET, b"x", hashlib.sha256).hexdigest()
    signatures = checks(time)
    for timestamp in ("", "what it likes", NOW):
        assert outcome(signatures, b"x", timestamp, made, BODY_ALONE) is None
    assert outcome(signatures, b"x", NOW, made, SIGNING) is DenyReason.SIGNATURE_WRONG


def test_what_is_said_at_the_start() -> None:
    assert signing_warnings("erp", SIGNING) == []
    (warning,) = signing_warnings("erp", BODY_ALONE)
    assert "`erp` signs the body alone" in warning
    (warning,) = signing_warnings("erp", SigningSecrets((SECRET, b"short")))
    assert "shorter than 16 bytes" in warning
