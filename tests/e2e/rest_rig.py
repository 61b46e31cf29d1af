"""A gateway with a REST listener as a process of its own, and clients that may call it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.access.api_keys import hash_api_key, make_api_key
from tests.e2e.process import Serve
from tests.e2e.rig import GATEWAY_ID, config, write_config

__all__ = ["CLIENT", "SECRET", "RestServe", "serving_rest"]

CLIENT = "ha-home"
SECRET = "a secret of 32 bytes, more or le"


@dataclass(slots=True)
class RestServe:
    """key: of CLIENT, who may send and read, and may sign with SECRET."""

    gateway: Serve
    key: str

    @property
    def url(self) -> str:
        line = next(line for line in self.gateway.events("listening") if line["face"] == "rest")
        return f"http://{line['host']}:{line['port']}"


def serving_rest(folder: Path, *, key: str = "", port: int = 0, anonymous: bool = False) -> RestServe:
    """`async with serving_rest(folder).gateway`: then it listens. key, port: of one that was there before. anonymous:
    whether calls without credentials are let in, as without a configuration."""
    key = key or make_api_key(CLIENT)
    client = {
        "id": CLIENT,
        "api_key_sha256": hash_api_key(key).hex(),
        "scopes": ["ingest", "read"],
        "hmac": {"secrets": [SECRET]},
    }
    settings = config(
        folder,
        # Nothing is to be proven at the start, which takes long where nobody remembers it.
        gateway={"id": GATEWAY_ID, "data_dir": str(folder / "data"), "codec": "construct"},
        tcp={"listeners": []},
        mqtt={"listeners": []},
        rest={"listeners": [{"name": "rest", "port": port}]},
        auth={"clients": [client], "anonymous_rest": anonymous},
    )
    return RestServe(Serve(folder, "--config", write_config(folder, settings)), key)
