"""Failed logins: how many an address and a user name may have before nothing is looked at any more.

Place in the walk: asked before a password is hashed or a token is checked, told how that ended. A client that has
logged in from its address before has a budget of its own there, so that neither its neighbours behind one address nor
strangers who try its name can lock it out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from ipaddress import ip_address

__all__ = ["AttemptLimits", "Attempts", "address_of"]

_MAX_NAME = 256
"""Characters of a user name that count: longer ones are nobody's."""


@dataclass(slots=True, frozen=True)
class AttemptLimits:
    """Failures at once, and seconds until one more is allowed; of an address and of a user name. max_keys: of a table;
    the ones that failed longest ago are forgotten first."""

    per_address: int = 60
    address_refill_s: float = 1.0
    per_user: int = 10
    user_refill_s: float = 30.0
    max_keys: int = 65_536


class Attempts:
    """Token buckets of failures. clock: seconds, rising. user: empty where none is claimed."""

    __slots__ = ("_addresses", "_familiar", "_users")

    def __init__(self, limits: AttemptLimits, clock: Callable[[], float]) -> None:
        keys = limits.max_keys
        self._addresses = _Buckets(limits.per_address, limits.address_refill_s, keys, clock)
        self._users = _Buckets(limits.per_user, limits.user_refill_s, keys, clock)
        self._familiar = _Buckets(limits.per_user, limits.user_refill_s, keys, clock)

    def allowed(self, address: str, user: str) -> bool:
        """Whether this attempt may be looked at."""
        user = user[:_MAX_NAME]
        if (address, user) in self._familiar:
            return self._familiar.has((address, user))
        return self._addresses.has(address) and (not user or self._users.has(user))

    def failed(self, address: str, user: str) -> None:
        user = user[:_MAX_NAME]
        if (address, user) in self._familiar:
            self._familiar.take((address, user))
            return
        self._addresses.take(address)
        if user:
            self._users.take(user)

    def succeeded(self, address: str, user: str) -> None:
        if user:
            self._familiar.add((address, user[:_MAX_NAME]))


class _Buckets:
    """Tokens by key: `size` at most, one more every `refill_s`. A key that is not there has all of them."""

    __slots__ = ("_clock", "_levels", "_max_keys", "_refill_s", "_size")

    def __init__(self, size: int, refill_s: float, max_keys: int, clock: Callable[[], float]) -> None:
        self._size = size
        self._refill_s = refill_s
        self._max_keys = max_keys
        self._clock = clock
        self._levels: dict[Hashable, tuple[float, float]] = {}  # tokens, as of when; the latest change stands last

    def __contains__(self, key: Hashable) -> bool:
        return key in self._levels

    def has(self, key: Hashable) -> bool:
        return self._level(key) >= 1.0

    def take(self, key: Hashable) -> None:
        self._put(key, max(0.0, self._level(key) - 1.0))

    def add(self, key: Hashable) -> None:
        """Makes the key known, with the tokens that it has."""
        self._put(key, self._level(key))

    def _level(self, key: Hashable) -> float:
        level = self._levels.get(key)
        if level is None:
            return self._size
        tokens, since = level
        return min(self._size, tokens + (self._clock() - since) / self._refill_s)

    def _put(self, key: Hashable, tokens: float) -> None:
        self._levels.pop(key, None)
        while len(self._levels) >= self._max_keys:
            del self._levels[next(iter(self._levels))]
        self._levels[key] = (tokens, self._clock())


def address_of(peer: str) -> str:
    """Whom the attempts of a peer (`address:port`, `[address]:port`) are counted to: its address; of IPv6 the network
    of 64 bits that one customer has."""
    text = peer.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return text or peer
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return address.exploded[:19] + "::/64"
