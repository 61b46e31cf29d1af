"""Does the limit of open files allow the connections that the settings promise?"""

from __future__ import annotations

import resource

from gateway.settings.model import OWN_FILES, Settings


def needed_files(settings: Settings) -> int:
    """Open files that the process needs when every listener is full."""
    connections = [listener.max_connections for listener in settings.tcp.listeners]
    connections += [listener.max_connections for listener in settings.mqtt.listeners]
    connections += [listener.max_connections for listener in settings.rest.listeners]
    return sum(connections) + OWN_FILES


def file_limit_problem(settings: Settings) -> str:
    """Raises the soft limit of open files as far as needed and allowed. Returns what is still wrong, or empty text."""
    needed = needed_files(settings)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _allows(soft, needed):
        return ""
    # Not beyond what is needed: select() and children that close every file suffer from a huge limit.
    target = needed if _allows(hard, needed) else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        soft = target
    except (OSError, ValueError):
        hard = soft  # some systems cap lower than they say
    if _allows(soft, needed):
        return ""
    return (
        f"the listeners may hold {needed - OWN_FILES} connections (max_connections), which takes {needed} open "
        f"files, but this process may open {hard}: raise the limit (`ulimit -Hn {needed}`, or `nofile` in the "
        f"container's ulimits), or lower `max_connections`"
    )


def _allows(limit: int, needed: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= needed
