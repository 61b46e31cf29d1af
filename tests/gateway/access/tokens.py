"""Tokens and key sets made with `cryptography` alone, so that nothing under test makes what it checks."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

RSA_KEY = rsa.generate_private_key(65_537, 2_048)
OTHER_RSA_KEY = rsa.generate_private_key(65_537, 2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jwk(key: PrivateKey, kid: str = "", **more: str) -> dict[str, str]:
    """The public key as RFC 7518 section 6 writes it."""
    if isinstance(key, rsa.RSAPrivateKey):
        of_rsa = key.public_key().public_numbers()
        parts = {"kty": "RSA", "n": number(of_rsa.n), "e": number(of_rsa.e)}
    else:
        of_ec = key.public_key().public_numbers()
        x, y = (base64url(value.to_bytes(32, "big")) for value in (of_ec.x, of_ec.y))
        parts = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    return parts | ({"kid": kid} if kid else {}) | more


def jwks(*keys: Mapping[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def sign(key: PrivateKey, text: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    r, s = decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def token(claims: Mapping[str, Any], key: PrivateKey = RSA_KEY, **header: Any) -> bytes:
    """RFC 7515 section 3.1. header: beside `alg`."""
    named = {"alg": "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"} | header
    text = f"{base64url(json.dumps(named).encode())}.{base64url(json.dumps(claims).encode())}"
    return f"{text}.{base64url(sign(key, text.encode()))}".encode()
