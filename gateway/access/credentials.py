"""Passwords: argon2id, in a few threads, with what was right remembered for a short time.

Place in the walk: MQTT access hands in a password and the hash to check it against, or "" where there is none: that
takes as long, so that the time of an answer does not tell which users there are.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error
from argon2.low_level import Type, verify_secret

__all__ = ["MAX_PASSWORD_BYTES", "PasswordCheck", "PasswordLimits", "Verdict", "hash_password"]

MAX_PASSWORD_BYTES = 1_024

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""The cheapest that OWASP recommends: about 20 ms and 19 MiB each, since a whole fleet may log in at once."""

_OWN_COST = "$argon2id$v=19$m=19456,t=2,p=1"


@dataclass(slots=True, frozen=True)
class PasswordLimits:
    """threads: hashes at a time. max_waiting: for a thread; more is "busy". kept_s: how long a right answer is
    remembered; max_kept: of how many."""

    threads: int = 2
    max_waiting: int = 256
    kept_s: float = 300.0
    max_kept: int = 20_000


class Verdict(Enum):
    RIGHT = "right"
    WRONG = "wrong"
    NOT_LOOKED_AT = "not_looked_at"


@dataclass(slots=True)
class _Job:
    digest: bytes
    hashed: str
    decoy: bool
    password: bytes
    proceed: Callable[[], bool]
    answer: Callable[[Verdict], None]


class PasswordCheck:
    """clock: seconds, rising. Used on the event loop's thread."""

    __slots__ = ("_clock", "_decoys", "_kept", "_key", "_limits", "_running", "_threads", "_waiting")

    def __init__(self, limits: PasswordLimits, clock: Callable[[], float], costs: Sequence[str] = ()) -> None:
        """costs: what the hashes to come cost (`gateway.domain.password_hash.hash_cost`)."""
        self._limits = limits
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._kept: dict[bytes, float] = {}  # until when; the oldest first
        self._decoys = [_decoy(cost) for cost in sorted(set(costs))] or [_decoy(_OWN_COST)]
        self._waiting: deque[_Job] = deque()
        self._running = 0
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="passwords")

    def check(
        self,
        user: str,
        password: bytes,
        hashed: str,
        proceed: Callable[[], bool],
        answer: Callable[[Verdict], None],
    ) -> bool:
        """Calls `answer` once, now or later. False: too many wait, and nothing is called.

        user: with its tenant. hashed: "" for a user that there is not, or that has no password. proceed: asked when it
        is this one's turn; False answers NOT_LOOKED_AT.
        """
        password = password[: MAX_PASSWORD_BYTES + 1]  # a longer one is no password's
        digest = self._digest(user, password, hashed)
        if hashed and self._kept.get(digest, 0.0) > self._clock():
            answer(Verdict.RIGHT)
            return True
        if len(self._waiting) >= self._limits.max_waiting:
            return False
        self._waiting.append(_Job(digest, hashed or self._decoy(user), not hashed, password, proceed, answer))
        self._go_on()
        return True

    def close(self) -> None:
        """Nobody is answered any more."""
        self._waiting.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _digest(self, user: str, password: bytes, hashed: str) -> bytes:
        """Names a right answer. The hash is part of it: a changed one makes what is remembered void."""
        text = b"".join(len(part).to_bytes(4, "big") + part for part in (user.encode(), password, hashed.encode()))
        return hashlib.blake2b(text, digest_size=32, key=self._key).digest()

    def _decoy(self, user: str) -> str:
        """The same one for the same name: an unknown user costs what some known user costs."""
        number = hashlib.blake2b(user.encode(), digest_size=4, key=self._key).digest()
        return self._decoys[int.from_bytes(number, "big") % len(self._decoys)]

    def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and self._running < self._limits.threads:
            job = self._waiting.popleft()
            if not job.proceed():
                job.answer(Verdict.NOT_LOOKED_AT)
                continue
            self._running += 1
            future = loop.run_in_executor(self._threads, _is_right, job.hashed, job.password)
            future.add_done_callback(lambda done, job=job: self._done(job, done))  # type: ignore[misc]

    def _done(self, job: _Job, done: asyncio.Future[bool]) -> None:
        self._running -= 1
        if done.cancelled():
            return
        right = done.result() and not job.decoy
        if right:
            self._keep(job.digest)
        try:
            job.answer(Verdict.RIGHT if right else Verdict.WRONG)
        finally:
            self._go_on()

    def _keep(self, digest: bytes) -> None:
        kept = self._kept
        kept.pop(digest, None)
        while len(kept) >= self._limits.max_kept:
            del kept[next(iter(kept))]
        kept[digest] = self._clock() + self._limits.kept_s


def hash_password(password: bytes) -> str:
    """The argon2id hash to write into `devices_file` or `auth.clients`."""
    return _HASHER.hash(password)


def _is_right(hashed: str, password: bytes) -> bool:
    """In a thread; it leaves the interpreter to the others meanwhile."""
    try:
        return len(password) <= MAX_PASSWORD_BYTES and verify_secret(hashed.encode(), password, Type.ID)
    except Argon2Error:  # it does not match, or it can be no hash after all
        return False


def _decoy(cost: str) -> str:
    """A hash of that cost that no password has."""
    salt, tag = (b64encode(secrets.token_bytes(size)).rstrip(b"=").decode() for size in (16, 32))
    return f"{cost}${salt}${tag}"
