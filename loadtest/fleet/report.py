"""The report of a run: one HTML file with figures and plots, readable without a network.

Place in the walk: after the run; shows an outcome and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from xml.sax.saxutils import escape

from loadtest.fleet.histogram import Histogram
from loadtest.fleet.outcome import Outcome
from loadtest.fleet.plots import Line, Mark, plot
from loadtest.fleet.samples import Sample

__all__ = ["html"]

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1f2328; max-width: 920px; margin: 24px auto; padding: 0 16px; }
h1 { font-size: 22px; margin-bottom: 4px; } h2 { font-size: 17px; margin-top: 28px; }
table { border-collapse: collapse; margin: 8px 0; } td, th { padding: 3px 14px 3px 0; text-align: left; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
tr { border-bottom: 1px solid #e4e7eb; } svg { width: 100%; height: auto; margin: 10px 0; }
svg text { font: 11px system-ui, sans-serif; fill: #59636e; } svg text.title { font-size: 13px; fill: #1f2328; }
svg .grid { stroke: #e4e7eb; } svg .mark { fill: #d1570a; opacity: 0.14; }
.good { color: #1a7f37; } .bad { color: #cf222e; font-weight: 600; } .quiet { color: #59636e; }
"""
_PERCENTS = (50.0, 90.0, 99.0, 99.9, 99.99, 100.0)


def html(outcome: Outcome) -> str:
    """A whole page; well-formed XML as well, so that it can be checked."""
    scenario = outcome.scenario
    verdict = '<span class="good">holds</span>' if outcome.holds else '<span class="bad">does not hold</span>'
    machine = ", ".join(f"{name}: {value}" for name, value in outcome.machine.items())
    parts = [
        '<!DOCTYPE html>\n<html lang="en" xmlns="http://www.w3.org/1999/xhtml">\n<head>\n<meta charset="utf-8"/>',
        f"<title>{escape(scenario.scenario)}: load report</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        f"<h1>{escape(scenario.scenario)}: {escape(scenario.title)}</h1>",
        f'<p class="quiet">{escape(outcome.started_at)}. {escape(machine)}.</p>',
        f"<p>The balance {verdict}. {escape(_balance_words(outcome))}</p>",
        _problems(outcome),
        "<h2>Figures</h2>",
        _table((), outcome.figures(), numbers=False),
        _aims(outcome),
        "<h2>Durations</h2>",
        "<p>Counted from the moment at which each frame was due, not from when it was written: what was held up by a "
        "slow answer counts as waiting. Milliseconds.</p>",
        _durations(outcome),
        *_plots(outcome),
        "<h2>Connections and messages</h2>",
        _counts(outcome),
        _happened(outcome),
        "<h2>Scenario</h2>",
        f"<pre>{escape(scenario.model_dump_json(indent=1))}</pre>",
        "</body>\n</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _balance_words(outcome: Outcome) -> str:
    balance = outcome.balance
    if not outcome.checked:
        return f"{balance.acknowledged} of {balance.sent} frames were acknowledged; nobody looked into the sink."
    return (
        f"{balance.acknowledged} of {balance.sent} frames were acknowledged; {balance.arrived} are in the sink, "
        f"{balance.lost} of the acknowledged ones are lost, {balance.disordered} are out of order."
    )


def _problems(outcome: Outcome) -> str:
    texts = [*outcome.problems, *outcome.balance.examples]
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<ul class="bad">{items}</ul>' if items else ""


def _aims(outcome: Outcome) -> str:
    rows = [
        (aim.what, "-" if aim.found is None else f"{aim.found:g}", f"{aim.wanted:g}", "met" if aim.met else "missed")
        for aim in outcome.aims
    ]
    return "<h2>Aims</h2>\n" + _table(("", "is", "at most", ""), rows) if rows else ""


def _durations(outcome: Outcome) -> str:
    named: list[tuple[str, Histogram]] = [(f"answer, {name}", one) for name, one in outcome.answers.items()]
    named += [
        ("in the sink", outcome.until_sink),
        ("let in (connect to login)", outcome.logins),
        ("generator late", outcome.late),
    ]
    rows = [
        (name, f"{one.count}", f"{one.mean_ms:.2f}", *(f"{one.percentile(percent):.2f}" for percent in _PERCENTS))
        for name, one in named
        if one.count
    ]
    return _table(("", "count", "mean", *(f"p{percent:g}" for percent in _PERCENTS)), rows)


def _plots(outcome: Outcome) -> Iterable[str]:
    samples = outcome.samples
    marks = [Mark(one.at_s, one.until_s, one.what) for one in outcome.happened]

    def line(name: str, value: Callable[[Sample], float | None]) -> Line:
        return Line(name, [(one.at_s, value(one)) for one in samples])

    def part(of: Callable[[Sample], Sequence[float] | None], index: int) -> Callable[[Sample], float | None]:
        def value(one: Sample) -> float | None:
            three = of(one)
            return None if three is None else three[index]

        return value

    flow = [line("due", lambda one: one.sent), line("acknowledged", lambda one: one.answered)]
    if outcome.checked and any(one.in_sink for one in samples):
        flow.append(line("in the sink", lambda one: one.in_sink))
    yield plot("Frames", "a second", flow, marks=marks)
    names = ("p50", "p99", "greatest")
    answers = [line(name, part(lambda one: one.answer_ms, index)) for index, name in enumerate(names)]
    yield plot("Due to answered", "ms", answers, log=True, marks=marks)
    if any(one.sink_ms for one in samples):
        sink = [line(name, part(lambda one: one.sink_ms, index)) for index, name in enumerate(names)]
        yield plot("Due to in the sink", "ms", sink, log=True, marks=marks)
    if any(one.rss_mib for one in samples):
        yield plot("CPU of the gateways", "cores", [line("cores", lambda one: one.cpu)], marks=marks)
        yield plot("Memory of the gateways", "MiB", [line("resident", lambda one: one.rss_mib)], marks=marks)
    if any(one.backlog for one in samples):
        yield plot("Owed to the sink", "records", [line("records", lambda one: one.backlog)], marks=marks)
    standing = [line("sessions", lambda one: one.open), line("frames without answer", lambda one: one.waiting)]
    yield plot("Sessions, and frames that wait", "count", standing, marks=marks)


def _counts(outcome: Outcome) -> str:
    if not outcome.counts:
        return ""
    keys = [key for key in next(iter(outcome.counts.values())) if any(one[key] for one in outcome.counts.values())]
    rows = [(name, *(f"{counts[key]}" for key in keys)) for name, counts in outcome.counts.items()]
    table = _table(("", *(key.replace("_", " ") for key in keys)), rows)
    errors = "".join(f"<li>{count} times: {escape(error)}</li>" for error, count in outcome.errors.items())
    return table + (f"<ul>{errors}</ul>" if errors else "")


def _happened(outcome: Outcome) -> str:
    items = []
    for one in outcome.happened:
        until = "" if one.until_s is None else f" to {one.until_s:g} s"
        items.append(f"<li>{one.at_s:g} s{until}: {escape(one.what)}</li>")
    return f"<h2>What happened</h2>\n<ul>{''.join(items)}</ul>" if items else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = True) -> str:
    """numbers: all columns but the first hold some."""

    def line(tag: str, cells: Sequence[str]) -> str:
        style = ' class="number"' if numbers else ""
        rest = "".join(f"<{tag}{style}>{escape(cell)}</{tag}>" for cell in cells[1:])
        return f"<tr><{tag}>{escape(cells[0])}</{tag}>{rest}</tr>"

    lines = [line("th", head)] if head else []
    return "\n".join(["<table>", *lines, *(line("td", row) for row in rows), "</table>"])
