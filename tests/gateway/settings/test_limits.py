"""The limit of open files against `max_connections`."""

from __future__ import annotations

import resource

import pytest

from gateway.settings import Settings, TcpListener
from gateway.settings.limits import file_limit_problem, needed_files
from gateway.settings.load import load_settings
from gateway.settings.model import OWN_FILES, TcpSettings

INFINITE = resource.RLIM_INFINITY


class Limits:
    """Stands in for the kernel."""

    def __init__(self, soft: int, hard: int, *, refuse: bool = False) -> None:
        self.limits = (soft, hard)
        self.refuse = refuse

    def getrlimit(self, _: int) -> tuple[int, int]:
        return self.limits

    def setrlimit(self, _: int, limits: tuple[int, int]) -> None:
        if self.refuse:
            raise ValueError("not allowed")
        self.limits = limits


def settings(*max_connections: int) -> Settings:
    listeners = [TcpListener(name=f"l{n}", max_connections=each) for n, each in enumerate(max_connections)]
    return Settings(tcp=TcpSettings(listeners=listeners))


@pytest.mark.parametrize(
    ("soft", "hard", "soft_after"),
    [
        (5000, 5000, 5000),
        (1024, 9000, 1000 + 2000 + OWN_FILES),
        (1024, INFINITE, 1000 + 2000 + OWN_FILES),
        (INFINITE, INFINITE, INFINITE),
    ],
)
def test_enough(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, soft_after: int) -> None:
    kernel = Limits(soft, hard)
    monkeypatch.setattr(resource, "getrlimit", kernel.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", kernel.setrlimit)
    assert file_limit_problem(settings(1000, 2000)) == ""
    assert kernel.limits == (soft_after, hard)


@pytest.mark.parametrize(("refuse", "may_open"), [(False, 2048), (True, 1024)])
def test_not_enough(monkeypatch: pytest.MonkeyPatch, refuse: bool, may_open: int) -> None:
    kernel = Limits(1024, 2048, refuse=refuse)
    monkeypatch.setattr(resource, "getrlimit", kernel.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", kernel.setrlimit)
    problem = file_limit_problem(settings(1000, 2000))
    assert "3000 connections" in problem
    assert f"{needed_files(settings(1000, 2000))} open files" in problem
    assert f"may open {may_open}:" in problem


@pytest.mark.parametrize(
    ("hard", "connections"), [(INFINITE, 20_000), (1_048_576, 20_000), (20_000, 20_000 - OWN_FILES), (64, 1)]
)
def test_the_default_fits_the_limit(monkeypatch: pytest.MonkeyPatch, hard: int, connections: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (64, hard))

    assert TcpListener(name="tcp").max_connections == connections


def test_listeners_that_say_no_number_share_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (20_000 + OWN_FILES, 20_000 + OWN_FILES))
    said = [
        "tcp.listeners=[{name: a}, {name: b, max_connections: 5000, port: 2}]",
        "mqtt.listeners=[{name: c}, {name: d, port: 3}]",
        "rest.listeners=[]",
    ]

    settings = load_settings(None, said, {}).settings

    assert [listener.max_connections for listener in settings.tcp.listeners] == [5_000, 5_000]
    assert [listener.max_connections for listener in settings.mqtt.listeners] == [5_000, 5_000]
    assert file_limit_problem(settings) == ""


def test_the_limit_allows_more_than_anybody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (64, 1_048_576))

    settings = load_settings(None, ["mqtt.listeners=[{name: c}, {name: d, port: 2}]"], {}).settings

    assert [listener.max_connections for listener in settings.mqtt.listeners] == [20_000, 20_000]
