"""`iotlink spec docs | header | reference`: pages for people, a C header for firmware, the tables of the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decoders.spec.header import header_text
from decoders.spec.page import product_page
from decoders.spec.reference import missing_tables, reference_tables, with_tables
from gateway.cli.catalog import SpecsOption, open_product
from gateway.cli.output import EXIT_FAILED, EXIT_USAGE, fail

ProductArgument = Annotated[str, typer.Argument(metavar="PRODUCT", help="Id of the product.")]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write here; default: stdout.")]
VariantOption = Annotated[str, typer.Option(help="A variant of the product.")]


def docs(product: ProductArgument, out: OutOption = None, specs: SpecsOption = None) -> None:
    """Print a page for people, in Markdown: frames, messages, names, replies, contract, examples decoded."""
    _give(product_page(open_product(specs, product)), out)


def header(
    product: ProductArgument, out: OutOption = None, variant: VariantOption = "", specs: SpecsOption = None
) -> None:
    """Print a C header (C99): packed structs of fixed layouts, and constants."""
    forms = open_product(specs, product).forms()
    if variant not in forms:
        known = ", ".join(name for name in forms if name) or "none"
        fail(f"no variant `{variant}` of {product} (there are: {known})", EXIT_USAGE)
    _give(header_text(forms[variant]), out)


def reference(
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Renew the generated tables of this file.")
    ] = None,
) -> None:
    """Print the generated tables of the language reference, or renew them in a file."""
    if write is None:
        for name, table in reference_tables().items():
            typer.echo(f"{name}\n\n{table}\n")
        return
    try:
        text = write.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        fail(f"{write} is no UTF-8 text", EXIT_FAILED)
    if missing := missing_tables(text):
        fail(f"{write} has no marker `<!-- generated: {missing[0]} -->`", EXIT_FAILED)
    _give(with_tables(text), write)


def _give(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
