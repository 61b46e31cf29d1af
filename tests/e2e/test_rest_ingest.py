"""`iotlink ingest` and a gateway that is killed meanwhile: every line of the file is recorded, once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest

from tests.e2e.process import ROOT
from tests.e2e.rest_rig import serving_rest
from tests.e2e.rig import clean_environment, read_json, until, whole_lines

pytestmark = [pytest.mark.e2e, pytest.mark.fault]

_LINES = 6_000
_GUARD_S = 100.0


def _file(folder: Path) -> Path:
    path = folder / "values.csv"
    rows = "".join(f"truck-{number % 40};{number};온도 {number}\n" for number in range(_LINES))
    path.write_bytes(f"device_id;number;비고\n{rows}".encode("cp949"))
    return path


async def test_a_file_goes_through_a_kill(tmp_path: Path) -> None:
    records = tmp_path / "data" / "records"
    first = serving_rest(tmp_path)
    async with first.gateway:
        url = first.url
        command = ("ingest", str(_file(tmp_path)), "--url", url, "--product", "generic_json", "--key-env", "KEY")
        sending = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", *command, "--batch", "50"),
            cwd=tmp_path,
            env=clean_environment(PYTHONPATH=str(ROOT), KEY=first.key, IOTLINK_CACHE_DIR=str(tmp_path / "cache")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await until(lambda: len(whole_lines(records)) > 500, "some lines are records")
        await first.gateway.kill()
    assert sending.returncode is None, "the file was through before"
    second = serving_rest(tmp_path, key=first.key, port=urlsplit(url).port or 0)
    async with second.gateway:
        async with asyncio.timeout(_GUARD_S):
            output, errors = await sending.communicate()
        assert sending.returncode == 0, errors.decode()
        assert b"again in" in errors
        assert orjson.loads(output)["accepted"] == _LINES
        assert await second.gateway.terminate() == 0
    # The sink is at least once: what it had when the gateway was killed may stand there again, under the same id.
    found = {record["record_id"]: record["metrics"] for record in read_json(records)}
    assert sorted(metrics["number"] for metrics in found.values()) == list(range(_LINES))
    assert all(metrics["비고"] == f"온도 {metrics['number']}" for metrics in found.values())
