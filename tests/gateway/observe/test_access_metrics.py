from __future__ import annotations

from gateway.access.denials import DenyCode
from gateway.observe.access_metrics import access_families
from tests.gateway.access.access_rig import rig


async def test_denials_are_counted_by_listener_and_code_from_the_start() -> None:
    async with rig() as gate:
        (family,) = access_families(lambda: [gate.access])
        assert {sample.labels["code"] for sample in family.samples} == {code.value for code in DenyCode}
        assert {sample.value for sample in family.samples} == {0}
        await gate.refuse(DenyCode.WRONG_PASSWORD, "dev-1", "wrong")
        (family,) = access_families(lambda: [gate.access])
        counted = [sample for sample in family.samples if sample.value]
        assert [(sample.name, sample.labels, sample.value) for sample in counted] == [
            ("iotlink_mqtt_access_denied_total", {"listener": "mqtt", "code": "wrong_password"}, 1)
        ]
