from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import Type, hash_secret, verify_secret

from gateway.access import credentials
from gateway.access.credentials import MAX_PASSWORD_BYTES, PasswordCheck, PasswordLimits, Verdict, hash_password
from gateway.domain.password_hash import hash_cost, hash_problem

# From the tests of the argon2 reference implementation: password `password`, salt `somesalt`.
REFERENCE = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
CHEAP = hash_secret(b"other", b"saltsalt", 1, 8, 1, 32, Type.ID).decode()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Hashes:
    """Counts what is really hashed, and against what."""

    def __init__(self) -> None:
        self.hashed: list[str] = []

    def __call__(self, hashed: str, password: bytes) -> bool:
        self.hashed.append(hashed)
        try:
            return verify_secret(hashed.encode(), password, Type.ID)
        except VerifyMismatchError:
            return False


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def check(clock: Clock) -> Iterator[PasswordCheck]:
    made = PasswordCheck(PasswordLimits(threads=1, max_waiting=2, max_kept=3), clock, [hash_cost(REFERENCE)])
    yield made
    made.close()


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Hashes:
    seen = Hashes()
    monkeypatch.setattr(credentials, "_is_right", seen)
    return seen


async def ask(check: PasswordCheck, password: bytes, hashed: str = REFERENCE, user: str = "/dev") -> Verdict:
    answered: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    assert check.check(user, password, hashed, lambda: True, answered.set_result)
    return await asyncio.wait_for(answered, 30)


async def test_the_reference_vector_is_right_and_nothing_else(check: PasswordCheck) -> None:
    assert await ask(check, b"password") is Verdict.RIGHT
    for wrong in (b"Password", b"passwor", b"password\0", b"", b"\xff"):
        assert await ask(check, wrong) is Verdict.WRONG


async def test_a_right_answer_is_remembered_for_a_while(check: PasswordCheck, clock: Clock, hashes: Hashes) -> None:
    assert await ask(check, b"password") is Verdict.RIGHT
    clock.now = 299.0
    assert await ask(check, b"password") is Verdict.RIGHT
    assert len(hashes.hashed) == 1
    clock.now = 301.0
    assert await ask(check, b"password") is Verdict.RIGHT
    assert len(hashes.hashed) == 2


async def test_what_is_remembered_is_of_this_user_password_and_hash(check: PasswordCheck, hashes: Hashes) -> None:
    assert await ask(check, b"password") is Verdict.RIGHT
    assert await ask(check, b"passwor", user="/devd") is Verdict.WRONG
    assert await ask(check, b"password", user="acme/dev") is Verdict.RIGHT  # hashed: another user
    assert await ask(check, b"password", CHEAP) is Verdict.WRONG  # its password was changed meanwhile
    assert await ask(check, b"password", "") is Verdict.WRONG  # it is gone from the directory
    assert len(hashes.hashed) == 5


async def test_a_wrong_answer_is_not_remembered(check: PasswordCheck, hashes: Hashes) -> None:
    for _ in range(3):
        assert await ask(check, b"wrong") is Verdict.WRONG
    assert len(hashes.hashed) == 3


async def test_so_many_right_answers_are_remembered(check: PasswordCheck, hashes: Hashes) -> None:
    for number in range(5):
        await ask(check, b"password", user=f"/{number}")
    del hashes.hashed[:]
    await ask(check, b"password", user="/4")
    assert not hashes.hashed
    await ask(check, b"password", user="/0")
    assert len(hashes.hashed) == 1


async def test_an_unknown_user_costs_as_much_as_a_known_one(clock: Clock, hashes: Hashes) -> None:
    costs = [hash_cost(REFERENCE), hash_cost(CHEAP)]
    check = PasswordCheck(PasswordLimits(), clock, costs)
    for number in range(40):
        for _ in range(2):  # and the same one each time
            assert await ask(check, b"password", "", f"/nobody-{number}") is Verdict.WRONG
    check.close()
    decoys = hashes.hashed
    assert {hash_cost(decoy) for decoy in decoys} == set(costs)
    assert decoys[::2] == decoys[1::2]
    assert not any(hash_problem(decoy) for decoy in decoys)


async def test_without_any_credential_an_attempt_still_costs_something(clock: Clock, hashes: Hashes) -> None:
    check = PasswordCheck(PasswordLimits(), clock)
    assert await ask(check, b"password", "") is Verdict.WRONG
    check.close()
    assert hash_cost(hashes.hashed[0]) == hash_cost(hash_password(b"x"))


async def test_too_many_waiting_is_busy_and_the_others_are_answered(check: PasswordCheck) -> None:
    verdicts: list[Verdict] = []
    three = asyncio.Event()

    def answer(verdict: Verdict) -> None:
        verdicts.append(verdict)
        if len(verdicts) == 3:
            three.set()

    taken = [check.check("/dev", b"password", REFERENCE, lambda: True, answer) for _ in range(6)]
    assert taken == [True, True, True, False, False, False]  # one is looked at, two wait
    await asyncio.wait_for(three.wait(), 30)
    assert verdicts == [Verdict.RIGHT] * 3
    assert await ask(check, b"wrong") is Verdict.WRONG


async def test_one_whose_turn_comes_too_late_is_not_looked_at(check: PasswordCheck, hashes: Hashes) -> None:
    allowed = [True, False]
    verdicts: list[Verdict] = []
    for _ in range(2):
        check.check("/dev", b"wrong", REFERENCE, lambda: allowed.pop(0), verdicts.append)
    assert await ask(check, b"password") is Verdict.RIGHT
    assert verdicts == [Verdict.WRONG, Verdict.NOT_LOOKED_AT]
    assert len(hashes.hashed) == 2


async def test_a_password_beyond_the_limit_is_wrong(check: PasswordCheck) -> None:
    longest = b"x" * MAX_PASSWORD_BYTES
    hashed = hash_secret(longest, b"saltsalt", 1, 8, 1, 32, Type.ID).decode()
    assert await ask(check, longest, hashed) is Verdict.RIGHT
    longer = longest + b"x"
    hashed = hash_secret(longer, b"saltsalt", 1, 8, 1, 32, Type.ID).decode()
    assert await ask(check, longer, hashed) is Verdict.WRONG


async def test_a_hash_that_cannot_be_read_is_wrong(check: PasswordCheck) -> None:
    assert await ask(check, b"password", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65") is Verdict.WRONG


async def test_closing_answers_nobody_and_leaves_nothing_behind(clock: Clock) -> None:
    check = PasswordCheck(PasswordLimits(threads=1), clock)
    verdicts: list[Verdict] = []
    for _ in range(3):
        check.check("/dev", b"password", REFERENCE, lambda: True, verdicts.append)
    check.close()
    await asyncio.sleep(0)
    assert len(verdicts) <= 1


def test_a_made_hash_can_be_used_and_is_salted() -> None:
    one, other = hash_password("pässwort".encode()), hash_password("pässwort".encode())
    assert one != other
    assert hash_problem(one) == hash_problem(other) == ""
    assert verify_secret(one.encode(), "pässwort".encode(), Type.ID)
