"""The page for people: all calls are on it, its links lead somewhere, and no text of the document is taken for HTML."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from html.parser import HTMLParser

from gateway.ingress.rest.docs_page import PAGE_POLICY, page_bytes, page_of
from gateway.ingress.rest.openapi import document

PAGE = page_bytes().decode()


class Reader(HTMLParser):
    """Elements, links and ids; raises for elements that are not closed in order."""

    VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {value or "" for name, value in attrs if name == "href"}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_it_is_sound_and_needs_no_script() -> None:
    reader = read(PAGE)
    assert not reader.tags & {"script", "link", "img", "iframe"}
    assert not {name for name in reader.attributes if name.startswith("on") or name == "style"}
    assert len(set(reader.ids)) == len(reader.ids)
    assert reader.links - {"openapi.json"} <= {f"#{name}" for name in reader.ids}


def test_its_policy_allows_its_own_style_alone() -> None:
    [style] = re.findall(r"<style>(.*?)</style>", PAGE, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in PAGE_POLICY
    assert "unsafe" not in PAGE_POLICY
    assert PAGE_POLICY.startswith("default-src 'none'")


def test_every_call_and_component_is_on_it() -> None:
    api = document()
    for path, verbs in api["paths"].items():
        for verb, call in verbs.items():
            assert f"<section id='{call['operationId']}'>" in PAGE
            assert f"{verb.upper()}</span> {path}" in PAGE
            assert all(f"id='error-{status}'" in PAGE for status in call["responses"] if status >= "4")
    for name in api["components"]["schemas"]:
        assert f"<h3 id='{name}'>" in PAGE
    assert "curl -X POST" in PAGE
    assert "$GATEWAY/v1/frames/example_thermo?device_id=004512345678" in PAGE


def test_texts_are_no_html() -> None:
    api = copy.deepcopy(document())
    api["info"]["title"] = "<script>alert(1)</script>"
    call = api["paths"]["/v1/telemetry"]["post"]
    call["summary"] = call["description"] = "`<b onclick=x>` **<i>**"
    content = call["requestBody"]["content"]["application/json"]
    content["examples"]["one"]["value"] = {"a": "'; </pre><script>"}
    reader = read(page_of(api))
    assert not reader.tags & {"script", "i"}
    assert "onclick" not in reader.attributes
