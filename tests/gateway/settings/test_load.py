"""File, environment and `--set` over each other: order, origin, and what a mistake in each of them says."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from gateway.domain.errors import ConfigError
from gateway.settings import FileSink, KinesisSink, Loaded, load_settings

KINESIS = "sinks: {main: {type: kinesis, stream: telemetry}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "c.yaml"


def problems(path: Path | None, overrides: list[str], environ: dict[str, str]) -> list[str]:
    """The problems, with the file's folder left out."""
    with pytest.raises(ConfigError) as caught:
        load_settings(path, overrides, environ)
    text = str(caught.value)
    return (text.replace(f"{path.parent}/", "") if path else text).splitlines()


def test_without_anything_it_runs_on_this_machine() -> None:
    loaded = load_settings(None, [], {})
    settings = loaded.settings
    (listener,) = settings.tcp.listeners
    assert (listener.name, listener.host, listener.port, listener.products) == ("tcp", "127.0.0.1", 5023, [])
    assert settings.sinks == {"local": FileSink(type="file", dir=Path("data/records"))}
    assert (settings.observe.host, settings.observe.port) == ("127.0.0.1", 9464)
    assert settings.gateway.data_dir == Path("data")
    assert settings.dead_letters.dir == Path("data/dead_letters")
    assert (settings.auth.devices, settings.provisioning, settings.ack_on) == ("open", "allow_new", "spool")
    assert settings.spool.dir == Path("data/spool")
    assert set(loaded.origin.values()) == {"default"}


def test_a_variable_that_is_no_setting_is_left_alone() -> None:
    assert load_settings(None, [], {"IOTLINK_CACHE_DIR": "/var/cache/x"}) == load_settings(None, [], {})


def test_an_error_that_comes_later_is_placed_by_its_setting(file: Path) -> None:
    file.write_text("tcp:\n  listeners:\n    - name: a\n      products: [x,\n        y]\n")
    loaded = load_settings(file, ["observe.port=0"], {})
    assert loaded.placed(ConfigError("no y", setting="tcp.listeners.0.products.1")) == f"{file}:5: no y"
    assert loaded.placed(ConfigError("taken", setting="observe.port")) == "--set: taken"
    assert loaded.placed(ConfigError("bad", setting="gateway.env")) == "bad"
    assert loaded.placed(ConfigError("f:1:2: bad")) == "f:1:2: bad"
    assert loaded.placed(ConfigError("odd", setting="tcp.listeners.0")) == f"{file}:3: odd"
    assert loaded.placed(ConfigError("odd", setting="tcp.listeners.1")) == "odd"


def test_an_empty_file_is_the_defaults(file: Path) -> None:
    file.write_text("# nothing yet\n")
    assert load_settings(file, [], {}).settings == load_settings(None, [], {}).settings


def test_order_is_set_then_environment_then_file_then_default(file: Path) -> None:
    file.write_text("log:\n  level: warning\n  format: console\nobserve: {port: 1, host: localhost}\n")
    environ = {"IOTLINK_OBSERVE__PORT": "2", "IOTLINK_LOG__LEVEL": "error", "UNRELATED": "x"}
    loaded = load_settings(file, ["observe.port=3"], environ)
    assert loaded.settings.observe.port == 3
    assert loaded.settings.log.level == "error"
    assert loaded.settings.log.format == "console"
    origin = loaded.origin
    assert origin["observe.port"] == "--set"
    assert origin["log.level"] == "env IOTLINK_LOG__LEVEL"
    assert origin["log.format"] == f"{file}:3"
    assert origin["observe.host"] == f"{file}:4"
    assert origin["gateway.env"] == "default"


def test_the_last_of_two_overrides_counts() -> None:
    assert load_settings(None, ["observe.port=1", "observe.port=2"], {}).settings.observe.port == 2


def test_an_index_reaches_into_a_list(file: Path) -> None:
    file.write_text("tcp:\n  listeners:\n    - {name: a, port: 1}\n    - {name: b, port: 2}\n")
    environ = {"IOTLINK_TCP__LISTENERS__0__PORT": "7"}
    loaded = load_settings(file, ["tcp.listeners.1.port=0", "tcp.listeners.2.name=c"], environ)
    assert [(listener.name, listener.port) for listener in loaded.settings.tcp.listeners] == [
        ("a", 7),
        ("b", 0),
        ("c", 5023),
    ]
    assert loaded.origin["tcp.listeners.0.name"] == f"{file}:3"
    assert loaded.origin["tcp.listeners.0.port"] == "env IOTLINK_TCP__LISTENERS__0__PORT"


def test_a_whole_section_can_be_set() -> None:
    loaded = load_settings(None, ["tcp.listeners=[{name: x, port: 0}]"], {"IOTLINK_GATEWAY": "{env: dev, id: g}"})
    assert loaded.settings.tcp.listeners[0].name == "x"
    assert loaded.settings.gateway.env == "dev"
    assert loaded.origin["gateway.id"] == "env IOTLINK_GATEWAY"


def test_values_of_overrides_are_yaml_and_text_stays_text() -> None:
    loaded = load_settings(
        None,
        [
            "gateway.id=007",
            "gateway.devices_file=1.5",
            "gateway.specs_dirs=[a, b]",
            "tcp.listeners.0.tenant=yes",
            "dead_letters.max_bytes=64MiB",
            "tcp.listeners.0.keepalive=null",
        ],
        {},
    )
    settings = loaded.settings
    assert settings.gateway.id == "007"
    assert settings.gateway.devices_file == Path("1.5")
    assert settings.gateway.specs_dirs == [Path("a"), Path("b")]
    assert settings.tcp.listeners[0].tenant == "yes"
    assert settings.dead_letters.max_bytes == 64 << 20
    assert settings.tcp.listeners[0].keepalive is None


def test_all_sinks_in_one_variable() -> None:
    environ = {
        "IOTLINK_SINKS": '{"a": {"type": "stdout"}, "b": {"type": "file"}}',
        "IOTLINK_ROUTES": '[{"to": ["a", "b"]}]',
    }
    assert list(load_settings(None, [], environ).settings.sinks) == ["a", "b"]


def test_another_sink_takes_the_place_of_the_default_one(file: Path) -> None:
    environ = {"IOTLINK_SINKS__MAIN__TYPE": "kinesis", "IOTLINK_SINKS__MAIN__STREAM": "s"}
    assert load_settings(None, [], environ).settings.sinks == {"main": KinesisSink(type="kinesis", stream="s")}
    file.write_text(KINESIS)
    loaded = load_settings(file, ["sinks.main.stream=other"], {})
    assert loaded.settings.sinks == {"main": KinesisSink(type="kinesis", stream="other")}
    assert load_settings(None, ["sinks.local.dir=/x"], {}).settings.sinks == {
        "local": FileSink(type="file", dir=Path("/x"))
    }


def test_folders_follow_data_dir(file: Path) -> None:
    file.write_text("gateway: {data_dir: /var/lib/iotlink}\nsinks: {a: {type: file}}\n")
    settings = load_settings(file, [], {}).settings
    assert settings.sinks["a"] == FileSink(type="file", dir=Path("/var/lib/iotlink/records"))
    assert settings.dead_letters.dir == Path("/var/lib/iotlink/dead_letters")


def test_names_in_the_environment_are_met_in_any_case(file: Path) -> None:
    file.write_text("sinks: {main: {type: kinesis, stream: a}}\n")
    assert load_settings(file, [], {"IOTLINK_SINKS__MAIN__STREAM": "B"}).settings.sinks["main"] == KinesisSink(
        type="kinesis", stream="B"
    )


def test_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("log: {level: debug}\n"))
    loaded = load_settings(Path("-"), [], {})
    assert loaded.settings.log.level == "debug"
    assert loaded.origin["log.level"] == "<stdin>:1"


FILE_MISTAKES = [
    (
        "log: {level: inof}\n",
        "c.yaml:1:14",
        "log.level: expected 'debug', 'info', 'warning' or 'error', got the text 'inof' (did you mean `info`?)",
    ),
    ("log:\n  levl: info\n", "c.yaml:2:3", "log.levl: unknown key `levl` (did you mean `level`?)"),
    ("observ: {}\n", "c.yaml:1:1", "observ: unknown key `observ` (did you mean `observe`?)"),
    ("observe: {port: '9464'}\n", "c.yaml:1:17", "observe.port: expected a whole number, got the text '9464'"),
    ("observe: {port: true}\n", "c.yaml:1:17", "observe.port: expected a whole number, got true"),
    (
        "observe: {port: 65536}\n",
        "c.yaml:1:17",
        "observe.port: expected a number of at most 65535, got the number 65536",
    ),
    ("observe:\n", "c.yaml:1:9", "observe: expected a mapping, got nothing (what belongs to it is indented below it)"),
    ("gateway: {id: 12}\n", "c.yaml:1:15", "gateway.id: expected text, got the number 12 (put it in quotes)"),
    (
        "gateway: {id: a b}\n",
        "c.yaml:1:15",
        "gateway.id: expected `auto` or 1 to 64 letters, digits and . _ -, got the text 'a b'",
    ),
    ("gateway: {data_dir: 5}\n", "c.yaml:1:21", "gateway.data_dir: expected a path, got the number 5"),
    (
        "dead_letters: {max_bytes: 1XB}\n",
        "c.yaml:1:27",
        "dead_letters.max_bytes: expected a size in bytes, such as 1048576 or 64MiB, got the text '1XB'",
    ),
    (
        "tcp:\n  listeners:\n    - {port: 1}\n",
        "c.yaml:3:7",
        "tcp.listeners[0].name: the key `name` is required and missing",
    ),
    (
        "tcp: {listeners: [{name: a, idle_timeout_s: -1}]}\n",
        "c.yaml:1:45",
        "tcp.listeners[0].idle_timeout_s: expected a number of at least 0, got the number -1",
    ),
    (
        "tcp: {listeners: [{name: a, idle_timeout_s: .inf}]}\n",
        "c.yaml:1:45",
        "tcp.listeners[0].idle_timeout_s: expected a finite number, got the number inf",
    ),
    (
        "tcp: {listeners: [{name: A}]}\n",
        "c.yaml:1:26",
        "tcp.listeners[0].name: expected a name of 1 to 32 of a-z, 0-9, - and _ that begins with a letter, "
        "got the text 'A'",
    ),
    ("tcp: 5\n", "c.yaml:1:6", "tcp: expected a mapping, got the number 5"),
    ("tcp: {listeners: {name: a}}\n", "c.yaml:1:18", "tcp.listeners: expected a list, got a mapping"),
    ("sinks: {a: {type: kinesis}}\n", "c.yaml:1:12", "sinks.a.stream: the key `stream` is required and missing"),
    (
        "sinks: {a: {type: kinesi}}\n",
        "c.yaml:1:19",
        "sinks.a.type: expected 'file', 'kinesis' or 'stdout', got the text 'kinesi' (did you mean `kinesis`?)",
    ),
    (
        "sinks: {a: {type: file, rotate_mbs: 1}}\n",
        "c.yaml:1:25",
        "sinks.a.rotate_mbs: unknown key `rotate_mbs` (did you mean `rotate_mb`?)",
    ),
    ("a: 1\na: 2\n", "c.yaml:2:1", "the key `a` stands here twice (first in line 1)"),
    ("- 1\n", "c.yaml:1:1", "expected a mapping, got a list"),
    ("a: [\n", "c.yaml:2:1", "not YAML: did not find expected node content (while parsing a flow node)"),
]


@pytest.mark.parametrize(("text", "place", "message"), FILE_MISTAKES)
def test_mistakes_in_the_file(file: Path, text: str, place: str, message: str) -> None:
    file.write_text(text)
    assert problems(file, [], {}) == [f"{place}: {message}"]


OTHER_MISTAKES = [
    (
        [],
        {"IOTLINK_OBSERVE__PORT": "x"},
        "env IOTLINK_OBSERVE__PORT",
        "observe.port: expected a whole number, got the text 'x'",
    ),
    ([], {"IOTLINK_LOG__LEVL": "x"}, "env IOTLINK_LOG__LEVL", "log.levl: unknown key `levl` (did you mean `level`?)"),
    (
        [],
        {"IOTLINK_OBSERV__PORT": "1"},
        "env IOTLINK_OBSERV__PORT",
        "observ: unknown key `observ` (did you mean `observe`?)",
    ),
    (
        [],
        {"IOTLINK_OBSERVE__PORT": "[1"},
        "env IOTLINK_OBSERVE__PORT",
        "observe.port: not YAML: did not find expected ',' or ']' (while parsing a flow sequence)",
    ),
    (
        [],
        {"IOTLINK_TCP__LISTENERS__X__PORT": "1"},
        "env IOTLINK_TCP__LISTENERS__X__PORT",
        "tcp.listeners.x.port: `tcp.listeners` is a list: a number was expected, not `x`",
    ),
    (
        ["tcp.listeners.5.port=1"],
        {},
        "--set tcp.listeners.5.port",
        "tcp.listeners.5.port: `tcp.listeners` has 1 items: there is no item 5",
    ),
    (
        ["log.level.deep=1"],
        {"IOTLINK_LOG__LEVEL": "info"},
        "--set log.level.deep",
        "log.level.deep: `log.level` holds the text 'info': nothing can be set inside it",
    ),
    (["log.level"], {}, "--set", "expected a.b=value, got 'log.level'"),
    (["log..level=x"], {}, "--set", "expected a.b=value, got 'log..level'"),
    (["log.format=yaml"], {}, "--set log.format", "log.format: expected 'json' or 'console', got the text 'yaml'"),
    (
        ["tcp.listeners.1.port=1"],
        {},
        "--set tcp.listeners.1.port",
        "tcp.listeners[1].name: the key `name` is required and missing",
    ),
]


@pytest.mark.parametrize(("overrides", "environ", "source", "message"), OTHER_MISTAKES)
def test_mistakes_elsewhere(overrides: list[str], environ: dict[str, str], source: str, message: str) -> None:
    assert problems(None, overrides, environ) == [f"{source}: {message}"]


def test_mistakes_of_all_sources_are_reported_together(file: Path) -> None:
    file.write_text("log: {level: x}\nobserve: {port: x}\n")
    found = problems(file, ["log.format=x"], {"IOTLINK_GATEWAY__ENV": "x"})
    assert [line.split(": ")[0] for line in found] == [
        "--set log.format",
        "env IOTLINK_GATEWAY__ENV",
        "c.yaml:1:14",
        "c.yaml:2:17",
    ]


def test_a_file_that_cannot_be_read(file: Path) -> None:
    assert problems(file, [], {}) == ["c.yaml: cannot read the configuration: No such file or directory"]
    file.write_bytes(b"\xff\xfe")
    assert problems(file, [], {}) == ["c.yaml: the configuration is not UTF-8 text (byte 0)"]


def test_references_are_resolved_anew_and_hidden(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "stream"
    secret.write_text("first\n")
    file.write_text(f"sinks: {{a: {{type: kinesis, stream: '${{file:{secret}}}-x', region: '${{env:REGION}}'}}}}\n")

    def load() -> Loaded:
        return load_settings(file, ["observe.port=${env:PORT}"], {"REGION": "r", "PORT": "77"})

    assert load().settings.sinks["a"] == KinesisSink(type="kinesis", stream="first-x", region="r")
    assert load().settings.observe.port == 77
    secret.write_text("second\n")
    loaded = load()
    assert loaded.settings.sinks["a"] == KinesisSink(type="kinesis", stream="second-x", region="r")
    hidden = loaded.effective(redacted=True)
    assert hidden["sinks"]["a"]["stream"] == f"${{file:{secret}}}-x"
    assert hidden["sinks"]["a"]["region"] == "${env:REGION}"
    assert loaded.effective(redacted=False)["sinks"]["a"]["region"] == "r"
    assert loaded.origin["sinks.a.stream"] == f"{file}:1"


def test_what_is_derived_from_a_secret_is_hidden_too() -> None:
    loaded = load_settings(None, ["gateway.data_dir=/d/${env:S}"], {"S": "tell-nobody"})
    assert loaded.settings.dead_letters.dir == Path("/d/tell-nobody/dead_letters")
    assert "tell-nobody" not in str(loaded.effective(redacted=True))


def test_a_secret_is_not_shown_in_a_problem(file: Path) -> None:
    file.write_text("log:\n  level: ${env:S}\nsinks: {a: {type: '${env:S}'}}\nobserve: {port: '${env:S}'}\n")
    found = problems(file, [], {"S": "tell-nobody"})
    assert len(found) == 3
    assert found[0] == (
        "c.yaml:2:10: log.level: expected 'debug', 'info', 'warning' or 'error', got something else "
        "(not shown: a secret)"
    )
    assert "tell-nobody" not in "\n".join(found)


def test_a_reference_to_nothing_names_its_place(file: Path) -> None:
    file.write_text("log:\n  level: ${env:NOT_SET}\n  format: ${file:/no/such}\nack_on: ${vault:x}\n")
    found = problems(file, [], {})
    assert found[:3] == [
        "c.yaml:2:10: log.level: the environment variable NOT_SET is not set",
        "c.yaml:3:11: log.format: cannot read the secret file /no/such: No such file or directory",
        "c.yaml:4:9: ack_on: `${vault:x}` is no reference: expected ${env:NAME} or ${file:PATH}",
    ]
    assert len(found) == 3


def test_faces_that_nobody_mentions(tmp_path: Path) -> None:
    def ports(text: str) -> list[int]:
        file = tmp_path / "faces.yaml"
        file.write_text(text)
        settings = load_settings(file, [], {}).settings
        mqtt = [listener.chosen_port for listener in settings.mqtt.listeners]
        return [listener.port for listener in settings.tcp.listeners] + mqtt

    assert ports("log: {level: info}\n") == [5023, 1883]
    assert ports("tcp: {listeners: [{name: a, port: 1}]}\n") == [1]
    assert ports("mqtt: {env_mismatch: refuse}\n") == [1883]
    assert ports("tcp: {listeners: []}\n") == []
    assert ports("sources: [{type: mqtt_broker, name: a, url: 'mqtt://broker'}]\n") == []
    assert ports("mqtt: {listeners: [{name: a, transport: websocket}]}\n") == [8083]


def test_a_password_of_digits_is_text() -> None:
    overrides = [
        "sources.0.type=mqtt_broker",
        "sources.0.name=a",
        "sources.0.url=mqtt://b",
        "sources.0.username=u",
        "sources.0.password=0123",
    ]
    (source,) = load_settings(None, overrides, {}).settings.sources
    assert source.password is not None
    assert source.password.get_secret_value() == "0123"
    assert "0123" not in repr(source)
