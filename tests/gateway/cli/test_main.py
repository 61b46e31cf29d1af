from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from decoders.catalog import UnknownProduct
from decoders.errors import SpecError, SpecProblem
from gateway.cli import main
from gateway.domain.errors import ConfigError, SinkError
from tests.decoders.sensor import SPEC, write_product

command = importlib.import_module("gateway.cli.main")  # the package shows the function under this name


def test_every_command_of_the_product_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in ("serve", "config", "spec", "decode", "send", "sim", "healthcheck", "version"):
        assert f" {name} " in text


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["decode"], ["spec", "show"], ["sim", "--port", "x"]])
def test_wrong_usage_is_2_and_on_stderr(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    if arguments:
        assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (
            SpecError([SpecProblem("s.yaml", 3, 5, "a.b", "is wrong", "do this")]),
            2,
            "s.yaml:3:5: a.b: is wrong (do this)",
        ),
        (UnknownProduct("no product `x`"), 2, "no product `x`"),
        (ConfigError("c.yaml:1:1: no"), 2, "c.yaml:1:1: no"),
        (SinkError("no sink"), 1, "no sink"),
        (ConnectionRefusedError(111, "refused"), 1, "refused"),
        (SystemExit(3), 3, ""),
        (SystemExit("words"), 1, "words"),
        (SystemExit(None), 0, ""),
    ],
)
def test_errors_become_exit_codes_without_a_traceback(
    error: BaseException, code: int, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app(**_arguments: object) -> None:
        raise error

    monkeypatch.setattr(command, "app", app)
    assert main([]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert text in shown.err
    assert "Traceback" not in shown.err


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def app(**_arguments: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(command, "app", app)
    with pytest.raises(KeyError):
        main([])


def test_a_bad_spec_ends_a_process_with_2_and_its_place(specs: Path) -> None:
    write_product(specs, SPEC.replace("type: i16, scale", "type: i61, scale"))
    arguments = [sys.executable, "-m", "gateway", "spec", "ls", "--specs", "specs"]
    root = str(Path(__file__).parents[3])
    done = subprocess.run(arguments, capture_output=True, text=True, env={"PYTHONPATH": root}, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("specs/sensor/spec.yaml:19:35: messages.status.fields[0].type: unknown type `i61`")
    assert "did you mean" in line


def test_the_module_itself_is_the_command() -> None:
    run = [sys.executable, "-W", "ignore::RuntimeWarning", "-m", "gateway.cli.main", "version"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    assert subprocess.run([*run[:-1], "nonsense"], capture_output=True, check=False).returncode == 2


def test_a_command_loads_only_what_it_needs() -> None:
    """A health check runs every half a minute, in a container that may have little CPU."""
    code = (
        "import sys; from gateway.cli import main; main(['healthcheck', '--set', 'observe.port=x']); "
        "print([name for name in ('decoders.catalog', 'aiohttp', 'rich', 'gateway.cli.serve') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n")
    assert "observe.port" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "nearest"), [(["helthcheck"], "Did you mean 'healthcheck'?"), (["spec", "lss"], "Did you mean 'ls'?")]
)
def test_a_misspelt_command_is_met_with_the_nearest_one(
    arguments: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert nearest in capsys.readouterr().err
