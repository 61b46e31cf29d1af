"""Audit lines: who changed what, one log line per administrative change.

Every face that lets somebody change something calls this after the change has happened, never before.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

__all__ = ["audit", "audit_run"]

_log = structlog.get_logger(__name__)


def audit(
    who: str,
    action: str,
    resource: str,
    *,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
) -> None:
    """Writes the line `audit` with who, action (`devices.update`), resource (`device:truck-17`), before and after.

    before, after: the resource's fields as its API shows them, so without secrets. None: it was not there before, or is
    not there after. Of a change only the fields that differ are written; without any there is no line.
    """
    if before is not None and after is not None:
        changed = [
            name
            for name in {**before, **after}
            if (name in before, before.get(name)) != (name in after, after.get(name))
        ]
        if not changed:
            return
        before = {name: before[name] for name in changed if name in before}
        after = {name: after[name] for name in changed if name in after}
    _log.info("audit", who=who, action=action, resource=resource, before=before, after=after)


def audit_run(
    who: str, action: str, resource: str, *, selected: Mapping[str, object], result: Mapping[str, object]
) -> None:
    """Writes the line `audit` of what changes many things at once: who, action (`dead_letters.purge`), resource
    (`dead_letters`), selected and result.

    selected: which of them, as the API's filter says it; {}: all. result: how many became what, and what stopped it.
    """
    _log.info("audit", who=who, action=action, resource=resource, selected=dict(selected), result=dict(result))
