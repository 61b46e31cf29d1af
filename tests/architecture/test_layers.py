"""The house stands: imports point downwards, and what is called pure does no I/O.

The rules are the two tables below. They are read from the source with `ast`, so imports inside functions and under
`TYPE_CHECKING` count like any other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# From top to bottom. A module may import its own unit and the units of the lines below; units of one line never
# import each other. `gateway` alone is the values of the package itself (`from gateway import __version__`).
# `gateway.simulate` plays devices both for `iotlink sim` and for the demo, which stand beside each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("gateway.__main__",),
    ("gateway.cli", "loadtest"),
    ("gateway.app",),
    ("gateway.ingress", "gateway.admin", "gateway.specs", "gateway.simulate"),
    ("gateway.pipeline", "gateway.delivery", "gateway.devices", "gateway.access"),
    ("gateway.protocol", "gateway.observe", "gateway.custom_types"),
    ("gateway.settings", "gateway.lifecycle"),
    ("gateway.domain",),
    ("gateway",),
    ("decoders", "product_specs"),
)

PURE = ("decoders", "gateway.domain", "gateway.protocol", "gateway.pipeline")

# Sockets, tasks, clocks, chance, files, processes, logs and client libraries: their values come in as arguments.
# fmt: off
FORBIDDEN_IN_PURE = frozenset({
    "asyncio", "concurrent", "multiprocessing", "queue", "sched", "signal", "subprocess", "threading",
    "http.client", "http.server", "select", "selectors", "socket", "socketserver", "ssl", "urllib.request",
    "random", "secrets", "time", "uuid.uuid1", "uuid.uuid4",
    "fcntl", "glob", "importlib.resources", "io.FileIO", "io.open", "mmap", "os", "pathlib", "shutil", "tempfile",
    "logging", "structlog",
    "aiobotocore", "aiohttp", "amqtt", "botocore", "prometheus_client", "pydantic_settings", "redis", "sqlite3",
    "rich", "typer", "uvloop", "watchfiles", "product_specs",
})
# fmt: on

FORBIDDEN_CALLS = frozenset({"open", "input", "print", "breakpoint", "__import__"})
FORBIDDEN_METHODS = frozenset({"read_text", "read_bytes", "write_text", "write_bytes"})  # of a path handed in
CLOCKS = frozenset({"datetime.now", "datetime.utcnow", "datetime.today", "date.today"})


def source_modules() -> dict[str, Path]:
    """Every module of the product by its dotted name; a package stands under its own name."""
    modules = {}
    for top in ("decoders", "gateway", "loadtest", "product_specs"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def within(module: str, unit: str) -> bool:
    return module == unit or module.startswith(unit + ".")


def place(module: str) -> tuple[int, str] | None:
    """Line number (0 is the top) and unit of a module; None when the table does not know it."""
    for line, units in enumerate(LAYERS):
        for unit in units:
            if module == unit or (unit != "gateway" and within(module, unit)):
                return line, unit
    return None


def imports(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported. `from a import b` gives `a.b`, which may be a module or a value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module.split(".")
                here = here[: len(here) - node.level + is_package]
                base = ".".join([*here, base] if base else here)
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def layer_faults(module: str, source: str, where: str, *, is_package: bool = False) -> list[str]:
    """Imports of one module that do not point downwards, as lines for a person to read."""
    own = place(module)
    if own is None:
        return [f"{where}: {module} has no place in the table"]
    faults = []
    for lineno, name in imports(ast.parse(source), module, is_package=is_package):
        target = place(name) or (place("gateway") if within(name, "gateway") else None)
        if target is None or target[1] == own[1] or target[0] > own[0]:
            continue
        relation = "stands beside it" if target[0] == own[0] else "stands below"
        subject = target[1] if target[0] == own[0] else own[1]
        faults.append(f"{where}:{lineno} imports {name}: {subject} {relation}")
    return faults


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def purity_faults(module: str, source: str, where: str, *, is_package: bool = False) -> list[str]:
    """What one module of a pure package does that reaches outside of its arguments."""
    tree = ast.parse(source)
    faults = [
        f"{where}:{lineno} imports {name}: a pure package does no I/O"
        for lineno, name in imports(tree, module, is_package=is_package)
        if any(within(name, forbidden) for forbidden in FORBIDDEN_IN_PURE)
    ]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        last_two = ".".join(name.split(".")[-2:])
        if (
            name in FORBIDDEN_CALLS
            or name in FORBIDDEN_IN_PURE
            or last_two in CLOCKS
            or (isinstance(node.func, ast.Attribute) and node.func.attr in FORBIDDEN_METHODS)
        ):
            faults.append(f"{where}:{node.lineno} calls {name or ast.unparse(node.func)}(): a pure package does no I/O")
    return faults


def is_pure(module: str) -> bool:
    return any(within(module, unit) for unit in PURE)


def readable(faults: list[str]) -> str:
    return "\n" + "\n".join(faults)


def test_imports_point_downwards() -> None:
    faults = []
    for module, path in source_modules().items():
        where = str(path.relative_to(ROOT))
        faults += layer_faults(module, path.read_text("utf-8"), where, is_package=path.name == "__init__.py")
    assert not faults, readable(faults)


def test_pure_packages_do_no_io() -> None:
    faults = []
    for module, path in source_modules().items():
        if is_pure(module):
            where = str(path.relative_to(ROOT))
            faults += purity_faults(module, path.read_text("utf-8"), where, is_package=path.name == "__init__.py")
    assert not faults, readable(faults)


def test_the_walk_finds_the_product() -> None:
    modules = source_modules()
    assert {"decoders", "gateway", "gateway.domain.ports", "loadtest"} <= modules.keys()
    assert sum(is_pure(module) for module in modules) >= 10


# The checkers themselves, fed with source text.


TYPE_ONLY = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from gateway.delivery.outbox import Outbox
"""


@pytest.mark.parametrize(
    ("module", "source", "line", "imported", "reason"),
    [
        ("gateway.domain.x", "import gateway.app", 1, "gateway.app", "gateway.domain stands below"),
        ("gateway.domain.x", "from gateway import app", 1, "gateway.app", "gateway.domain stands below"),
        ("gateway.domain.x", "from gateway.app import run", 1, "gateway.app.run", "gateway.domain stands below"),
        ("gateway.delivery.x", "def f():\n    import gateway.app", 2, "gateway.app", "gateway.delivery stands below"),
        ("gateway.protocol.x", TYPE_ONLY, 4, "gateway.delivery.outbox.Outbox", "gateway.protocol stands below"),
        ("gateway.pipeline.x", TYPE_ONLY, 4, "gateway.delivery.outbox.Outbox", "gateway.delivery stands beside it"),
        ("gateway.devices.x", "from ..access import keys", 1, "gateway.access.keys", "gateway.access stands beside it"),
        ("gateway.cli.sim", "import loadtest.fleet", 1, "loadtest.fleet", "loadtest stands beside it"),
        ("decoders.x", "import gateway.domain.ids", 1, "gateway.domain.ids", "decoders stands below"),
        ("decoders.x", "from gateway import __version__", 1, "gateway.__version__", "decoders stands below"),
        ("decoders.x", "import gateway", 1, "gateway", "decoders stands below"),
    ],
)
def test_a_wrong_import_is_named(module: str, source: str, line: int, imported: str, reason: str) -> None:
    assert layer_faults(module, source, "x.py") == [f"x.py:{line} imports {imported}: {reason}"]


def test_a_module_without_a_place_is_named() -> None:
    assert layer_faults("gateway.novelty.x", "", "x.py") == ["x.py: gateway.novelty.x has no place in the table"]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gateway.app", "import gateway.ingress.tcp, gateway.delivery.outbox, decoders.compile"),
        ("gateway.cli.serve", "from gateway.app import run"),
        ("gateway.delivery.sinks.file", "from gateway.delivery.outbox import Outbox"),
        ("gateway.delivery.outbox", "from . import lanes\nfrom .sinks import file"),
        ("gateway.settings.load", "from gateway.domain.errors import ConfigError"),
        ("gateway.ingress.tcp", "import asyncio, json\nfrom aiohttp import web"),
        ("gateway.domain.x", "from gateway import __version__"),
    ],
)
def test_a_right_import_passes(module: str, source: str) -> None:
    assert layer_faults(module, source, "x") == []


def test_relative_imports_of_a_package_start_at_itself() -> None:
    source = "from . import chain\nfrom .. import delivery"
    faults = layer_faults("gateway.pipeline", source, "x", is_package=True)
    assert faults == ["x:2 imports gateway.delivery: gateway.delivery stands beside it"]


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio",
        "import os.path",
        "from pathlib import Path",
        "from concurrent.futures import Future",
        "from time import monotonic",
        "import prometheus_client",
        "def f():\n    import socket",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import aiohttp",
        "from uuid import uuid4",
        "import uuid\nuuid.uuid4()",
        "from importlib import resources",
        "data = open('x').read()",
        "def f(p):\n    return p.read_text()",
        "from datetime import datetime\nnow = datetime.now()",
        "import datetime\nnow = datetime.datetime.now()",
        "print('x')",
    ],
)
def test_io_in_a_pure_package_is_named(source: str) -> None:
    assert len(purity_faults("decoders.x", source, "x")) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import io\nbuffer = io.BytesIO()",
        "from datetime import UTC, datetime\nat = datetime.fromtimestamp(0, UTC)",
        "import struct, yaml, pydantic, construct",
        "from uuid import UUID",
        "def f(now):\n    return now()",
    ],
)
def test_what_a_pure_package_may_do(source: str) -> None:
    assert purity_faults("decoders.x", source, "x") == []
