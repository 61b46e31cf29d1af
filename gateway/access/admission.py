"""Admission: may this device send here?

Place in the walk: asked once per login, never per frame. The answer is the Device as the directory knows it, or the
reason of the refusal.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from decoders.types import Identity
from gateway.domain.device import Device, DeviceKey
from gateway.domain.errors import RefuseReason
from gateway.domain.ports import DirectoryPort

__all__ = ["Admission", "Provisioning"]


class Provisioning(StrEnum):
    """What an unknown device, one that the directory does not list, may do.

    allow_new: it is admitted by its own word. known: it is refused (`unknown_device`) until it is in the directory,
    which operators and, where there is one, a device's own hub may still extend. closed: it is refused
    (`provisioning_closed`), and nothing that arrives over a face adds to the directory either: only the operator does.
    """

    ALLOW_NEW = "allow_new"
    KNOWN = "known"
    CLOSED = "closed"


_REFUSED = {
    Provisioning.KNOWN: RefuseReason.UNKNOWN_DEVICE,
    Provisioning.CLOSED: RefuseReason.PROVISIONING_CLOSED,
}


class Admission:
    """Decides by directory and `provisioning`."""

    __slots__ = ("_directory", "_provisioning")

    def __init__(self, directory: DirectoryPort, provisioning: Provisioning) -> None:
        self._directory = directory
        self._provisioning = provisioning

    def admit(
        self, identity: Identity, product: str, tenant: str, certified: str | None = None
    ) -> Device | RefuseReason:
        """identity: who the login says it is; a hub's id goes before a device's, since the hub holds the connection.
        certified: whom a client certificate names, "" for nobody; None: nothing was proven by one. It speaks for that
        device, and for those that the directory has behind it.

        Refusals: `not_identified` (an id that cannot name a lane: empty, too long or unprintable),
        `certificate_names_nobody`, `certificate_differs`, `unknown_device`, `provisioning_closed`, `wrong_product`
        (the directory says it is another product).
        """
        name = identity.hub_id or identity.device_id
        key = DeviceKey(tenant, name)
        if not key.names_lane:
            return RefuseReason.NOT_IDENTIFIED
        device = self._directory.find(key)
        if certified is not None:
            if not certified:
                return RefuseReason.CERTIFICATE_NAMES_NOBODY
            if certified not in (name, device.hub_id if device is not None else ""):
                return RefuseReason.CERTIFICATE_DIFFERS
        if device is None:
            if self._provisioning is not Provisioning.ALLOW_NEW:
                return _REFUSED[self._provisioning]
            return Device(key, product=product, hub_id=identity.hub_id, known=False)
        if product and device.product not in ("", product):
            return RefuseReason.WRONG_PRODUCT
        if identity.hub_id and not device.hub_id:
            return replace(device, hub_id=name)  # it speaks as a hub, of which the directory says nothing
        return device
