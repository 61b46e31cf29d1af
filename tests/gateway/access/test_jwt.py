from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.access.denials import DenyCode
from gateway.access.jwks import KeyFetchError
from gateway.access.jwt import KeysMissing, TokenIssuer, TokenRefused, TokenVerifier, looks_like_token
from gateway.domain.errors import ConfigError
from tests.gateway.access.tokens import EC_KEY, OTHER_RSA_KEY, RSA_KEY, PrivateKey, base64url, jwk, jwks, token

NOW = 1_767_225_600
ISSUER = "https://issuer.example"
CLAIMS = {"iss": ISSUER, "aud": "gateway", "sub": "dev-1", "exp": NOW + 600, "nbf": NOW - 600}


class Web:
    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {"https://issuer.example/keys": jwks(jwk(RSA_KEY, "r"), jwk(EC_KEY, "e"))}

    async def fetch(self, url: str) -> bytes:
        if url not in self.pages:
            raise KeyFetchError(f"{url}: answered 404")
        return self.pages[url]


def issuer(**more: Any) -> TokenIssuer:
    return TokenIssuer(**({"issuer": ISSUER, "audience": "gateway", "jwks_url": "https://issuer.example/keys"} | more))


async def verifier(*issuers: TokenIssuer, now: float = NOW) -> TokenVerifier:
    made = TokenVerifier(issuers or [issuer()], Web().fetch, lambda: 0.0, lambda: now)
    await made.start()
    return made


async def refusal(of: bytes, **more: Any) -> DenyCode:
    with pytest.raises(TokenRefused) as caught:
        (await verifier(issuer(**more))).check(of)
    return caught.value.code


@pytest.mark.parametrize(("key", "key_id"), [(RSA_KEY, "r"), (EC_KEY, "e")])
async def test_a_signed_token_proves_its_device(key: PrivateKey, key_id: str) -> None:
    proven = (await verifier()).check(token(CLAIMS, key, kid=key_id, typ="JWT"))
    assert (proven.issuer, proven.device_id) == (ISSUER, "dev-1")


async def test_the_token_of_rfc_7515_appendix_a_3() -> None:
    """An ES256 signature made by somebody else: right, so that its claims are looked at, which lack an audience."""
    key = {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    signed = (
        b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290"
        b"Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    )

    async def fetch(_: str) -> bytes:
        return jwks(key)

    made = TokenVerifier([issuer(issuer="joe")], fetch, lambda: 0.0, lambda: 1_300_819_379)
    await made.start()
    for text, code in ((signed, DenyCode.TOKEN_AUDIENCE), (signed.replace(b"DtEh", b"DtEi"), DenyCode.TOKEN_INVALID)):
        with pytest.raises(TokenRefused) as caught:
            made.check(text)
        assert caught.value.code is code


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": NOW - 60}, DenyCode.TOKEN_EXPIRED),
        ({"exp": NOW - 59}, None),
        ({"exp": None}, DenyCode.TOKEN_INVALID),
        ({"exp": "tomorrow"}, DenyCode.TOKEN_INVALID),
        ({"exp": True}, DenyCode.TOKEN_INVALID),
        ({"exp": float("nan")}, DenyCode.TOKEN_INVALID),
        ({"nbf": NOW + 60}, None),
        ({"nbf": NOW + 61}, DenyCode.TOKEN_TOO_EARLY),
        ({"iat": NOW + 61}, DenyCode.TOKEN_TOO_EARLY),
        ({"aud": ["x", "gateway"]}, None),
        ({"aud": "gate"}, DenyCode.TOKEN_AUDIENCE),
        ({"aud": ["x"]}, DenyCode.TOKEN_AUDIENCE),
        ({"aud": {"gateway": 1}}, DenyCode.TOKEN_AUDIENCE),
        ({"aud": None}, DenyCode.TOKEN_AUDIENCE),
        ({"iss": "https://issuer.example/"}, DenyCode.TOKEN_ISSUER),
        ({"iss": None}, DenyCode.TOKEN_INVALID),
        ({"sub": None}, DenyCode.TOKEN_NAMES_NOBODY),
        ({"sub": ""}, DenyCode.TOKEN_NAMES_NOBODY),
        ({"sub": 17}, DenyCode.TOKEN_INVALID),
    ],
)
async def test_claims_decide_once_the_signature_is_right(claims: dict[str, Any], code: DenyCode | None) -> None:
    said = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    made = token(said, kid="r")
    if code is None:
        assert (await verifier()).check(made).device_id == "dev-1"
    else:
        assert await refusal(made) is code


async def test_the_device_claim_is_a_setting() -> None:
    made = token(CLAIMS | {"device": "dev-7"}, kid="r")
    assert (await verifier(issuer(device_claim="device"))).check(made).device_id == "dev-7"
    assert await refusal(made, device_claim="serial") is DenyCode.TOKEN_NAMES_NOBODY


def unsigned(header: dict[str, Any], signature: Callable[[bytes], bytes] = lambda _: b"") -> bytes:
    text = f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(CLAIMS).encode())}"
    return f"{text}.{base64url(signature(text.encode()))}".encode()


def public_pem() -> bytes:
    return RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "forged",
    [
        unsigned({"alg": "none"}),
        unsigned({"alg": "RS256", "kid": "r"}),
        unsigned({"alg": "HS256", "kid": "r"}, lambda text: hmac.digest(public_pem(), text, hashlib.sha256)),
        unsigned({"alg": "ES256", "kid": "e"}, lambda _: bytes(64)),
        token(CLAIMS, OTHER_RSA_KEY, kid="r"),
        token(CLAIMS, RSA_KEY, kid="r", alg="RS384"),
        token(CLAIMS, RSA_KEY, kid=["r"]),
        token(CLAIMS, RSA_KEY, kid="r", crit=["exp"], exp=1),
        token(CLAIMS, RSA_KEY, kid="r")[:-4] + b"AAAA",
        token(CLAIMS, RSA_KEY, kid="r") + b".x",
        b"eyJ.eyJ.x",
        b"eyJhIjp9.eyJhIjp9.AAAA",
        b".".join((base64url(b"[1]").encode(), base64url(b"{}").encode(), b"AA")),
        token(CLAIMS | {"more": "x" * 8_192}, RSA_KEY, kid="r"),
        unsigned({"alg": "RS256", "kid": "r", "x": json.loads("[" * 900 + "]" * 900)}),
    ],
)
async def test_what_is_not_signed_by_the_issuer_is_refused(forged: bytes) -> None:
    assert await refusal(forged) is DenyCode.TOKEN_INVALID


async def test_a_key_of_another_kind_under_the_same_id_is_no_key() -> None:
    with pytest.raises(KeysMissing):
        (await verifier()).check(token(CLAIMS, EC_KEY, kid="r"))


async def test_each_issuer_has_its_own_keys() -> None:
    web = Web()
    web.pages["https://b.example/keys"] = jwks(jwk(OTHER_RSA_KEY, "r"))
    issuers = [issuer(), issuer(issuer="b", jwks_url="https://b.example/keys")]
    both = TokenVerifier(issuers, web.fetch, lambda: 0.0, lambda: NOW)
    await both.start()
    assert both.check(token(CLAIMS | {"iss": "b"}, OTHER_RSA_KEY, kid="r")).issuer == "b"
    for claims, key in ((CLAIMS | {"iss": "b"}, RSA_KEY), (CLAIMS, OTHER_RSA_KEY)):
        with pytest.raises(TokenRefused):
            both.check(token(claims, key, kid="r"))


async def test_keys_come_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(jwks(jwk(EC_KEY)))
    made = await verifier(issuer(jwks_url="", jwks_file=file))
    assert made.check(token(CLAIMS, EC_KEY)).device_id == "dev-1"


async def test_a_file_that_cannot_be_used_stops_the_start_and_a_url_does_not(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"auth\.jwt\.1\.jwks_file: .*nowhere: cannot be read") as caught:
        await verifier(issuer(), issuer(issuer="b", jwks_url="", jwks_file=tmp_path / "nowhere"))
    assert caught.value.setting == "auth.jwt.1.jwks_file"
    made = await verifier(issuer(jwks_url="https://issuer.example/gone"))
    with pytest.raises(KeysMissing):
        made.check(token(CLAIMS, kid="r"))


@pytest.mark.parametrize(
    ("issuers", "words"),
    [
        ([issuer(issuer="")], "issuer and audience"),
        ([issuer(audience="")], "issuer and audience"),
        ([issuer(jwks_url="")], "one of jwks_url and jwks_file"),
        ([issuer(jwks_file=Path("keys"))], "one of jwks_url and jwks_file"),
        ([issuer(jwks_url="http://issuer.example/keys")], "use https"),
        ([issuer(jwks_url="ftp://issuer.example/keys")], "no http"),
        ([issuer(jwks_url="https:///keys")], "no http"),
        ([issuer(jwks_url="https://[::1/keys")], "no URL"),
        ([issuer(), issuer()], "there already"),
    ],
)
def test_issuers_that_cannot_be_used_are_refused(issuers: list[TokenIssuer], words: str) -> None:
    with pytest.raises(ConfigError, match=r"auth\.jwt\.\d: ") as caught:
        TokenVerifier(issuers, Web().fetch, lambda: 0.0, lambda: NOW)
    assert words in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/k", "http://[::1]/k", "http://localhost/k", "https://x/k"])
def test_plain_http_is_for_this_machine(url: str) -> None:
    TokenVerifier([issuer(jwks_url=url)], Web().fetch, lambda: 0.0, lambda: NOW)


def test_what_looks_like_a_token() -> None:
    assert looks_like_token(token(CLAIMS))
    for password in (
        b"",
        b"secret",
        b"a.b.c",
        b"eyJ",
        b"eyJhbGciOiJub25lIn0.e30.",
        b"\xff.\xff.\xff",
        b"eyJhIjp9.e 30.AA",
    ):
        assert not looks_like_token(password)
