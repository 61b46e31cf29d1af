from __future__ import annotations

import pytest

from gateway.domain.password_hash import hash_cost, hash_problem

# From the tests of the argon2 reference implementation: password `password`, salt `somesalt`.
REFERENCE = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"


def test_a_hash_is_taken_and_says_its_cost() -> None:
    assert hash_problem(REFERENCE) == ""
    assert hash_cost(REFERENCE) == "$argon2id$v=19$m=256,t=2,p=1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "plain password"),
        ("letmein", "plain password"),
        ("$2b$12$abcdefghijklmnopqrstuv", "plain password"),
        (REFERENCE.replace("argon2id", "argon2i"), "argon2id hash of version 19"),
        (REFERENCE.replace("v=19", "v=16"), "argon2id hash of version 19"),
        (REFERENCE[:-40], "complete"),
        (REFERENCE + "\n", "complete"),
        ("$argon2id$v=19$m=256", "in quotes"),
        (REFERENCE.replace("m=256", "m=262145"), "out of bounds"),
        (REFERENCE.replace("m=256", "m=7"), "out of bounds"),
        (REFERENCE.replace("t=2", "t=65"), "out of bounds"),
        (REFERENCE.replace("t=2", "t=0"), "out of bounds"),
        (REFERENCE.replace("p=1", "p=17"), "out of bounds"),
    ],
)
def test_what_is_no_hash_is_refused_with_what_to_do(text: str, words: str) -> None:
    problem = hash_problem(text)
    assert words in problem
    assert "`iotlink devices password`" in problem
    assert not text or text not in problem
