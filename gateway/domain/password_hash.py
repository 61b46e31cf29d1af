"""Password hashes as text: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>` (the PHC string format, RFC 9106).

Place in the walk: `devices_file` and `auth.clients` hold them, access verifies passwords against them. Here is only
what they look like, for those who read configuration.
"""

from __future__ import annotations

import re

__all__ = ["HOW_TO_MAKE_ONE", "hash_cost", "hash_problem"]

HOW_TO_MAKE_ONE = "`iotlink devices password` makes one"

MAX_MEMORY_KIB = 262_144
MAX_PASSES = 64
MAX_LANES = 16
"""Beyond these one attempt would cost the gateway more than a login is worth."""

_HASH = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,3}),p=([0-9]{1,3})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,172}"
)


def hash_problem(text: str) -> str:
    """Why this is no password hash that can be used, without showing it; empty if it is one."""
    found = _HASH.fullmatch(text)
    if found is None:
        if text.startswith("$argon2"):
            return f"an argon2id hash of version 19 was expected, complete and in quotes; {HOW_TO_MAKE_ONE}"
        return f"a plain password is not taken, only its argon2id hash; {HOW_TO_MAKE_ONE}"
    memory_kib, passes, lanes = map(int, found.groups())
    if not (8 * lanes <= memory_kib <= MAX_MEMORY_KIB and 1 <= passes <= MAX_PASSES and 1 <= lanes <= MAX_LANES):
        return (
            f"m={memory_kib},t={passes},p={lanes} is out of bounds: m at most {MAX_MEMORY_KIB} (KiB) and at least "
            f"8 times p, t at most {MAX_PASSES}, p at most {MAX_LANES}; {HOW_TO_MAKE_ONE}"
        )
    return ""


def hash_cost(text: str) -> str:
    """What a valid hash costs, as it stands in front of its salt: `$argon2id$v=19$m=19456,t=2,p=1`."""
    return text.rsplit("$", 2)[0]
