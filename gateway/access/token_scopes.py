"""What a token allows: claims of a verified JSON Web Token become a scope, by a rule per issuer.

Place in the walk: REST access has a token verified, then asks here who it names and what its words allow. Words are the
OAuth scopes (`scope` of RFC 8693 section 4.2, `scp`) and the roles or groups (`roles`, `groups`, `cognito:groups`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from gateway.access.quotas import QuotaLimits
from gateway.access.scopes import Call, Scope

__all__ = ["TokenRule", "token_scope", "token_subject"]

_SCOPES = ("scope", "scp")
_ROLES = ("roles", "groups", "cognito:groups")
_SUBJECTS = ("sub", "client_id", "azp")
_MAX_WORDS = 1_000
_MAX_SUBJECT = 256


@dataclass(slots=True, frozen=True)
class TokenRule:
    """One entry of `auth.jwt`, as far as it says what its tokens allow. roles: word of the token -> calls. prefix: what
    stands before the name of a call in OAuth scopes (`iotlink/ingest`, as Cognito's resource servers write it). scope:
    products, devices and tenant of all its tokens; its calls do not count."""

    issuer: str
    roles: Mapping[str, frozenset[Call]] = field(default_factory=dict)
    prefix: str = "iotlink/"
    scope: Scope = field(default_factory=Scope)
    quota: QuotaLimits | None = None


def token_scope(claims: Mapping[str, object], rule: TokenRule) -> Scope:
    """The scope of a token; without calls where none of its words means anything here."""
    calls: set[Call] = set()
    for word in _words(claims, (*_SCOPES, *_ROLES)):
        calls |= rule.roles.get(word, frozenset())
    if rule.prefix:
        names = {call.value: call for call in Call}
        for word in _words(claims, _SCOPES):
            name = word.removeprefix(rule.prefix)
            if name != word and name in names:
                calls.add(names[name])
    return replace(rule.scope, calls=frozenset(calls))


def token_subject(claims: Mapping[str, object]) -> str:
    """Whom a token names: `sub`, or the client it was issued to; "" for nobody who can be named."""
    for claim in _SUBJECTS:
        value = claims.get(claim)
        if isinstance(value, str) and 0 < len(value) <= _MAX_SUBJECT and value.isprintable():
            return value
    return ""


def _words(claims: Mapping[str, object], names: tuple[str, ...]) -> Iterator[str]:
    """Words of these claims: of a text what stands between blanks, of a list its texts as they are."""
    for name in names:
        value = claims.get(name)
        found = value.split() if isinstance(value, str) else value
        if isinstance(found, list):
            yield from (word for word in found[:_MAX_WORDS] if isinstance(word, str))
