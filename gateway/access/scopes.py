"""Scopes: which calls, products and devices a client of the REST and admin APIs has, and the grant that says so.

Place in the walk: access ends with a `RestGrant`; routes ask it before they do anything, items of a batch are held
against it one by one, and topic messages of a bridge carry it as their Speaker.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from gateway.access.quotas import QuotaLimits
from gateway.domain.device import DeviceKey, Principal
from gateway.domain.ports import DirectoryPort

__all__ = ["Call", "DevicePatterns", "RestGrant", "Scope", "ScopeRefusal"]

_MAX_NAMES = 10_000
_MAX_CHARACTERS = 256
_MAX_TENANT = 128


class Call(StrEnum):
    """What is called. `admin` may also operate and read, `operate` may also read; sending data is a right apart."""

    INGEST = "ingest"
    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"


_INCLUDED = {
    Call.ADMIN: frozenset({Call.ADMIN, Call.OPERATE, Call.READ}),
    Call.OPERATE: frozenset({Call.OPERATE, Call.READ}),
    Call.READ: frozenset({Call.READ}),
    Call.INGEST: frozenset({Call.INGEST}),
}


@lru_cache(maxsize=64)
def _all_of(calls: frozenset[Call]) -> frozenset[Call]:
    """These with what they include."""
    return frozenset().union(*(_INCLUDED[call] for call in calls))


class ScopeRefusal(StrEnum):
    """What of a request or an item is beyond the scope."""

    CALL = "call_not_allowed"
    PRODUCT = "product_not_allowed"
    DEVICE = "device_not_allowed"


class DevicePatterns:
    """Device ids: `truck-17` is one, `truck-*` all that begin with `truck-`, `*` all. Equal if their texts are.

    Raises ValueError for an empty pattern, one of more than 256 characters, a `*` that is not the last character, and
    for more than 10,000 patterns.
    """

    __slots__ = ("_ids", "_prefixes", "texts")

    def __init__(self, patterns: Iterable[str]) -> None:
        self.texts = _names(patterns, "device patterns")
        for text in self.texts:
            if "*" in text[:-1]:
                raise ValueError(f"`{text}`: a `*` stands at the end of a device pattern, or nowhere")
        self._ids = frozenset(text for text in self.texts if not text.endswith("*"))
        self._prefixes = tuple(text[:-1] for text in self.texts if text.endswith("*"))

    def match(self, device_id: str) -> bool:
        return device_id in self._ids or device_id.startswith(self._prefixes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DevicePatterns) and self.texts == other.texts

    def __hash__(self) -> int:
        return hash(self.texts)

    def __repr__(self) -> str:
        return f"DevicePatterns({list(self.texts)!r})"


@dataclass(slots=True, frozen=True)
class Scope:
    """products, devices: None is all of them, an empty set none. tenant: "" is the listener's."""

    calls: frozenset[Call] = frozenset({Call.INGEST})
    products: frozenset[str] | None = None
    devices: DevicePatterns | None = None
    tenant: str = ""

    @classmethod
    def of(
        cls,
        calls: Iterable[str] = (Call.INGEST,),
        products: Iterable[str] | None = None,
        devices: Iterable[str] | None = None,
        tenant: str = "",
    ) -> Scope:
        """From the words of a configuration, a key file or a command line. ValueError says what is wrong with them."""
        known = []
        for word in calls:
            try:
                known.append(Call(word))
            except ValueError:
                raise ValueError(f"there is no scope `{word}`; there are {', '.join(Call)}") from None
        if not known:
            raise ValueError(f"at least one scope is needed: {', '.join(Call)}")
        if len(tenant) > _MAX_TENANT or not tenant.isprintable():
            raise ValueError(f"tenant: at most {_MAX_TENANT} printable characters are expected")
        return cls(
            frozenset(known),
            None if products is None else frozenset(_names(products, "products")),
            None if devices is None else DevicePatterns(devices),
            tenant,
        )

    def as_words(self) -> dict[str, object]:
        """The same as `of` takes it, for key files, lists and audit lines; None is left out."""
        words: dict[str, object] = {"scopes": [call.value for call in Call if call in self.calls]}
        if self.products is not None:
            words["products"] = sorted(self.products)
        if self.devices is not None:
            words["devices"] = list(self.devices.texts)
        if self.tenant:
            words["tenant"] = self.tenant
        return words

    def has_call(self, call: Call) -> bool:
        return call in _all_of(self.calls)

    def has_product(self, product: str) -> bool:
        return self.products is None or product in self.products

    def has_device(self, device_id: str) -> bool:
        return self.devices is None or self.devices.match(device_id)


@dataclass(slots=True, eq=False)
class RestGrant:
    """Who calls, as access has proven, and what it may. A Speaker (`gateway.domain.topic_message`).

    caller: its name for quotas, idempotency keys and audit lines, unique over all kinds of callers: `client:erp`,
    `token:<issuer>:<subject>`, `device:<lane>`, `anonymous:<address>`. client_id: of the configured or issued client,
    or "". device_id: "" unless the caller is a device; it speaks for itself and, as a hub, for its children.
    quota: the caller's own limits; None: those of all.
    """

    principal: Principal
    caller: str
    scope: Scope
    tenant: str = ""
    client_id: str = ""
    device_id: str = ""
    quota: QuotaLimits | None = None
    directory: DirectoryPort | None = field(default=None, repr=False)

    def may_speak_for(self, device_id: str) -> bool:
        """Whether data about this device is taken from it, and shown to it."""
        if not self.scope.has_device(device_id):
            return False
        if not self.device_id or device_id == self.device_id:
            return True
        device = self.directory.find(DeviceKey(self.tenant, device_id)) if self.directory is not None else None
        return device is not None and device.hub_id == self.device_id

    def refusal(self, call: Call, *, product: str | None = None, device_id: str | None = None) -> ScopeRefusal | None:
        """What stands against this call, for this product and device where they are given; None: nothing.

        A caller that has only some products gets nothing of a device whose product nobody knows (`product=""`).
        """
        if not self.scope.has_call(call):
            return ScopeRefusal.CALL
        if product is not None and not self.scope.has_product(product):
            return ScopeRefusal.PRODUCT
        if device_id is not None and not self.may_speak_for(device_id):
            return ScopeRefusal.DEVICE
        return None


def _names(given: Iterable[str], what: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(given))
    if len(names) > _MAX_NAMES:
        raise ValueError(f"at most {_MAX_NAMES} {what} are expected")
    for name in names:
        if not 0 < len(name) <= _MAX_CHARACTERS or not name.isprintable():
            raise ValueError(f"{what}: 1 to {_MAX_CHARACTERS} printable characters are expected")
    return names
