"""The OpenAPI document against a running gateway: whatever it allows is taken, whatever it forbids is refused, and
answers are as it says; its examples, those of docs/rest.md and those of README.md work as they stand."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import jsonschema
import orjson
import pytest
import pytest_asyncio

from gateway.ingress.rest.docs_page import PAGE_POLICY, page_bytes
from tests.e2e.process import ROOT
from tests.e2e.rest_rig import CLIENT, SECRET, RestServe, serving_rest
from tests.e2e.rig import GUARD_S, Json, clean_environment, read_json, until

pytestmark = pytest.mark.e2e

_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)
BLOCKS = _BLOCK.findall((ROOT / "docs" / "rest.md").read_text("utf-8"))
README = _BLOCK.findall(
    (ROOT / "README.md").read_text("utf-8").partition("\n## For legacy systems: REST\n")[2].partition("\n## ")[0]
)
README_URL = "http://localhost:8080"

_EXAMPLES = 25
_GUARD_S = 110.0
_SETTINGS = """\
[generation]
with-security-parameters = false

# What a document allows may still be of a device, product or client that is not there (403, 404, 409, 422).
[checks.positive_data_acceptance]
expected-statuses = [200, 207, 403, 404, 409, 422]

# What a record needs depends on the type in its path; webhook documents are those of network servers.
[[operations]]
include-path-regex = "mqtt-bridge|records"
checks.positive_data_acceptance.expected-statuses = [200, 207, 400, 403, 404, 409, 422]
"""


@pytest_asyncio.fixture
async def rest(tmp_path: Path) -> AsyncIterator[RestServe]:
    served = serving_rest(tmp_path)
    async with served.gateway:
        yield served


async def output_of(*command: str, folder: Path, **environment: str) -> tuple[int, str]:
    """Exit code and what was written."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=clean_environment(PYTHONPATH=str(ROOT), **environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_GUARD_S):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


@pytest.mark.slow
async def test_all_that_the_document_says_holds(rest: RestServe, tmp_path: Path) -> None:
    """schemathesis: every operation, every check, the same cases in each run."""
    folder = tmp_path / "schemathesis"
    folder.mkdir()
    (folder / "schemathesis.toml").write_text(_SETTINGS)
    code, output = await output_of(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"),
        *(f"{rest.url}/openapi.json", "--header", f"Authorization: Bearer {rest.key}"),
        *("--phases", "coverage,fuzzing", "--checks", "all", "--generation-deterministic"),
        *("--max-examples", str(_EXAMPLES), "--continue-on-failure", "--no-color"),
        folder=folder,
        SCHEMATHESIS_HOOKS="tests.e2e.rest_media",
    )
    assert code == 0, output
    found = re.search(r"(\d+) generated, (\d+) passed", output)
    assert found is not None, output
    assert int(found[1]) == int(found[2]) > 1_000
    assert re.search(r"Selected: (\d+)/\1\n\s+Tested: \1\n", output), output
    faults = [line for line in rest.gateway.log if line["event"] == "http_request_failed"]
    assert faults == []


@dataclass(slots=True)
class Example:
    """One body of a call, or a call without one. body: as it is sent."""

    name: str
    verb: str
    path: str
    query: dict[str, str]
    media: str
    body: bytes | None
    answers: Json


def examples(api: Json) -> list[Example]:
    """All of the document."""
    found = []
    for template, verbs in api["paths"].items():
        for verb, call in verbs.items():
            path, query = template, {}
            for one in call["parameters"]:
                if one["in"] == "path":
                    path = path.replace("{" + one["name"] + "}", str(one["example"]))
                elif "example" in one:
                    query[one["name"]] = str(one["example"])
            name, answers = call["operationId"], call["responses"]["200"]["content"]
            contents = call.get("requestBody", {}).get("content", {})
            if not contents:
                found.append(Example(name, verb, path, query, "", None, answers))
            for media, content in contents.items():
                for part, example in content.get("examples", {}).items():
                    value = example["value"]
                    body = value.encode() if isinstance(value, str) else orjson.dumps(value)
                    found.append(Example(f"{name} {media} {part}", verb, path, query, media, body, answers))
    return found


async def test_every_example_works(rest: RestServe) -> None:
    api = orjson.loads((ROOT / "docs" / "openapi.json").read_bytes())
    headers = {"Authorization": f"Bearer {rest.key}"}
    sent = examples(api)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(GUARD_S), headers=headers) as session:
        for example in sent:
            url, media = rest.url + example.path, {"Content-Type": example.media} if example.media else {}
            async with session.request(
                example.verb, url, params=example.query, data=example.body, headers=media
            ) as answer:
                text = await answer.read()
            assert answer.status == 200, f"{example.name}: {answer.status} {text.decode()}"
            schema = example.answers[answer.content_type]["schema"]
            if answer.content_type == "application/json":
                found = orjson.loads(text)
                jsonschema.Draft202012Validator({**schema, "components": api["components"]}).validate(found)
                assert found.get("rejected", 0) == 0, f"{example.name}: {found}"
                assert found.get("ok", True), f"{example.name}: {found}"
                assert all(item["status"] != "dead_lettered" for item in found.get("items", ())), example.name
    assert len(sent) > 20


def with_iotlink(folder: Path) -> str:
    """A PATH on which `iotlink` is this one."""
    tools = folder / "bin"
    tools.mkdir()
    command = tools / "iotlink"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m gateway "$@"\n')
    command.chmod(0o755)
    return f"{tools}{os.pathsep}{os.environ['PATH']}"


async def accepted_of(kind: str, block: str, folder: Path, **environment: str) -> int:
    """Runs a block of code; how many items its answers call accepted. Nothing else must have become of any."""
    shell = ("sh", "-eu", "-c") if kind == "sh" else (sys.executable, "-c")
    cache = str(folder / "cache")
    code, output = await output_of(*shell, block, folder=folder, IOTLINK_CACHE_DIR=cache, **environment)
    assert code == 0, f"{block}\n{output}"
    assert not re.search(r'"rejected":[1-9]|dead_lettered|duplicate|urn:iotlink:problem', output), f"{block}\n{output}"
    return sum(map(int, re.findall(r'"accepted":(\d+)', output)))


async def test_what_the_document_for_developers_says_works(rest: RestServe, tmp_path: Path) -> None:
    """Its code runs as it stands, and everything that it sends becomes a record."""
    path = with_iotlink(tmp_path)
    said = {"GATEWAY": rest.url, "KEY": rest.key, "KEY_ID": CLIENT, "CLIENT_ID": CLIENT, "SECRET": SECRET}
    sent = 0
    for kind, block in BLOCKS:
        sent += await accepted_of(kind, block, tmp_path, PATH=path, **said)
    assert len(BLOCKS) >= 7
    assert sent >= 15
    assert await rest.gateway.terminate() == 0
    assert len(read_json(tmp_path / "data" / "records")) == sent


async def test_what_the_readme_says_works(tmp_path: Path) -> None:
    """Likewise. A key that it makes is taken up by the running gateway."""
    rest, path = serving_rest(tmp_path, anonymous=True), with_iotlink(tmp_path)
    sent = 0
    async with rest.gateway:
        said = {"api": f"{rest.url}/v1", "KEY": rest.key, "CLIENT_ID": CLIENT, "SECRET": SECRET}
        for kind, block in README:
            sent += await accepted_of(kind, block.replace(README_URL, rest.url), tmp_path, PATH=path, **said)
        await until(lambda: any(line["action"] == "keys.create" for line in rest.gateway.events("audit")))
        assert await rest.gateway.terminate() == 0
    assert len(README) == 4
    assert sent == 11
    assert len(read_json(tmp_path / "data" / "records")) == sent


async def test_the_page_is_served_with_its_policy(rest: RestServe) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{rest.url}/docs") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert answer.headers["Content-Security-Policy"] == PAGE_POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert await answer.read() == page_bytes()
