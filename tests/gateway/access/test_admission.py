from __future__ import annotations

import pytest

from decoders.types import Identity
from gateway.access.admission import Admission, Provisioning
from gateway.devices.directory import FileDirectory
from gateway.domain.device import Device, DeviceKey
from gateway.domain.errors import RefuseReason

DIRECTORY = FileDirectory.from_text(
    """
- {id: gt-1, product: concox_gt06, zone: "+08:00"}
- {id: any, tags: {room: hall}}
- {id: far, tenant: acme}
""",
    "devices.yaml",
)


def admit(
    name: str,
    *,
    product: str = "concox_gt06",
    tenant: str = "",
    provisioning: Provisioning = Provisioning.KNOWN,
) -> Device | RefuseReason:
    return Admission(DIRECTORY, provisioning).admit(Identity(device_id=name), product, tenant)


@pytest.mark.parametrize("provisioning", Provisioning)
def test_a_listed_device_is_admitted_as_the_directory_knows_it(provisioning: Provisioning) -> None:
    assert admit("gt-1", provisioning=provisioning) == Device(
        DeviceKey("", "gt-1"), product="concox_gt06", zone_s=28_800
    )
    assert admit("any", provisioning=provisioning) == Device(DeviceKey("", "any"), tags={"room": "hall"})
    assert admit("far", tenant="acme", provisioning=provisioning) == Device(DeviceKey("acme", "far"))


@pytest.mark.parametrize(
    ("provisioning", "verdict"),
    [
        (Provisioning.ALLOW_NEW, Device(DeviceKey("", "new"), product="concox_gt06", known=False)),
        (Provisioning.KNOWN, RefuseReason.UNKNOWN_DEVICE),
        (Provisioning.CLOSED, RefuseReason.PROVISIONING_CLOSED),
    ],
)
def test_provisioning_decides_about_the_others(provisioning: Provisioning, verdict: Device | RefuseReason) -> None:
    assert admit("new", provisioning=provisioning) == verdict


@pytest.mark.parametrize("provisioning", Provisioning)
def test_a_device_of_another_product_is_refused(provisioning: Provisioning) -> None:
    assert admit("gt-1", product="jtt_808", provisioning=provisioning) is RefuseReason.WRONG_PRODUCT


def test_tenants_do_not_share_devices() -> None:
    assert admit("gt-1", tenant="acme") is RefuseReason.UNKNOWN_DEVICE
    assert admit("far") is RefuseReason.UNKNOWN_DEVICE


@pytest.mark.parametrize(
    ("name", "tenant", "usable"),
    [
        ("x" * 256, "", True),
        ("x" * 257, "", False),
        ("x" * 251, "acme", True),
        ("x" * 252, "acme", False),
        ("", "", False),
        ("a\nb", "", False),
        ("a\0", "", False),
        ("\ud800", "", False),
        ("기기-1", "", True),
    ],
)
def test_an_id_must_be_able_to_name_a_lane(name: str, tenant: str, usable: bool) -> None:
    verdict = admit(name, tenant=tenant, provisioning=Provisioning.ALLOW_NEW)
    assert (verdict is not RefuseReason.NOT_IDENTIFIED) is usable


def test_a_hub_is_admitted_as_hub() -> None:
    admission = Admission(DIRECTORY, Provisioning.ALLOW_NEW)
    new = admission.admit(Identity(hub_id="h", device_id="d"), "p", "")
    assert new == Device(DeviceKey("", "h"), product="p", hub_id="h", known=False)
    listed = admission.admit(Identity(hub_id="any"), "p", "")
    assert listed == Device(DeviceKey("", "any"), hub_id="any", tags={"room": "hall"})


BEHIND = FileDirectory.from_text("- {id: hub, children: [child]}\n- {id: own, product: concox_gt06}\n", "devices.yaml")


@pytest.mark.parametrize(
    ("certified", "identity", "reason"),
    [
        (None, Identity(device_id="own"), None),
        ("own", Identity(device_id="own"), None),
        ("new", Identity(device_id="new"), None),
        ("hub", Identity(device_id="child"), None),
        ("hub", Identity(hub_id="hub", device_id="anything"), None),
        ("", Identity(device_id="own"), RefuseReason.CERTIFICATE_NAMES_NOBODY),
        ("", Identity(device_id=""), RefuseReason.NOT_IDENTIFIED),
        ("own", Identity(device_id="new"), RefuseReason.CERTIFICATE_DIFFERS),
        ("new", Identity(device_id="own"), RefuseReason.CERTIFICATE_DIFFERS),
        ("child", Identity(device_id="hub"), RefuseReason.CERTIFICATE_DIFFERS),
        ("child", Identity(hub_id="hub", device_id="child"), RefuseReason.CERTIFICATE_DIFFERS),
        ("OWN", Identity(device_id="own"), RefuseReason.CERTIFICATE_DIFFERS),
    ],
)
def test_a_certificate_speaks_for_its_device_and_those_behind_it(
    certified: str | None, identity: Identity, reason: RefuseReason | None
) -> None:
    verdict = Admission(BEHIND, Provisioning.ALLOW_NEW).admit(identity, "concox_gt06", "", certified)
    assert (verdict if isinstance(verdict, RefuseReason) else None) is reason


def test_a_certificate_does_not_make_a_device_known() -> None:
    admission = Admission(BEHIND, Provisioning.KNOWN)
    assert admission.admit(Identity(device_id="new"), "p", "", "new") is RefuseReason.UNKNOWN_DEVICE
    assert admission.admit(Identity(device_id="own"), "p", "", "own") is RefuseReason.WRONG_PRODUCT
