"""`iotlink spec diff`: what changes between two specs for those who read the records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from decoders.product import CompiledProduct
from decoders.spec.diff import Effect, diff
from gateway.cli.catalog import SpecsOption, open_product
from gateway.cli.output import EXIT_FAILED, JsonOption, Output, chosen, print_error, print_json, print_rows
from gateway.specs import load_spec


def compare(
    before: Annotated[str, typer.Argument(metavar="A", help="A spec's folder or file, or the id of a product.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The same, later.")],
    specs: SpecsOption = None,
    output: Annotated[Output | None, typer.Option("--output", help="table | json | ndjson")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which messages, values, units, ranges and names changed, and whether consumers of the records notice.

    Exit code 1 when something breaks and `version` was not raised.
    """
    one, other = _spec(before, specs), _spec(after, specs)
    found = diff(one, other)
    rows = [change.to_plain() for change in found.changes]
    if as_json or chosen(output) is Output.JSON:
        counts = {effect.value: sum(change.effect is effect for change in found.changes) for effect in Effect}
        versions = {"before": one.version, "after": other.version, "raised": found.raised}
        print_json({"breaking": found.breaking, "version": versions, "counts": counts, "changes": rows})
    else:
        print_rows(rows, ("effect", "place", "change"), output)
    if found.breaking and not found.raised:
        print_error(f"consumers of the records break, and `version` is still {other.version}: raise it")
        raise typer.Exit(EXIT_FAILED)


def _spec(given: str, specs: Sequence[Path] | None) -> CompiledProduct:
    """Raises SpecError and UnknownProduct."""
    path = Path(given)
    if path.exists():
        return load_spec(path, specs or []).product
    return open_product(specs, given).product
