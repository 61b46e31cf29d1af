"""The image, built without a container engine: buildah, on a Debian that mmdebstrap makes.

That base is a stand-in: it has the name that the Dockerfile asks for, and Debian's own Python 3.11 in it. Files, user,
configuration and behaviour of the product are those of the image; the base's own files and size are not.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ("buildah", "mmdebstrap", "unshare", "setpriv")
_NAME = "iotlink-gateway:stand-in"
_PACKAGES = "ca-certificates,python3,python3-pip,python3-venv"
_BASE = """\
FROM scratch
ADD base.tar /
RUN ln -s /usr/bin/python3 /usr/local/bin/python && ln -s /usr/bin/python3 /usr/local/bin/python3 \\
 && rm -f /usr/lib/python3.11/EXTERNALLY-MANAGED
"""
_FROM = re.compile(r"^FROM (\S+)", re.MULTILINE)


def missing() -> str:
    """Why an image cannot be built here; empty when it can."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if os.geteuid() != 0:
        return "building and running without a container engine takes root"
    own = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, check=False)
    return "" if own.returncode == 0 else f"no namespaces can be made here: {own.stderr.strip()}"


def base_names() -> set[str]:
    """The images that the Dockerfile is built on."""
    return set(_FROM.findall((ROOT / "Dockerfile").read_text("utf-8")))


@dataclass(slots=True, frozen=True)
class Image:
    """An image and its files. config: `User`, `Env`, `Entrypoint` and so on, as in the OCI image specification, and
    `Healthcheck` as Docker adds it. seconds: how long the base and the image took."""

    root: Path
    config: dict[str, Any]
    seconds: tuple[float, float]


@contextmanager
def built(folder: Path) -> Iterator[Image]:
    """Builds it in `folder`, which is empty again in the end."""
    started = time.monotonic()
    buildah = ["buildah", "--root", str(folder / "root"), "--runroot", str(folder / "run")]
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            [str(part) for part in command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()

    base = folder / "base"
    base.mkdir(parents=True)
    try:
        run("mmdebstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", base / "base.tar")
        (base / "Dockerfile").write_text(_BASE, "utf-8")
        (name,) = base_names()
        run(*buildah, "build", "--quiet", "--tag", name, base)
        shutil.rmtree(base)
        bootstrapped = time.monotonic()
        build = [*buildah, "build", "--pull=never", "--network=host", "--format=docker", *_own_network(folder)]
        run(*build, "--tag", _NAME, ROOT)
        seconds = (bootstrapped - started, time.monotonic() - bootstrapped)
        container = run(*buildah, "from", "--pull-never", _NAME)
        described = json.loads(run(*buildah, "inspect", "--type=image", _NAME))["Docker"]["config"]
        yield Image(Path(run(*buildah, "mount", container)), described, seconds)
    finally:
        subprocess.run([*buildah, "rm", "--all"], env=environment, capture_output=True, check=False)
        subprocess.run([*buildah, "rmi", "--all", "--force"], env=environment, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _own_network(folder: Path) -> list[str]:
    """For the build alone: whom this machine trusts, and where its pip looks; nothing of it stays in the image."""
    trusted = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    if trusted is None or not Path(trusted).is_file():
        return []
    settings = {"cert": "/run/authorities.pem", "index-url": os.environ.get("PIP_INDEX_URL")}
    lines = [f"{key} = {value}" for key, value in settings.items() if value]
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]), "utf-8")
    return ["-v", f"{trusted}:/run/authorities.pem:ro", "-v", f"{folder / 'pip.conf'}:/etc/pip.conf:ro"]
