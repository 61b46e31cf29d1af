"""Signed requests: HMAC-SHA256 over time and body, for senders that hold a secret and push (webhooks, old systems).

Place in the walk: REST access begins a check with the headers, the route feeds it the body as it came over the wire
(before decompression), and the end of the body decides. Method and path are not signed, so that a signature never
allows more than sending data.

`X-Client-Id: <id>`, `X-Timestamp: <Unix seconds>`, `X-Signature: sha256=<hex>`, where hex is the HMAC-SHA256 of
`<timestamp>.<body>`; a signature counts once, within 300 seconds. `mode: body` is for senders that sign the body alone:
what is recorded of them can be sent again by anybody at any time. A client that changes its mode needs a new secret,
else what it signed in one mode might be used in the other.
"""

from __future__ import annotations

import hmac
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b

from gateway.access.rest_denials import DenyReason, RestDenial

__all__ = ["RequestSignatures", "SignatureMode", "SignatureOptions", "SignedBody", "SigningSecrets", "signing_warnings"]

MAX_SECRETS = 2
SHORT_SECRET_BYTES = 16

_SIGNATURE = re.compile(r"sha256=([0-9a-fA-F]{64})")
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,11}")
_KEY_BYTES = 16


class SignatureMode(StrEnum):
    """timestamped: over `timestamp.body`. body: over the body alone, replayable."""

    TIMESTAMPED = "timestamped"
    BODY = "body"


@dataclass(slots=True, frozen=True)
class SigningSecrets:
    """What a client signs with. secrets: one, or two while it changes from one to the other; neither may be empty
    (ValueError)."""

    secrets: tuple[bytes, ...] = field(repr=False)
    mode: SignatureMode = SignatureMode.TIMESTAMPED

    def __post_init__(self) -> None:
        if not 1 <= len(self.secrets) <= MAX_SECRETS or not all(self.secrets):
            raise ValueError(f"1 to {MAX_SECRETS} secrets are expected, none of them empty")


@dataclass(slots=True, frozen=True)
class SignatureOptions:
    """window_s: by how much a timestamp may differ from the time here. max_remembered, max_of_client: signatures that
    are remembered at once, about 300 bytes each: what a client may send within two windows."""

    window_s: int = 300
    max_remembered: int = 200_000
    max_of_client: int = 100_000


def signing_warnings(client_id: str, signing: SigningSecrets) -> list[str]:
    """What an operator should know about it at the start."""
    warnings = []
    if signing.mode is SignatureMode.BODY:
        warnings.append(
            f"the client `{client_id}` signs the body alone (mode: body): whoever records a request can send it again"
        )
    if any(len(secret) < SHORT_SECRET_BYTES for secret in signing.secrets):
        warnings.append(f"a secret of the client `{client_id}` is shorter than {SHORT_SECRET_BYTES} bytes: use more")
    return warnings


class RequestSignatures:
    """Checks signatures of all clients. unix_s: wall time. clock: seconds, rising."""

    __slots__ = ("_memory", "_nobody", "_options", "_unix_s")

    def __init__(self, options: SignatureOptions, unix_s: Callable[[], float], clock: Callable[[], float]) -> None:
        self._options = options
        self._unix_s = unix_s
        # A timestamp may lie a window ahead and counts until a window later. The steady clock keeps that span whatever
        # happens to the wall clock.
        keep_s = 2 * options.window_s + 1
        self._memory = _Memory(keep_s, options.max_remembered, options.max_of_client, clock)
        self._nobody = SigningSecrets((os.urandom(32),))

    def begin(
        self, client_id: str, signing: SigningSecrets | None, timestamp: str, signature: str
    ) -> SignedBody | RestDenial:
        """signing: of that client; None where there is none, which ends like a wrong signature. timestamp, signature:
        the headers, "" where they are missing. A denial here does not need the body."""
        secrets = signing if signing is not None else self._nobody
        claimed = _SIGNATURE.fullmatch(signature)
        if claimed is None:
            return RestDenial(DenyReason.SIGNATURE_MALFORMED)
        moment: int | None = None
        prefix = b""
        if secrets.mode is SignatureMode.TIMESTAMPED:
            if _TIMESTAMP.fullmatch(timestamp) is None:
                return RestDenial(DenyReason.SIGNATURE_MALFORMED)
            moment = int(timestamp)
            if not self.in_time(moment):
                return RestDenial(DenyReason.SIGNATURE_STALE)
            prefix = timestamp.encode() + b"."
        made = [hmac.new(secret, prefix, "sha256") for secret in secrets.secrets]
        return SignedBody(self, client_id, made, bytes.fromhex(claimed[1]), moment, known=signing is not None)

    def in_time(self, moment: int) -> bool:
        return abs(self._unix_s() - moment) <= self._options.window_s

    def remember(self, client_id: str, key: bytes) -> RestDenial | None:
        """None: this signature comes for the first time."""
        match self._memory.add(client_id, key):
            case _Added.NEW:
                return None
            case _Added.AGAIN:
                return RestDenial(DenyReason.SIGNATURE_REPLAYED)
            case _Added.FULL:
                # Forgetting one would let it in again: new ones wait until an old one is over.
                return RestDenial(DenyReason.SIGNATURE_MEMORY_FULL, self._memory.full_for_s())

    def forget(self, key: bytes) -> None:
        self._memory.remove(key)


class SignedBody:
    """The check of one request: `update` with every piece of the body as it comes, then `finish`, once."""

    __slots__ = ("_claimed", "_client_id", "_key", "_known", "_made", "_moment", "_signatures")

    def __init__(
        self,
        signatures: RequestSignatures,
        client_id: str,
        made: list[hmac.HMAC],
        claimed: bytes,
        moment: int | None,
        *,
        known: bool,
    ) -> None:
        self._signatures = signatures
        self._client_id = client_id
        self._made = made
        self._claimed = claimed
        self._moment = moment
        self._known = known
        self._key = b""

    def update(self, piece: bytes | bytearray | memoryview) -> None:
        for made in self._made:
            made.update(piece)

    def finish(self) -> RestDenial | None:
        """None: the body is the client's, and came for the first time."""
        right = False
        for made in self._made:  # all of them, whichever is right
            right |= hmac.compare_digest(made.digest(), self._claimed)
        if not self._known:
            return RestDenial(DenyReason.SIGNATURE_UNKNOWN_CLIENT)
        if not right:
            return RestDenial(DenyReason.SIGNATURE_WRONG)
        if self._moment is None:
            return None
        # Again, since a body may take its time: one that was held back until the memory forgot it must not pass.
        if not self._signatures.in_time(self._moment):
            return RestDenial(DenyReason.SIGNATURE_STALE)
        key = blake2b(self._claimed + self._client_id.encode(), digest_size=_KEY_BYTES).digest()
        denial = self._signatures.remember(self._client_id, key)
        if denial is None:
            self._key = key
        return denial

    def release(self) -> None:
        """Nothing of the request was kept (429, 503): the sender may send it again as it is."""
        if self._key:
            self._signatures.forget(self._key)
            self._key = b""


class _Added(StrEnum):
    NEW = "new"
    AGAIN = "again"
    FULL = "full"


class _Memory:
    """Keys of signatures for a fixed span after they came, the oldest first."""

    __slots__ = ("_by_client", "_clock", "_entries", "_keep_s", "_max", "_max_of_client")

    def __init__(self, keep_s: float, max_entries: int, max_of_client: int, clock: Callable[[], float]) -> None:
        self._keep_s = keep_s
        self._max = max_entries
        self._max_of_client = max_of_client
        self._clock = clock
        self._entries: dict[bytes, tuple[float, str]] = {}  # until when, whose
        self._by_client: dict[str, int] = {}

    def add(self, client_id: str, key: bytes) -> _Added:
        now = self._clock()
        while self._entries:
            oldest = next(iter(self._entries))
            if self._entries[oldest][0] > now:
                break
            self.remove(oldest)
        if key in self._entries:
            return _Added.AGAIN
        count = self._by_client.get(client_id, 0)
        if len(self._entries) >= self._max or count >= self._max_of_client:
            return _Added.FULL
        self._entries[key] = (now + self._keep_s, client_id)
        self._by_client[client_id] = count + 1
        return _Added.NEW

    def remove(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        count = self._by_client[entry[1]] - 1
        if count:
            self._by_client[entry[1]] = count
        else:
            del self._by_client[entry[1]]

    def full_for_s(self) -> int:
        """Seconds until the oldest entry of all goes."""
        until = next(iter(self._entries.values()))[0]
        return max(1, math.ceil(until - self._clock()))
