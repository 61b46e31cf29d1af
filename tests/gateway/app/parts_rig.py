"""The parts of a gateway that is not running, for what makes its faces from the settings."""

from __future__ import annotations

import functools
from pathlib import Path

import yaml

from decoders.catalog import Catalog
from gateway.access.admission import Admission, Provisioning
from gateway.app.gateway import load_directory
from gateway.app.parts import Parts
from gateway.delivery.dead_letters import DeadLetterStore
from gateway.delivery.setup import make_outbox
from gateway.domain.errors import ConfigError
from gateway.ingress.clock import Clock, IdSource
from gateway.ingress.flow import Flow
from gateway.observe.metrics import Metrics
from gateway.observe.tap import Tap
from gateway.pipeline.chain import Chain
from gateway.pipeline.shape import Numbering, Shaper
from gateway.settings.load import Loaded, load_settings
from gateway.specs import load_catalog
from tests.e2e.rig import Json


@functools.cache
def thermo() -> Catalog:
    """One product with frames, one of JSON, and one that has no TCP."""
    return load_catalog(only=["example_thermo", "generic_json", "dragino_lht65"])


def loaded_from(folder: Path, sections: Json) -> Loaded:
    """Settings out of a file, so that every value has its place."""
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump(sections, sort_keys=False, default_flow_style=False), "utf-8")
    return load_settings(path, [f"gateway.data_dir={folder / 'data'}", "observe.port=0", "admin.port=0"], {})


def parts_of(folder: Path, sections: Json, catalog: Catalog | None = None) -> Parts:
    settings = loaded_from(folder, sections).settings
    directory = load_directory(settings)
    metrics = Metrics()
    letters = DeadLetterStore(settings.dead_letters.dir, metrics.dead_letters, max_bytes=1 << 20)
    outbox = make_outbox(settings, "gw", letters, metrics, {})
    chain = Chain(Shaper(Numbering("gw", 1), settings.gateway.env, directory))
    admission = Admission(directory, Provisioning(settings.provisioning))
    flow = Flow(chain, outbox)
    found = catalog or thermo()
    return Parts(settings, found, directory, admission, flow, outbox, metrics, Tap(), Clock(), IdSource())


def line_of(folder: Path, sections: Json, error: ConfigError) -> str:
    """The line of the file that an operator is sent to: `serve` puts its place before the text."""
    place, _, text = loaded_from(folder, sections).placed(error).partition(": ")
    assert text == str(error)
    path, _, line = place.rpartition(":")
    assert path == str(folder / "gateway.yaml")
    return (folder / "gateway.yaml").read_text("utf-8").splitlines()[int(line) - 1].strip(" -")
