"""Who the data is about, and who proved that they may send it."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_LANE_CHARACTERS = 256
"""A lane's name is the partition key of Kinesis, which takes 1-256 characters."""


@dataclass(slots=True, frozen=True)
class DeviceKey:
    """A device is known by tenant and id; the tenant is empty unless the listener or config gives one."""

    tenant: str
    device_id: str

    @property
    def lane(self) -> str:
        """Name of the device's lane: `tenant/device_id`, or the id alone without a tenant."""
        return f"{self.tenant}/{self.device_id}" if self.tenant else self.device_id

    @property
    def names_lane(self) -> bool:
        """Whether the id can name a lane: there, printable, and not too long together with the tenant."""
        return bool(self.device_id) and self.device_id.isprintable() and len(self.lane) <= MAX_LANE_CHARACTERS


@dataclass(slots=True, frozen=True)
class Device:
    """What the directory says about a device. Empty text: not said."""

    key: DeviceKey
    product: str = ""
    variant: str = ""
    hub_id: str = ""
    zone_s: int | None = None
    """Seconds east of UTC of the device's clock; None: as its spec says."""
    tags: dict[str, str] = field(default_factory=dict)
    known: bool = True
    """False for a device that only its own word introduces."""


@dataclass(slots=True, frozen=True)
class DeviceSecrets:
    """What a device proves itself with. Never shown: not in logs, not in records, not in `repr`.

    credential: argon2id hash of its password (`gateway.domain.password_hash`), "" for none. hmac_secret: that it signs
    its payloads with, b"" for none.
    """

    credential: str = field(default="", repr=False)
    hmac_secret: bytes = field(default=b"", repr=False)


@dataclass(slots=True, frozen=True)
class Principal:
    """Who proved that they may send: `kind` open, certificate, password, key ..., `name` as proven.

    common_name, dns_names, uris: of a certificate, its subject and its alternative names (RFC 5280 section 4.2.1.6);
    `name` is then the first of them all.
    """

    kind: str = "open"
    name: str = ""
    common_name: str = ""
    dns_names: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
