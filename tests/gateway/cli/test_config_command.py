"""`iotlink config check | show | schema`."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from decoders.spec.source import load
from gateway.cli import config as config_command
from gateway.settings import settings_schema

RUN = CliRunner()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOTLINK_LOG__LEVEL", "debug")


def test_check_says_ok(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("observe: {port: 1}\n")
    result = RUN.invoke(config_command.app, ["check", "--config", str(file)])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "ok\n", "")
    assert RUN.invoke(config_command.app, ["check"]).exit_code == 0


def test_check_names_every_mistake_on_stderr(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("observe:\n  prot: 1\nshared_state: redis\n")
    result = RUN.invoke(config_command.app, ["check", "--config", str(file), "--set", "log.format=x"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "--set log.format: log.format: expected 'json' or 'console', got the text 'x'",
        f"{file}:2:3: observe.prot: unknown key `prot` (did you mean `port`?)",
        f"{file}:3:15: shared_state: `shared_state: redis` is not available in this version yet: "
        "use `shared_state: memory`",
    ]


def test_check_reads_stdin() -> None:
    result = RUN.invoke(config_command.app, ["check", "--config", "-"], input="observe: {port: x}\n")
    assert result.exit_code == 2
    assert result.stderr == "<stdin>:1:17: observe.port: expected a whole number, got the text 'x'\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('mqtt: {topics: [{template: "plant/{device}/up"}]}', "no place `{device}`; there are {device_id}"),
        ('mqtt: {topics: [{template: "plant/#"}]}', "`+` stands alone, and there is no `#`"),
        ('auth: {client_ids: ["x-{device}"]}', "`{device_id}` must stand in it"),
        ('auth: {topics: {publish: ["a/#/b"]}}', "a wildcard is a whole level"),
    ],
)
def test_check_looks_at_topics_and_client_ids(line: str, said: str) -> None:
    result = RUN.invoke(config_command.app, ["check", "--config", "-"], input=line)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("<stdin>:1: ")
    assert said in result.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("clients: [{id: a, certificate: x}, {id: b, certificate: x}]", "another client has the certificate name"),
        (f"clients: [{{id: a b, api_key_sha256: '{'0' * 64}'}}]", "cannot be the id of a client with an API key"),
        ('clients: [{id: a, certificate: x, tenant: "a\\u0001"}]', "printable characters are expected"),
        ("jwt: [{issuer: i, audience: a, jwks_url: 'http://10.0.0.1/k'}]", "plain http"),
        ('jwt: [{issuer: i, audience: a, jwks_url: "https://i/k", tenant: "\\u0001"}]', "auth.jwt.0: tenant:"),
    ],
)
def test_check_looks_at_clients_and_issuers(line: str, said: str) -> None:
    text = f"rest: {{listeners: [{{name: r}}]}}\nauth: {{{line}}}\n"
    result = RUN.invoke(config_command.app, ["check", "--config", "-"], input=text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("<stdin>:2: auth.")
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr


def test_a_missing_file_is_invalid_input(tmp_path: Path) -> None:
    result = RUN.invoke(config_command.app, ["check", "--config", str(tmp_path / "none.yaml")])
    assert result.exit_code == 2
    assert "none.yaml: cannot read the configuration" in result.stderr


def test_show_is_a_configuration_with_origins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM", "tell-nobody")
    file = tmp_path / "c.yaml"
    file.write_text("sinks:\n  main:\n    type: kinesis\n    stream: ${env:STREAM}\n")
    arguments = ["show", "--config", str(file), "--set", "observe.port=0", "--origin"]
    shown = RUN.invoke(config_command.app, arguments)
    assert shown.exit_code == 0
    data = load(shown.stdout, "shown").data
    assert data["sinks"]["main"]["stream"] == "tell-nobody"
    assert data["observe"] == {"host": "127.0.0.1", "port": 0, "emf": None}
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "port: 0 # --set" in lines
    assert "level: debug # env IOTLINK_LOG__LEVEL" in lines
    assert f"type: kinesis # {file}:3" in lines
    assert "provisioning: allow_new # default" in lines

    redacted = RUN.invoke(config_command.app, [*arguments, "--redacted"])
    assert "tell-nobody" not in redacted.stdout
    assert '"${env:STREAM}"' in redacted.stdout


def test_show_without_origins_has_no_comments() -> None:
    shown = RUN.invoke(config_command.app, ["show"])
    assert "#" not in shown.stdout
    assert load(shown.stdout, "shown").data["ack_on"] == "spool"


def test_show_as_json() -> None:
    shown = orjson.loads(RUN.invoke(config_command.app, ["show", "--output", "json", "--origin"]).stdout)
    assert shown["settings"]["log"]["level"] == "debug"
    assert shown["origin"]["log.level"] == "env IOTLINK_LOG__LEVEL"
    line = RUN.invoke(config_command.app, ["show", "--output", "ndjson"]).stdout
    assert line.count("\n") == 1
    assert orjson.loads(line).keys() == {"settings"}


def test_schema() -> None:
    result = RUN.invoke(config_command.app, ["schema"])
    assert result.exit_code == 0
    assert orjson.loads(result.stdout) == orjson.loads(orjson.dumps(settings_schema()))


def test_wrong_usage_is_exit_code_2() -> None:
    assert RUN.invoke(config_command.app, ["check", "--nonsense"]).exit_code == 2
