"""API keys: `iotlink_<client id>_<43 random characters>`, of which only the SHA-256 is kept.

Place in the walk: REST access takes the client's id out of a key, looks the client up and compares. A key holds 256
random bits, so a plain hash is enough (nobody finds one by trying), and a right key is known after microseconds.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable
from hashlib import sha256

__all__ = [
    "CLIENT_ID",
    "KEY_PREFIX",
    "client_id_of",
    "digest_of_hex",
    "hash_api_key",
    "is_one_of",
    "make_api_key",
]

KEY_PREFIX = "iotlink_"
"""Tells a key from a token; scanners for leaked secrets look for it too."""

_RANDOM_BYTES = 32  # 43 characters of base64url
_ID = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?"

CLIENT_ID = re.compile(_ID)
"""Ids of clients that have an API key."""

_KEY = re.compile(rf"{KEY_PREFIX}({_ID})_[A-Za-z0-9_-]{{43}}")
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_NOBODY = secrets.token_bytes(sha256().digest_size)


def make_api_key(client_id: str) -> str:
    """A new key. ValueError: the id cannot stand in one."""
    if not CLIENT_ID.fullmatch(client_id):
        raise ValueError("1 to 128 letters, digits and . _ - are expected, a letter or digit first and last")
    return f"{KEY_PREFIX}{client_id}_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def client_id_of(key: str) -> str:
    """Whose key it says to be; "" for what is no key."""
    found = _KEY.fullmatch(key)
    return found[1] if found is not None else ""


def hash_api_key(key: str) -> bytes:
    """SHA-256 of the whole key as it is sent: `printf %s "$KEY" | sha256sum`. key: of the form above, so ASCII."""
    return sha256(key.encode()).digest()


def digest_of_hex(text: str) -> bytes:
    """The bytes of a hash in hex, as a configuration or key file holds it. ValueError: not 64 hex digits."""
    if not _HASH.fullmatch(text):
        raise ValueError("the SHA-256 of an API key, 64 hex digits, was expected (`iotlink keys create` makes one)")
    return bytes.fromhex(text)


def is_one_of(digest: bytes, known: Iterable[bytes]) -> bool:
    """Whether a hash is among a client's, in a time that does not tell how much of it is right, nor whether the client
    has any."""
    same = False
    for one in (*known, _NOBODY):
        same |= hmac.compare_digest(digest, one)
    return same
