"""What the machine must allow: open files of each process of a run. Checked before anything starts."""

from __future__ import annotations

import ipaddress
import resource

from gateway.settings.model import OWN_FILES
from loadtest.fleet.model import Scenario

__all__ = ["NotAllowed", "check_remote", "raise_open_files"]

_OWN_FILES = 256  # of this process and of haproxy, beside connections


class NotAllowed(Exception):
    """The machine, or the caller, does not allow this run; the text says what to change."""


def raise_open_files(scenario: Scenario, *, own_gateways: bool) -> None:
    """Raises the soft limit of open files to the hard one, for this process and those it starts. NotAllowed: the hard
    limit is too low for the scenario."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = scenario.fleet.connections
    needed = {"the fleet": connections + _OWN_FILES}
    if own_gateways:
        needed["the gateway"] = connections + OWN_FILES
        if scenario.gateway.count > 1:
            needed["haproxy"] = 2 * connections + _OWN_FILES
    who, files = max(needed.items(), key=lambda item: item[1])
    if hard != resource.RLIM_INFINITY and files > hard:
        raise NotAllowed(
            f"{connections} connections need {files} open files ({who}), and the hard limit is {hard}: raise it "
            f"(`ulimit -Hn {files}`, LimitNOFILE=, ulimits of a container), or use fewer devices (--devices, --idle)"
        )


def check_remote(hosts: list[str], *, allowed: bool) -> bool:
    """True when all hosts are this machine. NotAllowed: another one, and nobody said that it is meant."""
    others = [host for host in hosts if not _is_loopback(host)]
    if others and not allowed:
        raise NotAllowed(f"{others[0]} is another machine: a load on it must be meant (--allow-remote)")
    return not others


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
