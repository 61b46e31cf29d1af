"""Who may call the REST API, and how much, on a whole gateway."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.access.api_keys import hash_api_key, make_api_key
from tests.e2e.rest_client import NDJSON, Caller, caller_of, item, rest_config, signature
from tests.e2e.rig import Json, RunningGateway

pytestmark = pytest.mark.e2e

SECRET = "a secret of sixteen and more"
KEY = make_api_key("erp")


def client(**more: Any) -> Json:
    return {"id": "erp", "api_key_sha256": hash_api_key(KEY).hex(), "scopes": ["ingest", "read"], **more}


def with_key(rig: RunningGateway, key: str = KEY) -> Caller:
    return caller_of(rig, authorization=f"Bearer {key}")


async def test_open_on_loopback_until_somebody_is_configured(tmp_path: Path) -> None:
    async with RunningGateway(tmp_path, rest_config(tmp_path)) as rig, caller_of(rig) as caller:
        assert (await caller.post("/v1/telemetry", item())).status == 200
        assert (await caller.get("/v1/specs")).status == 200
        wrong = await caller.post("/v1/telemetry", item(), authorization=f"Bearer {KEY}")
        assert (wrong.status, wrong.json["code"]) == (401, "invalid_key")
        for headers, status, code in (
            ({"Origin": "https://elsewhere.example"}, 403, "cross_site"),
            ({"Sec_Fetch_Site": "cross-site"}, 403, "cross_site"),
            ({"Host": "elsewhere.example"}, 421, "wrong_host"),
        ):
            refused = await caller.post("/v1/telemetry", item(), **headers)
            assert (refused.status, refused.json["code"]) == (status, code)
        own = await caller.post("/v1/telemetry", item(), Origin=caller.url)
        assert own.status == 200


async def test_api_keys(tmp_path: Path) -> None:
    auth = {"clients": [client()]}
    async with RunningGateway(tmp_path, rest_config(tmp_path, auth=auth)) as rig:
        async with with_key(rig) as caller:
            assert (await caller.post("/v1/telemetry", item())).status == 200
            assert (await caller.get("/v1/specs")).status == 200
        async with caller_of(rig) as caller:
            assert (await caller.post("/v1/telemetry", item(), X_Api_Key=KEY)).status == 200
            nobody = await caller.post("/v1/telemetry", item())
            assert (nobody.status, nobody.json["code"]) == (401, "no_credentials")
            assert nobody.headers["WWW-Authenticate"].startswith("Bearer")
            assert (await caller.get("/openapi.json")).status == 200
        assert rig.total("iotlink_rest_access_denied_total", listener="rest", reason="no_credentials") == 1


async def test_scopes_of_calls_products_and_devices(tmp_path: Path) -> None:
    scope = {"scopes": ["ingest"], "products": ["generic_json"], "devices": ["truck-*"]}
    auth = {"clients": [client(**scope)]}
    async with RunningGateway(tmp_path, rest_config(tmp_path, auth=auth)) as rig, with_key(rig) as caller:
        items = [item("truck-1"), item("van-1"), {**item("truck-1"), "productId": "example_thermo"}]
        answer = await caller.post("/v1/telemetry", items)
        assert answer.statuses == ["accepted", "rejected", "rejected"]
        assert answer.codes == ["device_not_allowed", "product_not_allowed"]
        nodes = {**item("truck-1"), "nodes": [item("van-1")]}
        assert (await caller.post("/v1/telemetry", nodes)).codes == ["device_not_allowed"]
        alone = await caller.post("/v1/telemetry", item("van-1"))
        assert (alone.status, alone.codes) == (403, ["device_not_allowed"])
        assert (await caller.post("/v1/telemetry?product=example_thermo", item())).status == 422
        assert (await caller.post("/v1/frames/example_thermo", b"x", "application/octet-stream")).status == 404
        read = await caller.get("/v1/specs")
        assert (read.status, read.json["code"]) == (403, "not_allowed")
        assert read.json["detail"] == "the scope `read` is needed; this caller has ingest"
        bridged = {"topic": "devices/van-1/telemetry", "payload": item("van-1")}
        assert (await caller.post("/v1/ingest/mqtt-bridge", bridged)).codes == ["device_not_allowed"]
        assert rig.total("iotlink_uplinks_refused_total", reason="not_authorized") == 5


async def openssl(secret: str, data: bytes) -> str:
    """HMAC-SHA256 by another implementation."""
    process = await asyncio.create_subprocess_exec(
        *("openssl", "dgst", "-sha256", "-hmac", secret),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate(data)
    return "sha256=" + told.decode().split()[-1]


async def test_signed_requests(tmp_path: Path) -> None:
    signing = {"secrets": [SECRET, "the next secret of this client"]}
    auth = {
        "clients": [
            {"id": "ha-home", "hmac": signing},
            {"id": "old", "hmac": {"secrets": [SECRET], "mode": "body"}},
        ]
    }
    async with RunningGateway(tmp_path, rest_config(tmp_path, auth=auth)) as rig, caller_of(rig) as caller:
        body = orjson.dumps(item())
        now = int(time.time())
        signed = {"X_Client_Id": "ha-home", "X_Timestamp": str(now)}
        right = await openssl(SECRET, b"%d." % now + body)
        assert right == signature(SECRET, body, now)
        assert (await caller.post("/v1/telemetry", body, X_Signature=right, **signed)).status == 200
        again = await caller.post("/v1/telemetry", body, X_Signature=right, **signed)
        assert (again.status, again.json["code"]) == (401, "replayed_signature")
        other = await openssl("the next secret of this client", b"%d." % now + body)
        assert (await caller.post("/v1/ingest/mqtt-bridge", body, X_Signature=other, **signed)).status == 400
        for headers, data in (
            ({"X_Signature": signature(SECRET, body, now), "X_Client_Id": "nobody", "X_Timestamp": str(now)}, body),
            ({"X_Signature": signature("wrong", body, now), **signed}, body),
            ({"X_Signature": signature(SECRET, body, now), **signed}, body + b" "),
        ):
            wrong = await caller.post("/v1/telemetry", data, **headers)
            assert (wrong.status, wrong.json["code"]) == (401, "invalid_signature")
        old = now - 400
        stale = await caller.post(
            *("/v1/telemetry", body),
            **{"X_Client_Id": "ha-home", "X_Timestamp": str(old), "X_Signature": signature(SECRET, body, old)},
        )
        assert (stale.status, stale.json["code"]) == (401, "stale_signature")
        bare = {"X_Client_Id": "old", "X_Signature": await openssl(SECRET, body)}
        for _ in range(2):
            assert (await caller.post("/v1/telemetry", body, **bare)).status == 200
        lines = body + b"\n" + body
        whole = {"X_Client_Id": "old", "X_Signature": signature(SECRET, lines)}
        assert (await caller.post("/v1/telemetry", lines, NDJSON, **whole)).statuses == ["accepted"] * 2
        webhook = orjson.dumps({"ts": now, "fields": {"tempC": 3}})
        path = {"X_Timestamp": str(now), "X_Signature": signature(SECRET, webhook, now)}
        assert (await caller.post("/ingest/ha/ha-home", webhook, **path)).status == 200
        assert (await caller.get("/v1/specs", **bare)).status == 401
        read = await caller.get("/v1/specs", X_Client_Id="old", X_Signature=signature(SECRET, b""))
        assert (read.status, read.json["code"]) == (403, "not_allowed")
        assert read.json["detail"].startswith("signatures only send: the scope `read` needs an API key")


async def test_what_was_not_taken_may_come_again_as_it_was_signed(tmp_path: Path) -> None:
    auth = {"clients": [{"id": "ha", "hmac": {"secrets": [SECRET]}, "quota": {"records_per_s": 1, "burst_s": 1}}]}
    async with RunningGateway(tmp_path, rest_config(tmp_path, auth=auth)) as rig, caller_of(rig) as caller:
        body, now = orjson.dumps(item()), int(time.time())
        headers = {"X_Client_Id": "ha", "X_Timestamp": str(now), "X_Signature": signature(SECRET, body, now)}
        other = orjson.dumps(item(n=2))
        spent = {**headers, "X_Signature": signature(SECRET, other, now)}
        assert (await caller.post("/v1/telemetry", other, **spent)).status == 200
        for _ in range(2):
            limited = await caller.post("/v1/telemetry", body, **headers)
            assert (limited.status, limited.json["limit"]["name"]) == (429, "records_per_second")


async def test_tokens(tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})
    jwks = tmp_path / "jwks.json"
    jwks.write_bytes(orjson.dumps({"keys": [key.as_dict(private=False)]}))
    issuer = {"issuer": "https://id.example", "audience": "gateway", "jwks_file": str(jwks)}
    auth = {"jwt": [{**issuer, "roles": {"ADMIN": ["operate"]}, "devices": ["truck-*"]}]}

    def token(**more: Any) -> str:
        claims = {"iss": "https://id.example", "aud": "gateway", "sub": "joe", "exp": int(time.time()) + 60, **more}
        said = {name: value for name, value in claims.items() if value is not None}
        return str(jwt.encode({"alg": "ES256", "kid": "k1"}, said, key))

    async with RunningGateway(tmp_path, rest_config(tmp_path, auth=auth)) as rig:
        async with with_key(rig, token(scope="iotlink/ingest openid")) as caller:
            assert (await caller.post("/v1/telemetry", [item(), item("van-1")])).codes == ["device_not_allowed"]
            assert (await caller.get("/v1/specs")).status == 403
        cognito = {"aud": None, "client_id": "gateway", "token_use": "access"}
        async with with_key(rig, token(**{"cognito:groups": ["ADMIN"], **cognito})) as caller:
            assert (await caller.get("/v1/specs")).status == 200
            assert (await caller.post("/v1/telemetry", item())).status == 403
        for more, status, code in (
            ({}, 403, "token_allows_nothing"),
            ({"aud": "other"}, 401, "invalid_token"),
            ({"exp": int(time.time()) - 100}, 401, "token_expired"),
            ({"iss": "https://other.example"}, 401, "invalid_token"),
        ):
            async with with_key(rig, token(**more)) as caller:
                refused = await caller.post("/v1/telemetry", item())
                assert (refused.status, refused.json["code"]) == (status, code)


async def test_certificates(tmp_path: Path) -> None:
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    for name, blob in (("cert", server.cert_chain_pems[0]), ("key", server.private_key_pem)):
        blob.write_to_path(str(tmp_path / f"{name}.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = {name: str(tmp_path / f"{name.split('_')[-2]}.pem") for name in ("cert_file", "key_file")}
    listener = {"tls": {**tls, "client_ca_file": str(tmp_path / "ca.pem"), "client_auth": "optional"}}
    auth = {"clients": [{"id": "erp", "certificate": "erp.example", "scopes": ["ingest"]}]}

    def presenting(name: str = "") -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        if name:
            authority.issue_cert(common_name=name).configure_cert(context)
        return context

    async with RunningGateway(tmp_path, rest_config(tmp_path, listener=listener, auth=auth)) as rig:
        async with Caller(rig.rest_url(), tls=presenting("erp.example")) as caller:
            assert (await caller.post("/v1/telemetry", item())).status == 200
        async with Caller(rig.rest_url(), tls=presenting("truck-1")) as caller:  # a device
            answer = await caller.post("/v1/telemetry", [{"productId": "generic_json", "metrics": {"n": 1}}, item("x")])
            assert (answer.statuses, answer.codes) == (["accepted", "rejected"], ["not_authorized"])
        async with Caller(rig.rest_url(), tls=presenting()) as caller:
            assert (await caller.post("/v1/telemetry", item())).status == 401
        await rig.delivered()
        assert [record["device_id"] for record in rig.records()] == ["truck-1", "truck-1"]


async def test_quotas(tmp_path: Path) -> None:
    quota = {"requests_per_s": 1, "burst_s": 2, "records_per_day": 3}
    auth = {"clients": [client(quota=quota)]}
    async with RunningGateway(tmp_path, rest_config(tmp_path, auth=auth)) as rig, with_key(rig) as caller:
        first = await caller.post("/v1/telemetry", [item()] * 3)
        assert (first.status, first.headers["RateLimit-Remaining"]) == (200, "0")
        day = await caller.post("/v1/telemetry", item())
        assert (day.status, day.json["code"], day.json["limit"]["name"]) == (429, "limit_reached", "records_per_day")
        assert int(day.headers["Retry-After"]) > 0
        answers = [await caller.get("/v1/specs") for _ in range(4)]
        limited = [one for one in answers if one.status == 429]
        assert limited[-1].json["limit"] == {"name": "requests_per_second", "value": 2}
        assert rig.total("iotlink_rate_limited_total", limit="records_per_day") == 1


async def test_quota_of_an_address_behind_load_balancers(tmp_path: Path) -> None:
    auth = {"anonymous_rest": True, "quotas": {"address_requests_per_s": 1, "address_burst_s": 1}}
    settings = rest_config(tmp_path, listener={"forwarded_hops": 1}, auth=auth)
    async with RunningGateway(tmp_path, settings) as rig, caller_of(rig) as caller:
        statuses = []
        for told in ("203.0.113.7", "10.0.0.1, 203.0.113.7", "2001:db8::1", "2001:db8::2", "no address"):
            statuses.append((await caller.get("/v1/specs", X_Forwarded_For=told)).status)
        assert statuses == [200, 429, 200, 429, 200]


async def test_keys_of_the_key_file_come_and_go(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from gateway.cli.main import app

    settings = rest_config(tmp_path, auth={"anonymous_rest": False})
    async with RunningGateway(tmp_path, settings) as rig:
        config = ["--config", str(tmp_path / "gateway.yaml")]
        made = await asyncio.to_thread(CliRunner().invoke, app, ["keys", "create", "bi", *config, "--output", "json"])
        assert made.exit_code == 0, made.output
        key = orjson.loads(made.stdout)["key"]
        async with with_key(rig, key) as caller:
            await eventually(caller, 200)
            await asyncio.to_thread(CliRunner().invoke, app, ["keys", "revoke", "bi", *config])
            await eventually(caller, 401)


async def eventually(caller: Caller, status: int) -> None:
    """The key file is looked at every two seconds."""
    async with asyncio.timeout(20):
        while (await caller.post("/v1/telemetry", item())).status != status:  # noqa: ASYNC110 - the gateway sets no event
            await asyncio.sleep(0.1)


async def test_pages_of_sites_that_are_named_may_call(tmp_path: Path) -> None:
    dash = "https://dash.example.com"
    settings = rest_config(tmp_path, listener={"allowed_origins": [dash]})
    asks = {"Access_Control_Request_Method": "POST"}
    async with RunningGateway(tmp_path, settings) as rig, caller_of(rig) as caller:
        for origin, preflight, sent in ((dash, 204, 200), ("https://other.example.com", 405, 403)):
            assert (await caller.ask("OPTIONS", "/v1/telemetry", Origin=origin, **asks)).status == preflight
            answer = await caller.post("/v1/telemetry", item(), Origin=origin, Sec_Fetch_Site="cross-site")
            assert answer.status == sent
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if origin == dash else None)
        await rig.delivered()
        assert len(rig.records()) == 1
