"""`iotlink sim`: a simulated fleet, built from the specs' golden frames."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from decoders.catalog import UnknownProduct
from gateway.cli.catalog import SpecsOption, memory, open_catalog
from gateway.cli.output import EXIT_FAILED, Output, chosen, fail, print_error, print_json, print_line, print_rows
from gateway.simulate.fleet import FleetPlan, FleetReport, run_fleet
from gateway.simulate.templates import Script, scripts_of
from gateway.specs import prove_once

HostOption = Annotated[str, typer.Option("--host", help="Where the gateway listens.")]
PortOption = Annotated[int, typer.Option("--port", min=1, max=65535, help="Its port.")]


def sim(
    host: HostOption = "127.0.0.1",
    port: PortOption = 5023,
    products: Annotated[str, typer.Option(help="Ids, with commas; none: all products that speak TCP.")] = "",
    devices: Annotated[int, typer.Option("--devices", "-n", min=1, max=200_000, help="How many devices.")] = 10,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Frames of each device. Default: 100, or no end with --duration.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="Frames a second of all devices; 0: each after an answer.")] = 0,
    duration: Annotated[float, typer.Option(min=0, metavar="S", help="Seconds; 0: until all frames are sent.")] = 0,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="S", help="Wait so long for the last answers.")] = 10,
    specs: SpecsOption = None,
    output: Annotated[Output | None, typer.Option("--output", help="table | json | ndjson")] = None,
) -> None:
    """Play a fleet of devices and sum up what was answered. Exit code 1 when an answer was missing or wrong."""
    scripts = load_scripts([name.strip() for name in products.split(",") if name.strip()], specs)
    count = frames or (0 if duration else 100)
    plan = FleetPlan(host, port, devices, count, rate, duration, timeout)
    report = run(plan, scripts)
    if not report.connected:
        fail("; ".join(report.errors))
    _print(report.to_plain(), output)
    for error, count in report.errors.items():
        print_error(f"{error} ({count} times)" if count > 1 else error)
    if not report.ok:
        raise typer.Exit(EXIT_FAILED)


def load_scripts(products: list[str], specs: Any = None) -> list[Script]:
    """The scripts of these products in turn; without names of all that speak TCP and have golden frames.

    Raises SpecError, and UnknownProduct also for a named product that has no golden frame to send.
    """
    catalog = open_catalog(specs, products or None)
    prove_once(catalog, memory())
    scripts: list[Script] = []
    for product in catalog.candidates(products, "tcp"):
        made = scripts_of(catalog.find(product.id))
        if products and not made:
            raise UnknownProduct(f"the product `{product.id}` has no golden frame that a device could send")
        scripts += made
    if not scripts:
        raise UnknownProduct("no product has golden frames that a device could send over TCP")
    return scripts


def run(plan: FleetPlan, scripts: list[Script]) -> FleetReport:
    """Plays the fleet on uvloop, or on asyncio's own loop where uvloop is not to be had."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(run_fleet(plan, scripts))
    return uvloop.run(run_fleet(plan, scripts))


def _print(plain: dict[str, Any], output: Output | None) -> None:
    match chosen(output):
        case Output.JSON:
            print_json(plain)
        case Output.NDJSON:
            print_line(plain)
        case Output.TABLE:
            plain.pop("errors", None)
            rows = [{"": name.replace("_", " "), "value": value} for name, value in plain.items()]
            print_rows(rows, ("", "value"), Output.TABLE)
