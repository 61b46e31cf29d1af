"""Whose page made a browser send a request, by the headers that browsers set and pages cannot.

Place in the walk: asked by the guards of the REST face and of the operations API.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

__all__ = ["host_name", "is_cross_site", "origin_name", "origin_site"]

_OWN = frozenset({"none", "same-origin"})
"""What `Sec-Fetch-Site` says of a user's own doing and of the server's own pages (W3C Fetch Metadata, section 2.4)."""

_NOTHING = urlsplit("")


def host_name(host: str) -> str:
    """The name in a Host header (RFC 9110, 7.2), without port and brackets; "" if there is none."""
    return _split(f"//{host}").hostname or ""


def origin_name(origin: str) -> str:
    """The host's name in an Origin header (RFC 6454, 7); "" if there is none, as in `null`."""
    return _split(origin).hostname or ""


def origin_site(origin: str) -> str:
    """Host and port in an Origin header, as a Host header has them; "" if there is none."""
    return _split(origin).netloc


def is_cross_site(fetch_site: str | None) -> bool:
    """fetch_site: the header `Sec-Fetch-Site`; None where the client is no browser, or an old one."""
    return fetch_site is not None and fetch_site not in _OWN


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError:
        return _NOTHING
