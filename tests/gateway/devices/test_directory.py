from __future__ import annotations

import pytest

from decoders.errors import SpecError
from gateway.devices.directory import FileDirectory, zone_seconds
from gateway.domain.device import Device, DeviceKey, DeviceSecrets

HASH = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$H2LgOkO2w5ATWKtPDX3qkjPjFeFpUqrJCpWRnTVeD1g"
OTHER = HASH.replace("m=64", "m=32")


def read(text: str) -> FileDirectory:
    return FileDirectory.from_text(text, "devices.yaml")


def problems(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def test_an_entry_says_everything_about_a_device() -> None:
    directory = read(
        f"""
- id: "0123456789"
  product: concox_gt06
  variant: v2
  tenant: acme
  hub: hub-1
  zone: "+08:00"
  credential: "{HASH}"
  hmac_secret: secret
  tags: {{room: kitchen}}
"""
    )
    assert directory.find(DeviceKey("acme", "0123456789")) == Device(
        DeviceKey("acme", "0123456789"),
        product="concox_gt06",
        variant="v2",
        hub_id="hub-1",
        zone_s=28_800,
        tags={"room": "kitchen"},
    )
    assert directory.find(DeviceKey("", "0123456789")) is None


def test_children_stand_behind_their_hub_whichever_side_says_so() -> None:
    directory = read(
        """
- {id: hub, zone: "-05:30", children: [named, listed], tags: {floor: one}}
- {id: listed, zone: UTC, product: p}
- {id: said, hub: hub}
"""
    )

    def find(name: str) -> Device | None:
        return directory.find(DeviceKey("", name))

    assert find("hub") == Device(DeviceKey("", "hub"), hub_id="hub", zone_s=-19_800, tags={"floor": "one"})
    assert find("named") == Device(DeviceKey("", "named"), hub_id="hub", zone_s=-19_800)
    assert find("listed") == Device(DeviceKey("", "listed"), product="p", hub_id="hub", zone_s=0)
    assert find("said") == Device(DeviceKey("", "said"), hub_id="hub")
    assert len(directory) == 4


@pytest.mark.parametrize("text", ["", "[]", "# nothing yet\n"])
def test_an_empty_file_is_an_empty_directory(text: str) -> None:
    assert len(read(text)) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- {id: a}\n- {id: b}\n- {id: a}", ["devices.yaml:3:8", "'a' is listed already in line 1"]),
        ("- {id: 123456789012345}", ["devices.yaml:1:8", "expected text", "quotes"]),
        ('- {id: ""}', ["devices.yaml:1:8"]),
        ('- {id: "a\\nb"}', ["devices.yaml:1:8", "printable"]),
        ("- {id: a, zone: Asia/Seoul}", ["devices.yaml:1:17", "fixed offset", "Asia/Seoul"]),
        ('- {id: a, zone: "+24:00"}', ["devices.yaml:1:17", "fixed offset"]),
        ("- {id: a, produkt: p}", ["devices.yaml:1:11", "produkt", "`product`"]),
        ("- {product: p}", ["devices.yaml:1:3", "id"]),
        ("id: a", ["devices.yaml:1:1", "expected a list"]),
        ("- {id: a, tags: {room: 1}}", ["devices.yaml:1:24", "expected text"]),
        ("- {id: a, children: [c]}\n- {id: b, children: [c]}", ["devices.yaml:2:22", "child of 'a' already"]),
        ("- {id: a, children: [a]}", ["devices.yaml:1:22", "its own child"]),
        ("- {id: a, hub: b, children: [c]}", ["devices.yaml:1:16", "hub itself"]),
        ("- {id: a, children: [c]}\n- {id: c, hub: b}", ["devices.yaml:2:16", "lists 'c' as its child"]),
        ("- {id: a", ["devices.yaml:2:1", "not YAML"]),
    ],
)
def test_a_problem_names_its_place(text: str, expected: list[str]) -> None:
    (problem,) = problems(text)
    for part in expected:
        assert part in problem


def test_a_secret_is_not_shown_in_a_problem() -> None:
    (problem,) = problems("- {id: a, credential: 48879}")
    assert "48879" not in problem


def test_a_password_in_plain_text_is_refused_with_what_to_do() -> None:
    (problem,) = problems("- {id: a}\n- {id: b, credential: letmein}")
    assert problem.startswith("devices.yaml:2:23: ")
    assert "plain password" in problem
    assert "iotlink devices password" in problem
    assert "letmein" not in problem


def test_secrets_stay_with_the_directory_and_are_never_shown() -> None:
    directory = read(
        f"""
- {{id: a, credential: "{HASH}", hmac_secret: sign-me}}
- {{id: b, tenant: acme, credential: "{OTHER}"}}
- {{id: c, hmac_secret: "비밀", children: [d]}}
- {{id: e, credential: "{HASH}"}}
"""
    )
    a, b, c, d = (DeviceKey(tenant, name) for tenant, name in (("", "a"), ("acme", "b"), ("", "c"), ("", "d")))
    assert directory.secrets(a) == DeviceSecrets(HASH, b"sign-me")
    assert directory.secrets(b) == DeviceSecrets(OTHER)
    assert directory.secrets(c) == DeviceSecrets("", "비밀".encode())
    assert directory.secrets(d) == directory.secrets(DeviceKey("", "b")) == DeviceSecrets()
    assert directory.signs
    assert not read(f'- {{id: a, credential: "{HASH}"}}').signs
    assert directory.costs == ["$argon2id$v=19$m=32,t=1,p=1", "$argon2id$v=19$m=64,t=1,p=1"]
    shown = f"{directory!r} {directory.find(a)!r} {directory.secrets(a)!r} {directory.secrets(a)}"
    assert "argon2" not in shown
    assert "sign-me" not in shown


def test_all_problems_are_told_at_once() -> None:
    assert len(problems("- {id: 1}\n- {id: b, zone: x}\n- {id: c, color: red}")) == 3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("UTC", 0), ("Z", 0), ("+00:00", 0), ("+09:00", 32_400), ("-03:30", -12_600), ("+14:00", 50_400)],
)
def test_zones_are_fixed_offsets(text: str, seconds: int) -> None:
    assert zone_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "9", "+9:00", "+0900", "KST", "+09:60", "+09:00 "])
def test_what_is_no_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="fixed offset"):
        zone_seconds(text)


def test_hubs_add_devices_that_the_file_does_not_list() -> None:
    listed = Device(DeviceKey("", "listed"), hub_id="h1")
    directory = FileDirectory([listed], max_learned=2)
    new = Device(DeviceKey("", "c1"), hub_id="h1")
    assert not directory.learn(Device(listed.key, hub_id="h2"))
    assert directory.find(listed.key) is listed
    assert directory.learn(new)
    assert directory.find(new.key) is new
    assert not directory.learn(Device(new.key, hub_id="h1"))
    assert not directory.learn(Device(new.key, hub_id="h2"))
    assert directory.learn(Device(new.key, hub_id="h1", product="p"))
    assert directory.learn(Device(DeviceKey("", "c2"), hub_id="h1"))
    assert not directory.learn(Device(DeviceKey("", "c3"), hub_id="h1"))
    assert (directory.learned, directory.generation) == (2, 3)
