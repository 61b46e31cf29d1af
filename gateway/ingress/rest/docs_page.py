"""The OpenAPI document as a page for people: plain HTML with its style in it, no script, nothing from elsewhere.

Place in the walk: made once from the document. `PAGE_POLICY` allows the page's own style by its digest and nothing
else; links within the page are all it has.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from gateway.ingress.rest.openapi import document

__all__ = ["PAGE_POLICY", "page_bytes", "page_of"]

Json = Mapping[str, Any]

_STYLE = """\
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --mark: light-dark(#0b5cad, #7ab8ff);
  --get: light-dark(#0a6b3d, #6fd3a0); --text: system-ui, -apple-system, "Segoe UI", sans-serif; }
body { font: 15px/1.55 var(--text); margin: 0 auto; max-width: 60rem; padding: 1rem 1.5rem 6rem; }
h1 { font-size: 1.8rem; margin-bottom: .5rem; } h2 { font-size: 1.35rem; margin: 3.5rem 0 0; }
h3 { font-size: 1.05rem; margin: 2.2rem 0 .4rem; } h4 { font-size: .95rem; margin: 1.3rem 0 .3rem; }
a { color: var(--mark); text-decoration: none; } a:hover { text-decoration: underline; }
code, pre { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
p code, td code { background: var(--soft); border-radius: 3px; padding: .1em .25em; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0;
  overflow-x: auto; padding: .7rem .9rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top; }
td, th { padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); }
th { font-size: .8rem; font-weight: 600; opacity: .7; } tr > :last-child { padding-right: 0; }
td:first-child { white-space: nowrap; } section { border-top: 1px solid var(--line); margin-top: 2.2rem; }
section h3 code { font-size: 15px; } nav ul { list-style: none; padding: 0; margin: 1.2rem 0; }
nav li { padding: .12rem 0; } nav code { display: inline-block; min-width: 21rem; }
.verb { font-weight: 700; display: inline-block; min-width: 3.6rem; color: var(--mark); }
.get { color: var(--get); } details { margin: .4rem 0; } summary { cursor: pointer; } .soft { opacity: .7; }
@media (max-width: 40rem) { nav code { display: block; } td:first-child { white-space: normal; } }
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the page."""

_CODE = re.compile(r"`([^`]+)`")
_STRONG = re.compile(r"\*\*([^*]+)\*\*")
_NOT_OF_URLS = re.compile(r"[^A-Za-z0-9]+")


@cache
def page_bytes() -> bytes:
    """The page of this face's document."""
    return page_of(document()).encode()


def page_of(api: Json) -> str:
    """The page of a document as `openapi.document` makes it."""
    info = api["info"]
    parts = [
        f"<h1>{_text(info['title'])} <span class='soft'>{_text(info['version'])}</span></h1>",
        _prose(info["description"]),
        "<p>For programs: <a href='openapi.json'>openapi.json</a> (OpenAPI 3.1).</p>",
        _contents(api),
    ]
    for tag in api["tags"]:
        parts.append(f"<h2>{_text(tag['description'].rstrip('.'))}</h2>")
        parts += [_call(api, *call) for call in _calls(api) if tag["name"] in call[2]["tags"]]
    parts.append("<h2>Bodies and answers</h2>")
    parts += [_schema(name, schema) for name, schema in api["components"]["schemas"].items()]
    parts += ["<h2>Errors</h2>", _problems(api)]
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{_text(info['title'])}</title>"
    body = "\n".join(parts)
    return (
        f"<!doctype html>\n<html lang=en><head>{head}<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _calls(api: Json) -> list[tuple[str, str, Json]]:
    return [(path, verb, call) for path, verbs in api["paths"].items() for verb, call in verbs.items()]


def _contents(api: Json) -> str:
    items = [
        f"<li><a href='#{_anchor(call['operationId'])}'>{_line_of(path, verb)}</a> {_text(call['summary'])}</li>"
        for path, verb, call in _calls(api)
    ]
    return f"<nav><ul>{''.join(items)}</ul></nav>"


def _line_of(path: str, verb: str) -> str:
    return f"<code><span class='verb {verb}'>{verb.upper()}</span> {_text(path)}</code>"


def _call(api: Json, path: str, verb: str, call: Json) -> str:
    parts = [
        f"<section id='{_anchor(call['operationId'])}'>",
        f"<h3>{_line_of(path, verb)}</h3>",
        f"<p><b>{_text(call['summary'])}.</b> {_prose_line(call['description'])}</p>",
    ]
    if not call["security"]:
        parts.append("<p class=soft>Anybody may call this.</p>")
    if call["parameters"]:
        rows = [
            (
                f"<code>{_text(one['name'])}</code>",
                _text(one["in"]),
                _prose_line(one["description"]),
                _kind(one["schema"]),
            )
            for one in call["parameters"]
        ]
        parts.append(_table(("Parameter", "In", "Meaning", "Kind"), rows))
    shown = "open"  # the first example
    for media, content in call.get("requestBody", {}).get("content", {}).items():
        kind = "" if content["schema"].get("type") == "string" else f": {_kind(content['schema'])}"
        parts.append(f"<h4>Body <code>{_text(media)}</code>{kind}</h4>")
        for example in content.get("examples", {}).values():
            sent = _text(_curl(path, verb, call, media, example["value"]))
            parts.append(f"<details {shown}><summary>{_text(example['summary'])}</summary><pre>{sent}</pre></details>")
            shown = ""
    rows, errors = [], []
    for status, answer in call["responses"].items():
        if "$ref" in answer:
            errors.append(f"<a href='#error-{status}'><code>{status}</code></a>")
            continue
        content = next(iter(answer["content"].values()))
        kind = _kind(content["schema"])
        rows.append((f"<code>{status}</code>", _prose_line(answer["description"]), kind, _examples(content)))
    parts += ["<h4>Answers</h4>", _table(("Status", "Meaning", "Kind", "Examples"), rows)]
    if errors:
        parts.append(f"<p>Errors, as <a href='#Problem'>Problem</a>: {', '.join(errors)}</p>")
    parts.append("</section>")
    return "\n".join(parts)


def _examples(content: Json) -> str:
    shown = content.get("examples", {})
    return "".join(
        f"<details><summary>{_text(example['summary'])}</summary><pre>{_text(_json(example['value']))}</pre></details>"
        for example in shown.values()
    )


def _curl(path: str, verb: str, call: Json, media: str, body: Any) -> str:
    """The call for a shell. The key is a variable there."""
    query = []
    for one in call["parameters"]:
        if "example" not in one:
            continue
        if one["in"] == "path":
            path = path.replace("{" + one["name"] + "}", str(one["example"]))
        else:
            query.append(f"{one['name']}={one['example']}")
    url = f"$GATEWAY{path}" + (f"?{'&'.join(query)}" if query else "")
    text = body if isinstance(body, str) else _json(body)
    quoted = text.replace("'", "'\\''")
    return (
        f'curl -X {verb.upper()} "{url}" \\\n  -H "Authorization: Bearer $KEY" -H "Content-Type: {media}" \\\n'
        f"  --data-binary '{quoted}'"
    )


def _schema(name: str, schema: Json) -> str:
    parts = [f"<h3 id='{_anchor(name)}'>{_text(name)}</h3>"]
    if "description" in schema:
        parts.append(f"<p>{_prose_line(schema['description'])}</p>")
    needed = schema.get("required", ())
    rows = [
        (
            f"<code>{_text(field)}</code>{'' if field in needed else ' <span class=soft>may be missing</span>'}",
            _prose_line(one.get("description", "")),
            _kind(one),
        )
        for field, one in schema.get("properties", {}).items()
    ]
    parts.append(_table(("Name", "Meaning", "Kind"), rows) if rows else f"<p>{_kind(schema)}</p>")
    return "\n".join(parts)


def _problems(api: Json) -> str:
    rows = []
    for name, answer in api["components"]["responses"].items():
        status = _text(name.removeprefix("Problem"))
        example = next(iter(answer["content"].values()))["example"]
        shown = f"<details><summary>Example</summary><pre>{_text(_json(example))}</pre></details>"
        rows.append((f"<code id='error-{status}'>{status}</code>", _prose_line(answer["description"]), shown))
    return _table(("Status", "Meaning", ""), rows)


def _kind(schema: Json) -> str:
    """What a schema allows, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"<a href='#{_anchor(name)}'>{_text(name)}</a>"
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return " or ".join(_kind(one) for one in schema[several])
    if "const" in schema:
        return f"<code>{_text(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return ", ".join(f"<code>{_text(str(word))}</code>" for word in schema["enum"])
    kinds = schema.get("type", "any JSON")
    if kinds == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    said = " or ".join(kinds) if isinstance(kinds, list) else kinds
    bounds = [f"{word} {schema[key]}" for key, word in _BOUNDS if key in schema]
    return _text(", ".join([said, *bounds]))


_BOUNDS = (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"))


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table><tr>{head}</tr>\n{body}</table>"


def _prose(text: str) -> str:
    return "\n".join(f"<p>{_prose_line(part)}</p>" for part in text.strip().split("\n\n"))


def _prose_line(text: str) -> str:
    """Of the document's Markdown: `code` and **strong**."""
    return _STRONG.sub(r"<b>\1</b>", _CODE.sub(r"<code>\1</code>", _text(text)))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _text(text: str) -> str:
    return html.escape(text)


def _anchor(name: str) -> str:
    return _NOT_OF_URLS.sub("-", name)
