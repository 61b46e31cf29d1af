"""The directory in its file form: what `devices_file` says about devices, read once at the start, and what hubs add.

Place in the walk: asked by admission at each login, and by the shape stage for devices behind a hub.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, SecretStr

from decoders.errors import SpecError, SpecProblem
from decoders.spec.source import Document, load, validate
from gateway.domain.device import Device, DeviceKey, DeviceSecrets
from gateway.domain.password_hash import hash_cost, hash_problem

__all__ = ["DeviceEntry", "FileDirectory"]

MAX_LEARNED = 65_536
"""Devices that hubs may add; one is about 500 bytes."""

_OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):([0-5][0-9])")


def zone_seconds(text: str) -> int:
    """Seconds east of UTC of `UTC`, `+08:00` or `-05:30`.

    Names of places are not taken: their offset depends on the date, and a device's clock rarely follows it.
    """
    if text in ("UTC", "Z"):
        return 0
    found = _OFFSET.fullmatch(text)
    if found is None:
        raise ValueError(f"a fixed offset such as +08:00, or UTC, was expected, not '{text}'")
    seconds = int(found[2]) * 3600 + int(found[3]) * 60
    return -seconds if found[1] == "-" else seconds


def _zone(text: str) -> str:
    zone_seconds(text)
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("an id of printable characters was expected")
    return text


def _hash(secret: SecretStr) -> SecretStr:
    problem = hash_problem(secret.get_secret_value())
    if problem:
        raise ValueError(problem)
    return secret


Id = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_printable)]


class DeviceEntry(BaseModel):
    """One item of `devices_file`.

    Ids are text, in quotes if they look like numbers: `0123` without them is the number 123. `hub` is the id of the
    hub that the device stands behind; `children` lists ids from the hub's side and says the same. `credential` is the
    argon2id hash of its password.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Id
    product: str = ""
    variant: str = ""
    tenant: str = ""
    hub: str = ""
    children: list[Id] = []
    zone: Annotated[str, AfterValidator(_zone)] | None = None
    credential: Annotated[SecretStr, AfterValidator(_hash)] | None = None
    hmac_secret: Annotated[SecretStr, Field(min_length=1)] | None = None
    tags: dict[str, str] = {}


class _DevicesFile(RootModel[list[DeviceEntry]]):
    pass


class FileDirectory:
    """Implements `DirectoryPort`, `SecretsPort` and `LearningDirectory`.

    What the file says never changes; what hubs teach beside it (`learn`) is kept in memory, at most `max_learned`
    devices, until the gateway ends.
    """

    __slots__ = ("_devices", "_learned", "_max_learned", "_secrets", "costs", "generation", "signs")

    def __init__(
        self,
        devices: Iterable[Device] = (),
        secrets: Mapping[DeviceKey, DeviceSecrets] | None = None,
        *,
        max_learned: int = MAX_LEARNED,
    ) -> None:
        self._devices: dict[DeviceKey, Device] = {device.key: device for device in devices}
        self._learned: set[DeviceKey] = set()
        self._max_learned = max_learned
        self._secrets = secrets or {}
        self.generation = 0
        self.costs: Sequence[str] = sorted({hash_cost(of.credential) for of in self._secrets.values() if of.credential})
        self.signs = any(of.hmac_secret for of in self._secrets.values())

    def __len__(self) -> int:
        return len(self._devices)

    @classmethod
    def from_text(cls, text: str, source: str) -> FileDirectory:
        """Reads the YAML list of `devices_file`; an empty file is an empty directory.

        source: the file's name, for problems. Raises SpecError with every problem and its line and column.
        """
        document = load(text, source)
        if document.data is None:
            return cls()
        entries = validate(_DevicesFile, document).root
        return cls(_devices(entries, document), _secrets(entries))

    def find(self, key: DeviceKey) -> Device | None:
        return self._devices.get(key)

    def learn(self, device: Device) -> bool:
        key = device.key
        before = self._devices.get(key)
        if before is not None and (key not in self._learned or before.hub_id != device.hub_id or before == device):
            return False
        if before is None:
            if len(self._learned) >= self._max_learned:
                return False
            self._learned.add(key)
        self._devices[key] = device
        self.generation += 1
        return True

    @property
    def learned(self) -> int:
        """Devices that the file does not list."""
        return len(self._learned)

    def secrets(self, key: DeviceKey) -> DeviceSecrets:
        return self._secrets.get(key, _NO_SECRETS)


_NO_SECRETS = DeviceSecrets()


def _secrets(entries: list[DeviceEntry]) -> dict[DeviceKey, DeviceSecrets]:
    """Of the devices that have any."""
    found = {}
    for entry in entries:
        credential = entry.credential.get_secret_value() if entry.credential is not None else ""
        hmac_secret = entry.hmac_secret.get_secret_value().encode() if entry.hmac_secret is not None else b""
        if credential or hmac_secret:
            found[DeviceKey(entry.tenant, entry.id)] = DeviceSecrets(credential, hmac_secret)
    return found


def _devices(entries: list[DeviceEntry], document: Document) -> list[Device]:
    """One Device per entry, and one per child that has no entry of its own."""
    problems: list[SpecProblem] = []

    def refuse(path: tuple[str | int, ...], message: str) -> None:
        line, column = document.place(path)
        problems.append(SpecProblem(document.source, line, column, document.path_text(path), message))

    places: dict[DeviceKey, tuple[str | int, ...]] = {}
    for index, entry in enumerate(entries):
        key = DeviceKey(entry.tenant, entry.id)
        if key in places:
            first = document.place(places[key])[0]
            refuse((index, "id"), f"the device '{key.lane}' is listed already in line {first}")
        else:
            places[key] = (index, "id")

    hubs: dict[DeviceKey, DeviceEntry] = {}  # by child
    for index, entry in enumerate(entries):
        for position, child in enumerate(entry.children):
            key = DeviceKey(entry.tenant, child)
            hub = hubs.setdefault(key, entry)
            if hub is not entry:
                refuse((index, "children", position), f"'{child}' is a child of '{hub.id}' already")
            elif child == entry.id:
                refuse((index, "children", position), f"'{child}' cannot be its own child")

    devices: list[Device] = []
    for index, entry in enumerate(entries):
        key = DeviceKey(entry.tenant, entry.id)
        parent = hubs.get(key)
        if parent is not None and entry.hub not in ("", parent.id):
            refuse((index, "hub"), f"'{parent.id}' lists '{entry.id}' as its child, and here its hub is '{entry.hub}'")
        if entry.children and entry.hub not in ("", entry.id):
            refuse((index, "hub"), "a device with children is a hub itself and stands behind no other")
        hub_id = entry.hub or (parent.id if parent else "") or (entry.id if entry.children else "")
        zone = entry.zone or (parent.zone if parent else None)
        devices.append(
            Device(
                key,
                product=entry.product,
                variant=entry.variant,
                hub_id=hub_id,
                zone_s=zone_seconds(zone) if zone is not None else None,
                tags=entry.tags,
            )
        )
    for key, parent in hubs.items():
        if key not in places:
            zone_s = zone_seconds(parent.zone) if parent.zone is not None else None
            devices.append(Device(key, hub_id=parent.id, zone_s=zone_s))
    if problems:
        raise SpecError(problems)
    return devices
