"""What `serve` puts together before anything listens; the rest of it runs as a process in `tests/e2e`."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.cli.serve import build
from gateway.settings.load import load_settings
from tests.decoders.sensor import write_product


def test_proofs_of_own_specs_outlive_a_container_whose_image_is_read_only(
    specs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_product(specs)
    none_shipped = tmp_path / "shipped"
    none_shipped.mkdir()
    monkeypatch.setattr("gateway.specs.packaged_specs", lambda: none_shipped)
    (tmp_path / "cache").write_text("no folder: nothing can be written there")
    overrides = [f"gateway.data_dir={tmp_path / 'data'}", f"gateway.specs_dirs=[{specs}]"]
    settings = load_settings(None, overrides, {}).settings
    with capture_logs() as logs:
        build(settings)
        build(settings)
    assert [line["products"] for line in logs if line["event"] == "codecs_proven"] == [["sensor"]]
    assert len(list((tmp_path / "data" / "cache" / "proofs").iterdir())) == 1
