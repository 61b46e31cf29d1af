"""How many connections a listener takes, in all and from one address."""

from __future__ import annotations

__all__ = ["ConnectionLimits"]


class ConnectionLimits:
    """Counts connections of one listener. A limit of 0 is off.

    `enter` and `leave` count every connection; `enter_address` and `leave_address` follow once it is clear who is
    at the other end (behind a load balancer: after the PROXY header).
    """

    __slots__ = ("_by_address", "_max_connections", "_max_per_address", "open")

    def __init__(self, max_connections: int, max_per_address: int) -> None:
        self._max_connections = max_connections
        self._max_per_address = max_per_address
        self._by_address: dict[str, int] = {}
        self.open = 0

    def enter(self) -> bool:
        """False: the listener is full, and the connection is not counted."""
        if self._max_connections and self.open >= self._max_connections:
            return False
        self.open += 1
        return True

    def leave(self) -> None:
        self.open -= 1

    def enter_address(self, address: str) -> bool:
        """False: this address has its share already, and the connection is not counted."""
        count = self._by_address.get(address, 0)
        if self._max_per_address and count >= self._max_per_address:
            return False
        self._by_address[address] = count + 1
        return True

    def leave_address(self, address: str) -> None:
        count = self._by_address[address] - 1
        if count:
            self._by_address[address] = count
        else:
            del self._by_address[address]

    def count(self, address: str) -> int:
        """Connections open from this address."""
        return self._by_address.get(address, 0)
