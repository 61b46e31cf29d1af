from __future__ import annotations

from xml.etree import ElementTree

from loadtest.faults.balance import Balance
from loadtest.fleet.report import html
from tests.loadtest.fleet.outcomes import outcome

XHTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"


def page(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.partition("\n")[2])  # without the doctype


def words(element: ElementTree.Element) -> str:
    return " ".join(element.itertext())


def test_the_page_is_well_formed_and_has_the_figures() -> None:
    text = words(page(html(outcome())))
    for figure in ("made-up: A <made up> run & more", "1001 of 1001", "50.00 s per 100,000 frames", "9.0 KiB", "p99.9"):
        assert figure in text
    assert "2 times: tcp: <odd>" in text
    assert "2 s to 4 s: sink away" in text
    assert "missed" in text


def test_plots_are_there_for_what_was_measured() -> None:
    root = page(html(outcome()))
    names = [one.get("aria-label") for one in root.iter(f"{SVG}svg")]
    assert names == [
        "Frames",
        "Due to answered",
        "Due to in the sink",
        "CPU of the gateways",
        "Memory of the gateways",
        "Owed to the sink",
        "Sessions, and frames that wait",
    ]
    first = next(root.iter(f"{SVG}svg"))
    assert len(list(first.iter(f"{SVG}polyline"))) == 3
    assert len([one for one in first.iter(f"{SVG}rect") if one.get("class") == "mark"]) == 1


def test_nothing_comes_from_outside() -> None:
    text = html(outcome())
    assert "<script" not in text
    assert "src=" not in text
    assert "http" not in text.replace("http://www.w3.org/", "")


def test_a_loss_is_seen_at_once() -> None:
    lost = Balance(sent=2, acknowledged=2, arrived=1, lost=1, examples=["d: frame 2 of 2 is lost"])
    text = words(page(html(outcome(balance=lost, problems=["it went wrong"]))))
    for part in ("does not hold", "1 of the acknowledged ones are lost", "d: frame 2 of 2 is lost", "it went wrong"):
        assert part in text


def test_a_run_without_samples_still_has_a_page() -> None:
    text = words(page(html(outcome(samples=[], counts={}, happened=[], checked=False))))
    assert "Frames: no data." in text
    assert "nobody looked into the sink" in text
