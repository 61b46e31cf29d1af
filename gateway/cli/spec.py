"""`iotlink spec ls | lint | test | show | schema`; the commands that write or compare have modules of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from decoders.proven import apply_proof, codec_report, message_report
from decoders.spec.codec_text import construct_text, generated_text
from decoders.spec.lint import Finding, lint, lint_together
from decoders.spec.schema import spec_schema
from decoders.spec.show import layout_rows
from decoders.trial import Trial, try_product
from gateway.cli.catalog import SpecsOption, memory, open_catalog, open_product
from gateway.cli.output import (
    EXIT_CODES,
    EXIT_FAILED,
    EXIT_USAGE,
    JsonOption,
    Output,
    chosen,
    fail,
    print_error,
    print_json,
    print_rows,
)
from gateway.cli.spec_diff import compare
from gateway.cli.spec_new import new
from gateway.cli.spec_pages import docs, header, reference

app = typer.Typer(
    no_args_is_help=True, epilog=EXIT_CODES, help="List, write, check, test, show and compare product specs."
)
app.command("new", epilog=EXIT_CODES)(new)
app.command("diff", epilog=EXIT_CODES)(compare)
app.command("docs", epilog=EXIT_CODES)(docs)
app.command("header", epilog=EXIT_CODES)(header)
app.command("reference", hidden=True)(reference)

OutputOption = Annotated[Output | None, typer.Option("--output", help="table | json | ndjson")]
ProductsArgument = Annotated[list[str] | None, typer.Argument(metavar="[PRODUCT...]", help="Ids; none: all products.")]


@app.command("ls", epilog=EXIT_CODES)
def list_products(specs: SpecsOption = None, output: OutputOption = None) -> None:
    """List all products."""
    rows = []
    proofs = memory()
    for product_id, loaded in open_catalog(specs).products.items():
        spec = loaded.product.spec
        proven = proofs.find(loaded)
        if proven is not None:
            apply_proof(loaded, proven)
        codecs = message_report(codec_report(loaded, proven))
        rows.append(
            {
                "product": product_id,
                "version": spec.version,
                "title": spec.title,
                "transports": list(spec.transports),
                "messages": len(spec.messages),
                "variants": list(spec.variants),
                "fused": None if proven is None else sum(not why for why in codecs.values()),
                "golden": sum(len(file.cases) + len(file.builds) for file in loaded.golden.values()),
                "file": loaded.source,
            }
        )
    print_rows(rows, ("product", "version", "title", "transports", "messages", "fused", "golden"), output)


@app.command("test", epilog=EXIT_CODES)
def run_tests(products: ProductsArgument = None, specs: SpecsOption = None, output: OutputOption = None) -> None:
    """Run all golden frames on both codecs and prove that they agree. Exit code 1 when something differs."""
    proofs = memory()
    trials = []
    for loaded in open_catalog(specs, products).products.values():
        trial = try_product(loaded)
        proofs.keep(loaded, trial.proven)
        trials.append(trial)
    if chosen(output) is Output.TABLE:
        columns = ("product", "cases", "passed", "inputs", "fused", "codecs")
        print_rows([_summary(trial) for trial in trials], columns, output)
    else:
        print_rows([trial.to_plain() for trial in trials], (), output)
    for trial in trials:
        for line in _complaints(trial):
            print_error(line)
    if not all(trial.ok for trial in trials):
        raise typer.Exit(EXIT_FAILED)


def _summary(trial: Trial) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for line in trial.kinds:
        counts[line.codec] = counts.get(line.codec, 0) + 1
    whys = dict.fromkeys(line.why for line in trial.kinds if line.why)
    codecs = ", ".join(f"{codec} {count}" if len(trial.kinds) > 1 else codec for codec, count in counts.items())
    codecs += f" ({_short('; '.join(whys))})" if whys else ""
    plain = trial.to_plain()
    slow = "; ".join(_short(f"{name}: {why}") for name, why in plain["not_fused"].items())
    fused = f"{plain['fused']} of {plain['messages']}" + (f" ({slow})" if slow else "")
    return {**plain, "fused": fused, "codecs": codecs}


def _complaints(trial: Trial) -> list[str]:
    lines = []
    for failure in trial.failures:
        lines.append(f"{failure.place}: {trial.product}: case `{failure.case}` on {failure.codec}:")
        lines += [f"    {difference}" for difference in failure.differences]
    for variant, kind, text in trial.proven.disagreements:
        name = f"{trial.product} {variant}".strip()
        lines.append(f"{name}: the codecs disagree on a {kind} frame: {text}")
    return lines


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


@app.command("lint", epilog=EXIT_CODES)
def lint_products(
    products: ProductsArgument = None,
    specs: SpecsOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a spec should not say, or lacks. Exit code 1 for contradictions."""
    output = Output.JSON if as_json else output
    known = list(open_catalog(specs, products).products.values())
    findings = [*(finding for loaded in known for finding in lint(loaded)), *lint_together(known)]
    if chosen(output) is Output.TABLE:
        for finding in findings:  # no table: a place that can be clicked is not cut off
            typer.echo(_finding_line(finding))
        typer.echo(_sum_of(findings))
    else:
        print_rows([finding.to_plain() for finding in findings], (), output)
    if any(strict or finding.severity == "error" for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def _finding_line(finding: Finding) -> str:
    found = finding.problem
    place = f"{found.source}:{found.line}:{found.column}" if found.line else found.source
    path = f"{found.path}: " if found.path else ""
    return f"{place}: {finding.severity} {found.code}: {path}{found.message} ({found.hint})"


def _sum_of(findings: Sequence[Finding]) -> str:
    errors = sum(finding.severity == "error" for finding in findings)
    return f"{errors} errors, {len(findings) - errors} warnings"


@app.command("show", epilog=EXIT_CODES)
def show_product(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="Id of the product.")],
    construct: Annotated[bool, typer.Option("--construct", help="The definition of the reference codec.")] = False,
    generated: Annotated[bool, typer.Option("--generated", help="The source of the fast codec.")] = False,
    variant: Annotated[str, typer.Option(help="A variant of the product.")] = "",
    specs: SpecsOption = None,
    output: OutputOption = None,
) -> None:
    """Print a product's layout as a table, or its codecs."""
    forms = open_product(specs, product).forms()
    if variant not in forms:
        known = ", ".join(name for name in forms if name) or "none"
        fail(f"no variant `{variant}` of {product} (there are: {known})", EXIT_USAGE)
    form = forms[variant]
    if construct:
        typer.echo(construct_text(form))
    if generated:
        typer.echo(generated_text(form))
    if not construct and not generated:
        columns = ("frame", "offset", "size", "type", "name", "scale", "unit", "note")
        print_rows([row.to_plain() for row in layout_rows(form)], columns, output)


@app.command(epilog=EXIT_CODES)
def schema() -> None:
    """Print the JSON Schema of spec files, for editors."""
    print_json(spec_schema())
