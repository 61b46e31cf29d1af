from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.access.admission import Provisioning
from gateway.access.attempts import AttemptLimits
from gateway.access.certificates import CertificateName, CertificateRule
from gateway.access.client_ids import ClientIdRules
from gateway.access.credentials import PasswordLimits
from gateway.access.denials import DENIALS, DenyCode
from gateway.access.jwks import KeyFetchError
from gateway.access.mqtt import MqttAccess, OtherClient
from gateway.access.topic_rules import AllowList, MqttGrant
from gateway.domain.device import Principal
from gateway.domain.errors import ConfigError
from gateway.protocol.mqtt.packets import V5, V311, ReasonCode
from gateway.protocol.mqtt.ports import Denial
from tests.gateway.access.access_rig import BRIDGE, CLAIMS, ERP, NOW, rig
from tests.gateway.access.tokens import EC_KEY, RSA_KEY, jwk, jwks, token


async def test_a_device_logs_in_with_its_id_and_password() -> None:
    async with rig() as gate:
        grant = await gate.grant("dev-1", "one")
        assert grant.principal == Principal("password", "dev-1")
        assert (grant.tenant, grant.device_id, grant.client_id) == ("", "dev-1", "dev-1")
        assert grant.may_publish("devices/dev-1/telemetry")
        assert not grant.may_publish("devices/dev-2/telemetry")
        assert (await gate.grant("hub-1", "hub")).may_publish("devices/hub-1/child-1/telemetry")


async def test_an_unknown_user_and_a_wrong_password_are_one_answer() -> None:
    async with rig() as gate:
        answers = [
            await gate.refuse(DenyCode.WRONG_PASSWORD, "dev-1", "two", version=version) for version in (V5, V311)
        ] + [
            await gate.refuse(DenyCode.UNKNOWN_USER, "nobody", "one"),
            await gate.refuse(DenyCode.UNKNOWN_USER, "x" * 60_000, "one"),
            await gate.refuse(DenyCode.NO_PASSWORD_SET, "bare", "one"),
            await gate.refuse(DenyCode.NO_PASSWORD_SET, "child-1", "hub"),
            await gate.refuse(DenyCode.NO_PASSWORD_SET, "bridge", "bridge"),
            await gate.refuse(DenyCode.WRONG_PASSWORD, "erp", "one"),
        ]
        assert set(answers) == {Denial(ReasonCode.BAD_USER_NAME_OR_PASSWORD, "wrong user name or password")}


@pytest.mark.parametrize(
    ("user", "password"), [(None, None), ("", ""), ("dev-1", None), ("dev-1", ""), (None, "one"), ("", "one")]
)
async def test_who_does_not_say_who_it_is_is_told_how(user: str | None, password: str | None) -> None:
    async with rig() as gate:
        denial = await gate.refuse(DenyCode.NO_CREDENTIALS, user, password, client_id="dev-1")
        assert denial.reason is ReasonCode.NOT_AUTHORIZED
        assert "user name and password" in denial.detail


async def test_a_tenant_has_its_own_devices() -> None:
    async with rig() as gate:
        acme = MqttAccess(gate.options, gate.services, "acme", "acme")
        assert (await gate.grant("dev-1", "acme", access=acme)).tenant == "acme"
        assert isinstance(await gate.connect("dev-1", "one", access=acme), Denial)
        assert isinstance(await gate.connect("dev-1", "acme"), Denial)


# Client ids


@pytest.mark.parametrize("client_id", ["dev-2", "dev-1 ", "dev-1-x", "DEV-1", "erp", "*", "nobody"])
async def test_no_device_takes_a_client_id_that_is_not_its_own(client_id: str) -> None:
    async with rig() as gate:
        denial = await gate.refuse(DenyCode.CLIENT_ID, "dev-1", "one", client_id)
        assert denial == Denial(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, "the client id must be dev-1")
        assert (await gate.grant("dev-1", "one", "")).client_id == "given-by-us"


async def test_the_rule_for_client_ids_is_a_setting() -> None:
    async with rig(client_ids=ClientIdRules(["{device_id}-*"])) as gate:
        await gate.grant("dev-1", "one", "dev-1-7")
        await gate.grant("erp", "erp", "erp-7")
        for taken in ("dev-1", "dev-1-7-8", "dev-2-7", "dev-7"):
            denial = await gate.refuse(DenyCode.CLIENT_ID, "dev-1", "one", taken, peer=f"{taken}:1")
            assert denial.detail == "the client id must be dev-1-*"


async def test_where_several_rules_fit_a_client_id_is_of_the_one_that_is_listed() -> None:
    rules = ClientIdRules(["{device_id}", "{device_id}-*"])
    async with rig(Provisioning.ALLOW_NEW, client_ids=rules) as gate:
        for name in ("dev-1", "dev-1-7"):
            await gate.grant("dev-1", "one", name)
        await gate.refuse(DenyCode.CLIENT_ID, client_id="dev-1", principal=shown("dev"), peer="a:1")
        await gate.refuse(DenyCode.CLIENT_ID, client_id="dev-1-7", principal=shown("dev-1-7"), peer="b:1")
        await gate.grant(client_id="dev-8", principal=shown("dev-8"))
        denial = await gate.refuse(DenyCode.CLIENT_ID, client_id="dev-8", principal=shown("dev"), peer="c:1")
        assert denial.detail == "the client id must be dev or dev-*"


async def test_another_client_is_bound_to_its_id_too() -> None:
    async with rig() as gate:
        grant = await gate.grant("erp", "erp")
        assert (grant.principal, grant.device_id) == (Principal("password", "erp"), "")
        assert grant.may_publish("devices/dev-1/command")
        assert not grant.may_publish("devices/dev-1/telemetry")
        assert grant.may_subscribe("devices/+/telemetry")
        await gate.refuse(DenyCode.CLIENT_ID, "erp", "erp", "dev-1")


@pytest.mark.parametrize("name", ["a/b", "+"])
async def test_a_hostile_device_id_opens_nothing(name: str) -> None:
    async with rig(devices=AllowList(["plant/{device_id}"], ["plant/{device_id}/#"])) as gate:
        grant = await gate.grant(name, {"a/b": "ab", "+": "plus"}[name])
        for topic in ("plant/a/b", "plant/x", "devices/a/b/telemetry", "devices/x/telemetry"):
            assert not grant.may_publish(topic)
        for topic in ("plant/a/b", "plant/+", "plant/+/x", "devices/+/command", "devices/a/b/command"):
            assert not grant.may_subscribe(topic)


# Attempts


async def test_failed_attempts_end_in_not_being_looked_at() -> None:
    limits = AttemptLimits(per_address=2, per_user=2)
    async with rig(attempts=limits) as gate:
        await gate.refuse(DenyCode.WRONG_PASSWORD, "dev-1", "wrong")
        await gate.refuse(DenyCode.UNKNOWN_USER, "nobody", "wrong")
        denial = await gate.refuse(DenyCode.TOO_MANY_ATTEMPTS, "dev-1", "one")
        assert denial.reason is ReasonCode.QUOTA_EXCEEDED
        denial = await gate.refuse(DenyCode.TOO_MANY_ATTEMPTS, "dev-1", "one", version=V311)
        assert denial.reason is ReasonCode.NOT_AUTHORIZED
        await gate.refuse(DenyCode.TOO_MANY_ATTEMPTS, None, token(CLAIMS, kid="r"), "dev-1")
        await gate.grant("dev-1", "one", peer="192.0.2.8:1")
        gate.clock.now += 1
        await gate.grant("dev-1", "one")


async def test_those_who_wait_are_not_looked_at_either_once_too_many_have_failed() -> None:
    async with rig(attempts=AttemptLimits(per_address=2), passwords=PasswordLimits(threads=1)) as gate:
        verdicts = await asyncio.gather(*(gate.connect("dev-1", f"wrong-{number}") for number in range(6)))
        assert all(isinstance(verdict, Denial) for verdict in verdicts)
        assert gate.access.denied[DenyCode.WRONG_PASSWORD] == 2
        assert gate.access.denied[DenyCode.TOO_MANY_ATTEMPTS] == 4


async def test_success_and_what_comes_after_the_password_cost_no_attempt() -> None:
    async with rig(attempts=AttemptLimits(per_address=1, per_user=1)) as gate:
        for _ in range(5):
            await gate.grant("dev-1", "one")
        for number in range(3):
            await gate.refuse(DenyCode.CLIENT_ID, "dev-1", "one", f"wrong-{number}")
        await gate.grant("dev-2", "two")


async def test_too_many_at_a_time_are_told_to_come_again() -> None:
    async with rig(passwords=PasswordLimits(threads=1, max_waiting=1)) as gate:
        users = ["dev-1", "dev-1", "dev-1"]
        verdicts = await asyncio.gather(*(gate.connect(user, "one") for user in users))
        assert [isinstance(verdict, MqttGrant) for verdict in verdicts] == [True, True, False]
        assert verdicts[2] == Denial(ReasonCode.SERVER_BUSY, DENIALS[DenyCode.BUSY].client)


async def test_a_flood_writes_few_lines() -> None:
    async with rig(attempts=AttemptLimits(per_address=2)) as gate:
        with capture_logs() as logs:
            for number in range(200):
                await gate.connect("dev-1", "wrong", peer=f"192.0.2.{number % 100}:1")
            gate.clock.now += 61
            for _ in range(3):  # the last one is too much again
                await gate.connect("dev-1", "wrong", peer="192.0.2.99:1")
        lines = [line for line in logs if line["event"] == "mqtt_client_denied"]
        assert len(lines) < 70
        assert lines[-1]["suppressed"] > 0


# Tokens


async def test_a_token_as_password() -> None:
    async with rig() as gate:
        for user in (None, "", "dev-1"):
            grant = await gate.grant(user, token(CLAIMS, kid="r"), "dev-1")
            assert (grant.principal, grant.device_id) == (Principal("token", "dev-1"), "dev-1")
        denial = await gate.refuse(DenyCode.USER_NAME_DIFFERS, "dev-2", token(CLAIMS, kid="r"))
        assert "user name" in denial.detail
        await gate.refuse(DenyCode.CLIENT_ID, "dev-1", token(CLAIMS, kid="r"), "dev-2")
        denial = await gate.refuse(DenyCode.TOKEN_EXPIRED, None, token(CLAIMS | {"exp": NOW - 99}, kid="r"), "dev-1")
        assert denial == Denial(ReasonCode.BAD_USER_NAME_OR_PASSWORD, "the token has expired")
        forged = token(CLAIMS, kid="r")[:-6] + b"AAAAAA"
        denial = await gate.refuse(DenyCode.TOKEN_INVALID, None, forged, "dev-1")
        assert denial == await gate.refuse(DenyCode.TOKEN_ISSUER, None, token(CLAIMS | {"iss": "x"}, kid="r"), "dev-1")


async def test_a_new_key_is_asked_for_once_and_then_not_for_a_minute() -> None:
    async with rig() as gate:
        assert await gate.grant(None, token(CLAIMS, kid="r"), "dev-1")  # the first one has the keys fetched
        gate.keys[0] = jwks(jwk(RSA_KEY, "r"), jwk(EC_KEY, "e"))
        await gate.refuse(DenyCode.TOKEN_KEY, None, token(CLAIMS, EC_KEY, kid="e"), "dev-1")
        gate.clock.now += 60
        assert await gate.grant(None, token(CLAIMS, EC_KEY, kid="e"), "dev-1")
        gate.keys[0] = KeyFetchError("gone")
        gate.clock.now += 60
        await gate.refuse(DenyCode.TOKEN_KEY, None, token(CLAIMS, EC_KEY, kid="f"), "dev-1")
        assert await gate.grant(None, token(CLAIMS, EC_KEY, kid="e"), "dev-1")  # the old ones serve on


async def test_an_expired_token_is_no_attempt_and_a_forged_one_is() -> None:
    async with rig(attempts=AttemptLimits(per_address=1)) as gate:
        for number in range(3):
            late = token(CLAIMS | {"exp": NOW - 99 - number}, kid="r")
            await gate.refuse(DenyCode.TOKEN_EXPIRED, None, late, "dev-1")
        await gate.refuse(DenyCode.TOKEN_INVALID, None, token(CLAIMS, kid="r")[:-6] + b"AAAAAA", "dev-1")
        await gate.refuse(DenyCode.TOO_MANY_ATTEMPTS, None, token(CLAIMS, kid="r"), "dev-1")


async def test_without_any_keys_a_token_is_to_come_again() -> None:
    async with rig(attempts=AttemptLimits(per_address=1)) as gate:
        gate.keys[0] = KeyFetchError("no route")
        for _ in range(3):  # and it is not the device's failure
            denial = await gate.refuse(DenyCode.KEYS_UNAVAILABLE, None, token(CLAIMS, kid="r"), "dev-1")
        assert denial.reason is ReasonCode.SERVER_UNAVAILABLE


async def test_keys_that_were_loaded_at_the_start_are_not_waited_for() -> None:
    async with rig() as gate:
        await gate.services.start()
        gate.keys[0] = KeyFetchError("gone")
        assert await gate.grant(None, token(CLAIMS, kid="r"), "dev-1")
        gate.services.tokens = None
        await gate.services.start()


async def test_without_issuers_a_token_is_a_password_like_any_other() -> None:
    async with rig() as gate:
        gate.services.tokens = None
        await gate.refuse(DenyCode.WRONG_PASSWORD, "dev-1", token(CLAIMS, kid="r"))


# Certificates


def shown(name: str, **more: Any) -> Principal:
    return Principal("certificate", name, common_name=name, **more)


async def test_a_certificate_names_its_device_and_needs_no_password() -> None:
    async with rig() as gate:
        grant = await gate.grant("someone", "something", "dev-1", principal=shown("dev-1"))
        assert (grant.device_id, grant.principal.kind, grant.principal.name) == ("dev-1", "certificate", "dev-1")
        denial = await gate.refuse(DenyCode.CERTIFICATE_NAMES_NOBODY, "dev-1", "one", principal=shown(""))
        assert denial.reason is ReasonCode.NOT_AUTHORIZED
        await gate.refuse(DenyCode.CLIENT_ID, client_id="dev-2", principal=shown("dev-1"))
        assert (await gate.grant(client_id="bridge", principal=shown("bridge.example"))).may_publish("any")
        await gate.refuse(DenyCode.ID_TAKEN, client_id="erp", principal=shown("erp"))


async def test_the_name_may_stand_elsewhere_or_count_for_nothing() -> None:
    uri = CertificateRule(CertificateName.SAN_URI, "urn:dev:")
    async with rig(certificate=uri) as gate:
        principal = shown("dev-1", uris=("urn:dev:dev-2",))
        grant = await gate.grant(client_id="dev-2", principal=principal)
        assert (grant.device_id, grant.principal.name) == ("dev-2", "dev-2")
    async with rig(certificate=CertificateRule(CertificateName.OFF)) as gate:
        await gate.refuse(DenyCode.NO_CREDENTIALS, client_id="dev-1", principal=shown("dev-1"))
        assert (await gate.grant("dev-2", "two", principal=shown("dev-1"))).device_id == "dev-2"


async def test_neighbours_that_failed_do_not_keep_a_certificate_out() -> None:
    async with rig(attempts=AttemptLimits(per_address=1)) as gate:
        await gate.refuse(DenyCode.WRONG_PASSWORD, "dev-1", "wrong")
        await gate.grant(client_id="dev-1", principal=shown("dev-1"))


# Admission


@pytest.mark.parametrize(
    ("provisioning", "code"),
    [
        (Provisioning.KNOWN, DenyCode.UNKNOWN_DEVICE),
        (Provisioning.CLOSED, DenyCode.PROVISIONING_CLOSED),
        (Provisioning.ALLOW_NEW, None),
    ],
)
async def test_provisioning_decides_about_proven_devices_that_nobody_listed(
    provisioning: Provisioning, code: DenyCode | None
) -> None:
    async with rig(provisioning) as gate:
        proven = {"client_id": "new", "principal": shown("new")}
        if code is None:
            assert (await gate.grant(**proven)).device_id == "new"
        else:
            denial = await gate.refuse(code, **proven)
            assert denial == Denial(ReasonCode.NOT_AUTHORIZED, "this device is not registered here")


@pytest.mark.parametrize("name", ["x" * 257, "a\nb", "\x07"])
async def test_an_id_that_names_no_device_is_refused(name: str) -> None:
    async with rig(Provisioning.ALLOW_NEW) as gate:
        denial = await gate.refuse(DenyCode.BAD_DEVICE_ID, client_id=name, principal=shown(name))
        assert denial.reason is ReasonCode.NOT_AUTHORIZED


# Open and anonymous


async def test_an_open_listener_is_an_ordinary_broker() -> None:
    async with rig(open=True, attempts=AttemptLimits(per_address=0)) as gate:
        for user, password in ((None, None), ("any", "thing"), ("dev-1", "wrong"), (None, token(CLAIMS))):
            grant = await gate.grant(user, password, "dev-1")
            assert (grant.principal, grant.device_id, grant.client_id) == (Principal(), "", "dev-1")
            assert grant.may_publish("devices/dev-2/telemetry")
            assert grant.may_subscribe("#")
            assert not grant.may_publish("$SYS/x")
            assert grant.may_speak_for("dev-2")


async def test_a_certificate_counts_on_an_open_listener_too() -> None:
    async with rig(open=True) as gate:
        assert (await gate.grant(client_id="dev-1", principal=shown("dev-1"))).device_id == "dev-1"
        await gate.refuse(DenyCode.CLIENT_ID, client_id="dev-2", principal=shown("dev-1"))
    async with rig(open=True, certificate=CertificateRule(CertificateName.OFF)) as gate:
        grant = await gate.grant(client_id="x", principal=shown("dev-1"))
        assert (grant.device_id, grant.principal.kind) == ("", "certificate")


async def test_anonymous_clients_have_what_is_configured_and_client_ids_of_their_own() -> None:
    async with rig(anonymous=AllowList(["public/{client_id}"], ["news/#"])) as gate:
        grant = await gate.grant(client_id="anonymous-7")
        assert (grant.principal, grant.device_id) == (Principal("anonymous"), "")
        assert grant.may_publish("public/anonymous-7")
        assert not grant.may_publish("devices/dev-1/telemetry")
        assert grant.may_subscribe("news/today")
        assert not grant.may_subscribe("#")
        await gate.grant(client_id="")
        for taken in ("dev-1", "erp", "new"):
            await gate.refuse(DenyCode.CLIENT_ID, client_id=taken, peer=f"{taken}:1")
        await gate.refuse(DenyCode.NO_CREDENTIALS, "dev-1", None, client_id="anonymous-7")
        await gate.refuse(DenyCode.WRONG_PASSWORD, "dev-1", "wrong", client_id="anonymous-7")


async def test_no_device_may_be_called_like_an_anonymous_client() -> None:
    async with rig(Provisioning.ALLOW_NEW, anonymous=AllowList()) as gate:
        await gate.refuse(DenyCode.ID_TAKEN, client_id="anonymous-1", principal=shown("anonymous-1"))
    async with rig(Provisioning.ALLOW_NEW) as gate:
        await gate.grant(client_id="anonymous-1", principal=shown("anonymous-1"))


# What goes wrong


async def test_an_error_of_ours_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig() as gate:

        def broken(*_: object) -> None:
            raise RuntimeError("ours")

        monkeypatch.setattr(gate.services.admission.__class__, "admit", broken)
        for user, password, principal in (
            ("dev-1", "one", Principal()),
            (None, token(CLAIMS, kid="r"), Principal()),
            (None, None, shown("dev-1")),
        ):
            denial = await gate.refuse(DenyCode.INTERNAL_ERROR, user, password, "dev-1", principal=principal)
            assert denial.reason is ReasonCode.SERVER_UNAVAILABLE


@pytest.mark.parametrize(
    ("clients", "words"),
    [
        ([OtherClient("")], "an id is needed"),
        ([ERP, ERP], "stands there twice"),
        ([OtherClient("dev-1")], "a device of `devices_file`"),
        ([BRIDGE, OtherClient("b2", certificate="bridge.example")], "another client has"),
        ([OtherClient("x", "plain")], "only its argon2id hash"),
    ],
)
async def test_clients_that_cannot_be_told_apart_are_refused_at_the_start(
    clients: list[OtherClient], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        async with rig(clients=clients):
            pass
    assert words in str(caught.value)
    assert caught.value.setting == f"auth.clients.{len(clients) - 1}"


def test_a_clients_hash_is_not_shown() -> None:
    assert "argon2" not in repr(ERP)
