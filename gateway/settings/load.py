"""From file, environment and `--set` to Settings: the first thing that `serve` does.

Order: `--set`, then `IOTLINK_` variables with `__` for each step down, then the file, then the defaults.
pydantic-settings could read these sources, but it forgets where each value stood; here an error names the line, the
variable or the override, and an index may reach into a list.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from decoders.errors import SpecError, SpecProblem
from decoders.spec.model_walk import choices_of, step
from decoders.spec.source import load, scalar, validate
from gateway.domain.errors import ConfigError
from gateway.settings import layers as layer
from gateway.settings.layers import Layers, dotted, leaves
from gateway.settings.model import DEFAULT_DATA_DIR, Settings, default_connections
from gateway.settings.references import is_reference, resolve
from gateway.settings.rest import DEFAULT_REST_PORT
from gateway.settings.rules import broken_rules
from gateway.settings.unavailable import unavailable_values

PREFIX = "IOTLINK_"
NO_SETTINGS = frozenset({"IOTLINK_CACHE_DIR"})
"""Variables with the prefix that configure no gateway: where this machine remembers proofs (`gateway.specs`)."""

STDIN = Path("-")

_DEFAULT_LISTENERS = {
    "tcp": {"name": "tcp", "host": "127.0.0.1", "port": 5023, "max_connections": 1000},
    "mqtt": {"name": "mqtt", "host": "127.0.0.1", "port": 1883, "max_connections": 1000},
    "rest": {"name": "rest", "host": "127.0.0.1", "port": DEFAULT_REST_PORT, "max_connections": 1000},
}
"""Of a face that is mentioned without its listeners; of all where the file mentions no face and no source."""
_DEFAULT_SINK = "local"


@dataclass(slots=True, frozen=True)
class Loaded:
    """The settings, and where each came from.

    origin: by dotted path of every single value: `file:line`, `env IOTLINK_X`, `--set` or `default`.
    references: by dotted path, the text with `${...}` that stood where a secret was put in.
    """

    settings: Settings
    origin: dict[str, str]
    references: dict[str, str] = field(default_factory=dict)

    def placed(self, error: ConfigError) -> str:
        """The error's text, after the place of its setting if it names one that somebody wrote."""
        inside = f"{error.setting}."  # a section has the place of the first of its settings that was written
        places = [self.origin.get(error.setting, layer.DEFAULT)]
        places += [origin for path, origin in self.origin.items() if error.setting and path.startswith(inside)]
        origin = next((place for place in places if place != layer.DEFAULT), "")
        return f"{origin}: {error}" if origin else str(error)

    def effective(self, *, redacted: bool) -> dict[str, Any]:
        """Plain data of all settings. redacted: `${...}` as it was written instead of what it stands for."""
        data: dict[str, Any] = self.settings.model_dump(mode="json")
        for path, _ in list(leaves(data)) if redacted else ():
            if (text := self.references.get(dotted(path))) is not None:
                container: Any = data
                for item in path[:-1]:
                    container = container[item]
                container[path[-1]] = text
        return data


def load_settings(path: Path | None, overrides: Sequence[str], environ: Mapping[str, str]) -> Loaded:
    """path: the YAML file, `-` for stdin, None for none. overrides: `a.b=value`, YAML values.

    Raises ConfigError whose text has one line per problem: `file:line:column: path: what is wrong (what to do)`.
    """
    try:
        layers, problems = _merge(path, overrides, environ)
        return _build(layers, problems)
    except SpecError as error:
        raise ConfigError(str(error)) from None


def settings_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the configuration file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}


def _merge(path: Path | None, overrides: Sequence[str], environ: Mapping[str, str]) -> tuple[Layers, list[SpecProblem]]:
    layers = Layers()
    if path is not None:
        source, text = _read(path)
        layers.put_document(load(text, source))
    sinks_by_file = layers.get(("sinks",)) is not None
    problems: list[SpecProblem] = []
    mentioned = [face for face in _DEFAULT_LISTENERS if layers.get((face,)) is not None]
    mentioned += ["sources"] if layers.get(("sources",)) else []
    for face, listener in _DEFAULT_LISTENERS.items():
        section = layers.get((face,))
        wanted = face in mentioned if mentioned else True
        if wanted and isinstance(section or {}, dict) and layers.get((face, "listeners")) is None:
            layers.put((face, "listeners"), [dict(listener)], layer.DEFAULT)
    if not sinks_by_file:
        layers.put(("sinks", _DEFAULT_SINK), {"type": "file"}, layer.DEFAULT)
    for name in sorted(name for name in environ if name.startswith(PREFIX) and name not in NO_SETTINGS):
        parts = name.removeprefix(PREFIX).lower().split("__")
        problems += _override(layers, parts, environ[name], f"env {name}")
    for text in overrides:
        target, equals, value = text.partition("=")
        if not equals or not all(target.split(".")):
            problems.append(SpecProblem("--set", 0, 0, "", f"expected a.b=value, got '{target}'"))
        else:
            problems += _override(layers, target.split("."), value, f"--set {target}")
    sink_path = ("sinks", _DEFAULT_SINK)
    sinks = layers.get(("sinks",))
    others = isinstance(sinks, dict) and len(sinks) > 1 and _DEFAULT_SINK in sinks
    if not sinks_by_file and others and not layers.is_set(sink_path):
        layers.remove(sink_path)
    problems += layers.expand(lambda place, text: _resolve(place, text, environ))
    _derive_folders(layers)
    _derive_connections(layers)
    return layers, problems


def _build(layers: Layers, problems: list[SpecProblem]) -> Loaded:
    problems += [layers.problem(path, message) for path, message in unavailable_values(layers.data)]
    reported = {problem.path for problem in problems if problem.path}
    settings: Settings | None = None
    try:
        settings = validate(Settings, layers)
    except SpecError as error:
        problems += [problem for problem in error.problems if problem.path not in reported]
    if settings is not None and not problems:
        problems += broken_rules(settings, layers)
    if settings is None or problems:
        raise SpecError(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    origin = {dotted(path): layers.origin(path) for path, _ in leaves(settings.model_dump(mode="json"))}
    references = {dotted(path): text for path, text in layers.references.items()}
    return Loaded(settings, origin, references)


def _read(path: Path) -> tuple[str, str]:
    """Name and text of the file."""
    if path == STDIN:
        return "<stdin>", sys.stdin.read()
    try:
        return str(path), path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the configuration is not UTF-8 text (byte {error.start})") from None


def _override(layers: Layers, path: Sequence[str], text: str, name: str) -> list[SpecProblem]:
    shown = ".".join(path)
    try:
        value: Any = load(text, name).data
    except SpecError as error:
        if not _takes_text(path):
            return [SpecProblem(name, 0, 0, shown, problem.message, problem.hint) for problem in error.problems]
        value = text
    if _takes_text(path) and value is not None and not isinstance(value, str):
        value = text
    try:
        layers.put(path, value, name)
    except ValueError as error:
        return [SpecProblem(name, 0, 0, shown, str(error))]
    return []


def _takes_text(path: Sequence[str | int]) -> bool:
    """True when nothing but text may stand there: `--set gateway.id=7` then means the text."""
    choices = choices_of(Settings)
    for item in path:
        text = str(item)
        choices = step(choices, int(text) if text.isdecimal() else text)
    return bool(choices) and all(choice.type in (str, Path, SecretStr) for choice in choices)


def _resolve(path: layer.Path, text: str, environ: Mapping[str, str]) -> Any:
    value = resolve(text, environ)
    return value if _takes_text(path) or not is_reference(text) else scalar(value)


def _derive_folders(layers: Layers) -> None:
    """Folders that nobody named stand in `gateway.data_dir`."""
    sinks = layers.get(("sinks",))
    taken = False
    for name, sink in sinks.items() if isinstance(sinks, dict) else ():
        if isinstance(sink, dict) and sink.get("type") == "file" and "dir" not in sink:
            _derive(layers, ("sinks", str(name), "dir"), f"records_{name}" if taken else "records")
            taken = True
    for section in ("dead_letters", "spool"):
        found = layers.get((section,))
        if found is None or (isinstance(found, dict) and "dir" not in found):
            _derive(layers, (section, "dir"), section)


def _derive_connections(layers: Layers) -> None:
    """Listeners that do not say how many connections they hold share what the limit of open files leaves."""
    promised, silent = 0, []
    for face in _DEFAULT_LISTENERS:
        listeners = layers.get((face, "listeners"))
        for index, listener in enumerate(listeners) if isinstance(listeners, list) else ():
            if not isinstance(listener, dict):
                continue
            said = listener.get("max_connections")
            if isinstance(said, int):
                promised += said
            elif "max_connections" not in listener:
                silent.append((face, "listeners", str(index), "max_connections"))
    for path in silent:
        layers.put(path, default_connections(len(silent), promised), layer.DEFAULT)


def _derive(layers: Layers, path: tuple[str, ...], folder: str) -> None:
    source = ("gateway", "data_dir")
    data_dir = layers.get(source)
    layers.put(path, str((Path(data_dir) if isinstance(data_dir, str) else DEFAULT_DATA_DIR) / folder), layer.DEFAULT)
    if source in layers.references:
        layers.references[path] = f"{layers.references[source]}/{folder}"
