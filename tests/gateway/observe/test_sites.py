"""What headers of browsers say of the page that sent a request."""

from __future__ import annotations

import pytest

from gateway.observe.sites import host_name, is_cross_site, origin_name, origin_site


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("a.example", "a.example"),
        ("A.example:8080", "a.example"),
        ("[::1]:1", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("", ""),
        ("[", ""),
        ("[x]:1", ""),
    ],
)
def test_host(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    ("header", "name", "site"),
    [
        ("https://a.example", "a.example", "a.example"),
        ("http://localhost:3000", "localhost", "localhost:3000"),
        ("http://[::1]:1", "::1", "[::1]:1"),
        ("null", "", ""),
        ("", "", ""),
        ("http://[", "", ""),
    ],
)
def test_origin(header: str, name: str, site: str) -> None:
    assert (origin_name(header), origin_site(header)) == (name, site)


@pytest.mark.parametrize(
    ("said", "cross"),
    [(None, False), ("none", False), ("same-origin", False), ("same-site", True), ("cross-site", True), ("", True)],
)
def test_fetch_metadata(said: str | None, cross: bool) -> None:
    assert is_cross_site(said) is cross
