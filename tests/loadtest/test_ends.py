"""Where records of a measured gateway end, counted."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from loadtest.ends import ENDS, Files
from loadtest.faults.processes import GatewayProcess, RunFailed
from loadtest.mqtt.loads import LOADS, run
from loadtest.mqtt.servers import Gateway

NOBODY = cast(GatewayProcess, None)  # files are looked at without it


def test_lines_are_counted_once_and_only_whole(tmp_path: Path) -> None:
    files = Files(tmp_path)
    assert files.count() == 0
    folder = tmp_path / "data" / "records" / "2026" / "01"
    folder.mkdir(parents=True)
    (folder / "a.ndjson").write_bytes(b"1\n2\n3")
    assert files.count() == 2
    with (folder / "a.ndjson").open("ab") as file:
        file.write(b"3\n4\n")
    (folder / "b.ndjson").write_bytes(b"5\n")
    (folder / "c.tmp").write_bytes(b"6\n")
    assert files.count() == 5
    assert files.count() == 5


async def test_more_records_than_messages_are_a_fault(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "records"
    folder.mkdir(parents=True)
    (folder / "a.ndjson").write_bytes(b"1\n2\n")
    files = Files(tmp_path)
    await files.kept(NOBODY, 2)
    with pytest.raises(RunFailed, match="2 records of 1 messages"):
        await files.kept(NOBODY, 1)


@pytest.mark.e2e
@pytest.mark.parametrize("end", ENDS)
async def test_what_was_acknowledged_over_mqtt_is_there(tmp_path: Path, end: str) -> None:
    async with Gateway(tmp_path, end).run() as gateway:
        sent = (await run(gateway.address, LOADS["qos1"], 300)).messages
        await gateway.kept(sent)
        with pytest.raises(RunFailed, match=f"{sent} records of {sent - 1} messages"):
            await gateway.kept(sent - 1)
