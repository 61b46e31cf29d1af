from __future__ import annotations

import resource

import pytest

from loadtest.fleet.limits import NotAllowed, check_remote, raise_open_files
from loadtest.fleet.model import Scenario
from tests.loadtest.fleet.outcomes import PLAIN


def scenario(**fleet: object) -> Scenario:
    return Scenario.model_validate(PLAIN | {"fleet": {"tcp": {"devices": 2}} | fleet})


def test_too_many_connections_are_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 20_000))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: None)
    with pytest.raises(NotAllowed, match=r"20002 connections need 20258 open files .* hard limit is 20000: raise it"):
        raise_open_files(scenario(idle=20_000), own_gateways=False)
    two = Scenario.model_validate(PLAIN | {"fleet": {"tcp": {"devices": 15_000}}, "gateway": {"count": 2}})
    with pytest.raises(NotAllowed, match="haproxy"):
        raise_open_files(two, own_gateways=True)


def test_the_soft_limit_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 20_000))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: seen.append(limits))
    raise_open_files(scenario(idle=10_000), own_gateways=True)
    assert seen == [(20_000, 20_000)]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1", "[::1]"])
def test_this_machine_is_always_allowed(host: str) -> None:
    assert check_remote([host], allowed=False)


@pytest.mark.parametrize("host", ["192.0.2.7", "gateway.example", "0.0.0.0", "2001:db8::1"])
def test_another_one_must_be_meant(host: str) -> None:
    with pytest.raises(NotAllowed, match="--allow-remote"):
        check_remote(["127.0.0.1", host], allowed=False)
    assert not check_remote([host], allowed=True)
