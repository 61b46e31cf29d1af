"""A spool that an older version left is read: `format_<n>/` were written by the version that made format n.

Never made again by newer code. `format_1`: three puts of two targets with states in segments of 400 bytes, the second
record delivered to `main`, then one put in a second process.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from gateway.delivery.spool.blocks import FORMAT_VERSION
from tests.gateway.delivery.spool.conftest import Rig, record

HERE = Path(__file__).parent


async def test_a_spool_of_format_1(tmp_path: Path) -> None:
    shutil.copytree(HERE / "format_1", tmp_path / "gw")
    rig = Rig(tmp_path / "gw", 1 << 30, 400)
    await rig.open()
    assert rig.keeper.payloads == [b"key-0", b"key-1", b"key-2", b"key-3"]
    assert (rig.spool.next_sequence, rig.spool.cursor_names()) == (8, ["alerts", "main"])
    stored = await rig.read_all()
    assert [(item.sequence, item.targets) for item in stored] == [
        *((sequence, ("main", "alerts")) for sequence in range(1, 7)),
        (7, ("main",)),
    ]
    assert [item.record for item in stored] == [
        *(record(n, 150, "tenant/기기-1") for n in (0, 100, 1, 101, 2, 102)),
        record(3, 0, "dev-2"),
    ]
    main, alerts = rig.spool.cursor("main"), rig.spool.cursor("alerts")
    assert [n for n in range(1, 9) if main.has(n)] == [2]
    assert (alerts.low, alerts.ranges) == (1, 0)
    assert (rig.counters.bad_blocks, rig.counters.torn_bytes) == (0, 0)
    await rig.put(record(8))
    await rig.close()


def test_every_format_has_its_fixture() -> None:
    assert [path.name for path in sorted(HERE.glob("format_*"))] == [
        f"format_{n}" for n in range(1, FORMAT_VERSION + 1)
    ]
