"""The last stage: an understood message becomes standard records (schema `iotlink.record/1`).

The body is put together from prepared pieces: what is the same for all records of a message or of a device is encoded
once. Only the metrics pass through the JSON encoder each time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from decoders.errors import DecodeCode
from decoders.plan import TRACE, Decoded, MessagePlan
from decoders.product import CompiledProduct
from decoders.types import Identity, Value, Violation, ViolationCode
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.device import Device, DeviceKey
from gateway.domain.ports import DirectoryPort
from gateway.domain.record import Record, RecordType
from gateway.domain.uplink import Beside, Plain, Uplink
from gateway.pipeline.decode import dead_letter

__all__ = ["Numbering", "Shaper"]

MAX_SAFE_INTEGER = 1 << 53
DAY_MS = 86_400_000

_METRIC_TYPES = frozenset({RecordType.TELEMETRY.value, RecordType.EVENT.value})
_MAX_DEVICES = 16_384  # prepared pieces kept; one is about 200 bytes
_MAX_BEHIND = 256  # of them per hub
_MAX_MESSAGES = 4_096
_MAX_UNIT_SETS = 64  # sets of metrics of one message whose units are kept
_MAX_HEADS = 256  # of one message, by what comes beside its payload


@dataclass(slots=True)
class Numbering:
    """What identifies this run of this gateway, and the number of its last record.

    gateway_id and epoch are unique together; seq rises by one per record.
    """

    gateway_id: str
    epoch: int
    seq: int = 0


@dataclass(slots=True)
class _Sender:
    """Prepared for one device: who the record is about. behind: the same for devices behind it, by hub and id."""

    device: Device
    lane: str
    head: bytes
    tags: bytes
    behind: dict[tuple[str, str], _Sender] = field(default_factory=dict)


@dataclass(slots=True)
class _Message:
    """Prepared for one message of a product. names: of values by which it may say itself which device behind the hub
    it is about. heads: in place of `head`, by record type, measurement and data type."""

    plan: MessagePlan
    product: CompiledProduct
    head: bytes
    values_key: bytes
    names: frozenset[str]
    units: dict[tuple[str, ...], bytes] = field(default_factory=dict)
    heads: dict[tuple[str, str, str], bytes] = field(default_factory=dict)


class Shaper:
    """Makes records. directory: asked for the tags of devices behind a hub."""

    def __init__(self, numbering: Numbering, env: str, directory: DirectoryPort) -> None:
        self._numbering = numbering
        self._env = env
        self._directory = directory
        self._generation = 0  # of the directory, when the devices behind hubs were asked for
        self._senders: dict[int, _Sender] = {}  # by id() of the device, which the entry keeps alive
        self._messages: dict[int, _Message] = {}  # by id() of the plan, likewise
        self._gateway = b',"gateway_id":%b,"epoch":%d,"seq":' % (_json(numbering.gateway_id), numbering.epoch)
        self._second = -1
        self._second_text = ""
        self._ingest_ms = -1
        self._ingest = ""

    def shape(self, uplink: Uplink) -> list[Record] | DeadLetter:
        """The records of a decoded uplink, in the order of its parts; none for `record: none`."""
        decoded, beside = uplink.decoded, uplink.beside
        if beside is not None and beside.plain is not None:
            return [self._plain(uplink, beside, beside.plain)]
        assert decoded is not None
        plan = decoded.message
        if plan.record == "none":
            return []
        product = uplink.product
        message = self._messages.get(id(plan))
        if message is None or message.product is not product:
            message = self._prepare_message(plan, product)
        sender = self._senders.get(id(uplink.device))
        if sender is None:
            sender = self._prepare_sender(uplink.device)

        names = message.names
        whole = product.identity(decoded) if names and not names.isdisjoint(decoded.values) else None
        head, record = message.head, plan.record
        if beside is not None:
            head = message.heads.get((beside.record, beside.measurement, beside.data_type)) or self._head(
                message, beside
            )
            record = beside.record or record
        ingest = self._ingest_text(uplink.received_ms)
        numbering = self._numbering
        said = _said(decoded) if plan.traced else b""
        if beside is not None and beside.trace_id and not said:
            said = b',"trace_id":%b' % _json(_text(beside.trace_id))
        if uplink.replayed:
            said += b',"replayed":true'
        records: list[Record] = []
        for index, part in enumerate(product.parts(decoded)):
            identity = part.identity or whole
            about = sender if identity is None else self._speaker(sender, identity)
            if about is None:
                detail = "the id of the device behind the hub is too long or not printable"
                return dead_letter(uplink, DecodeCode.BAD_VALUE.value, "shape", detail)
            values, units = _values(message, part.metrics)
            times = b""
            flags, device_time, hub_time, tags = part.flags, part.device_time, part.hub_time, about.tags
            if beside is not None:
                device_time, hub_time = device_time or beside.device_time, hub_time or beside.hub_time
                if beside.flags:
                    flags = [*(flags or ()), *beside.flags]
                if beside.tags:
                    tags = _tags({**about.device.tags, **beside.tags})
            if device_time:
                if device_time[:10] != ingest[:10] and _is_off(device_time, uplink.received_ms):
                    flags = [*(flags or ()), Violation("device_timestamp", ViolationCode.CLOCK_OFF)]
                times = b',"device_timestamp":"%b"' % device_time.encode()
            if hub_time:
                times += b',"hub_timestamp":"%b"' % hub_time.encode()
            seq = numbering.seq = numbering.seq + 1
            record_id = f"{uplink.uplink_id}-{index}"
            body = b'{"schema":"iotlink.record/1","record_id":"%b",%b,%b%b,"ingest_timestamp":"%b"%b%b%b%b%b%d%b}' % (
                record_id.encode(),
                about.head,
                head,
                times,
                ingest.encode(),
                message.values_key,
                values,
                units,
                tags,
                self._gateway,
                seq,
                (_flags(flags) if flags else b"") + said,
            )
            records.append(Record(record_id, record, product.id, about.lane, body, uplink.received_ms))
        return records

    def _plain(self, uplink: Uplink, beside: Beside, plain: Plain) -> Record:
        """The one record of an uplink without a spec."""
        sender = self._senders.get(id(uplink.device)) or self._prepare_sender(uplink.device)
        product, numbering = uplink.product, self._numbering
        head = b'"type":%b' % _json(plain.type)
        if product.id:
            head += b',"productId":%b' % _json(product.id)
        head += b',"env":%b' % _json(self._env)
        if beside.data_type:
            head += b',"data_type":%b' % _json(beside.data_type)
        if beside.measurement:
            head += b',"measurement":%b' % _json(beside.measurement)
        flags, times = list(beside.flags), b""
        if beside.device_time:
            if _is_off(beside.device_time, uplink.received_ms):
                flags.append(Violation("device_timestamp", ViolationCode.CLOCK_OFF))
            times = b',"device_timestamp":"%b"' % beside.device_time.encode()
        if beside.hub_time:
            times += b',"hub_timestamp":"%b"' % beside.hub_time.encode()
        end = _flags(flags) if flags else b""
        if beside.trace_id:
            end += b',"trace_id":%b' % _json(_text(beside.trace_id))
        if uplink.replayed:
            end += b',"replayed":true'
        seq = numbering.seq = numbering.seq + 1
        record_id = f"{uplink.uplink_id}-0"
        body = b'{"schema":"iotlink.record/1","record_id":"%b",%b,%b%b,"ingest_timestamp":"%b","data":%b%b%b%d%b}' % (
            record_id.encode(),
            sender.head,
            head,
            times,
            self._ingest_text(uplink.received_ms).encode(),
            orjson.dumps(plain.data),
            _tags({**uplink.device.tags, **beside.tags}),
            self._gateway,
            seq,
            end,
        )
        return Record(record_id, plain.type, product.id, sender.lane, body, uplink.received_ms)

    def _head(self, message: _Message, beside: Beside) -> bytes:
        """The head of a message with what its topic or document says in place of its spec."""
        key = (beside.record, beside.measurement, beside.data_type)
        plan = message.plan
        head = self._head_of(plan, message.product, *(b or a for a, b in zip(_words(plan), key, strict=True)))
        if len(message.heads) < _MAX_HEADS:
            message.heads[key] = head
        return head

    def _speaker(self, sender: _Sender, identity: Identity) -> _Sender | None:
        """Who a part is about that names a device of its own: one behind the session's device.

        None: the name cannot name a lane.
        """
        device = sender.device
        name = identity.child_id or identity.device_id
        if name in ("", device.key.device_id):
            return sender
        if self._directory.generation != self._generation:
            self._generation = self._directory.generation
            self._senders.clear()
            sender.behind.clear()
        found = sender.behind.get((identity.hub_id, name))
        if found is not None:
            return found
        key = DeviceKey(device.key.tenant, name)
        if not key.names_lane:
            return None
        known = self._directory.find(key)
        hub_id = identity.hub_id or device.hub_id or device.key.device_id
        found = _sender(Device(key, hub_id=hub_id, tags=known.tags if known else {}))
        if len(sender.behind) < _MAX_BEHIND:
            sender.behind[identity.hub_id, name] = found
        return found

    def _prepare_sender(self, device: Device) -> _Sender:
        if len(self._senders) >= _MAX_DEVICES:
            self._senders.clear()
        sender = self._senders[id(device)] = _sender(device)
        return sender

    def _prepare_message(self, plan: MessagePlan, product: CompiledProduct) -> _Message:
        if len(self._messages) >= _MAX_MESSAGES:
            self._messages.clear()
        head = self._head_of(plan, product, *_words(plan))
        values_key = b',"metrics":' if plan.record in _METRIC_TYPES else b',"data":'
        said = plan.whole.identities
        names = frozenset(name for _, name in said if any(role in ("child", "hub") for role, _ in said))
        message = self._messages[id(plan)] = _Message(plan, product, head, values_key, names)
        return message

    def _head_of(
        self, plan: MessagePlan, product: CompiledProduct, record: str, measurement: str, data_type: str
    ) -> bytes:
        head = b'"type":%b,"productId":%b,"message":%b,"spec_version":%d,"env":%b' % (
            _json(record),
            _json(product.id),
            _json(plan.name),
            product.version,
            _json(self._env),
        )
        if data_type:
            head += b',"data_type":%b' % _json(data_type)
        if measurement:
            head += b',"measurement":%b' % _json(measurement)
        return head

    def _ingest_text(self, unix_ms: int) -> str:
        """RFC 3339 in UTC with milliseconds; the part up to the seconds is kept from one record to the next."""
        if unix_ms == self._ingest_ms:  # what was read at once came at once
            return self._ingest
        second, milliseconds = divmod(unix_ms, 1000)
        if second != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        self._ingest_ms = unix_ms
        self._ingest = f"{self._second_text}.{milliseconds:03d}Z"
        return self._ingest


def _sender(device: Device) -> _Sender:
    device_id = _json(device.key.device_id)
    head = b'"device_id":%b' % device_id
    if device.hub_id:
        head += b',"hub_id":%b' % _json(device.hub_id)
        if device.hub_id != device.key.device_id:
            head += b',"childDeviceId":%b' % device_id
    return _Sender(device, device.key.lane, head, _tags(device.tags))


def _tags(tags: Mapping[str, str | int | float | bool]) -> bytes:
    return b',"tags":%b' % orjson.dumps(tags) if tags else b""


def _words(plan: MessagePlan) -> tuple[str, str, str]:
    """Record type, measurement and data type as the spec says them."""
    return plan.record, plan.measurement, plan.data_type


def _values(message: _Message, metrics: Mapping[str, Value]) -> tuple[bytes, bytes]:
    """The metrics as a JSON object, and `,"units":{...}` of those that have one.

    The encoder itself tells the rare cases: it refuses integers beyond 2^53, shows NaN, infinity and None as null, and
    an object within the object as `":{`. Only then the metrics are looked at one by one.
    """
    try:
        values = orjson.dumps(metrics, option=orjson.OPT_STRICT_INTEGER)
        plain = b"null" not in values and b'":{' not in values
    except TypeError:
        plain = False
    if not plain:
        metrics = dict(_flat("", metrics))
        values = orjson.dumps(metrics)
    plan = message.plan
    if not plan.units and not plan.unit_patterns and not plan.formats:
        return values, b""
    names = tuple(metrics)
    units = message.units.get(names)
    if units is None:
        chosen = {name: unit for name in names if (unit := plan.unit_of(name))}
        units = b',"units":%b' % orjson.dumps(chosen) if chosen else b""
        if len(message.units) < _MAX_UNIT_SETS:
            message.units[names] = units
    return values, units


def _flat(prefix: str, values: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    """Names and values without nesting; what has no value is left out."""
    for name, value in values.items():
        path = f"{prefix}{_text(str(name))}"
        if isinstance(value, dict):
            yield from _flat(f"{path}.", value)
        else:
            value = _plain(value)
            if value is not None:
                yield path, value


def _plain(value: Value) -> Value:
    """A value as it may stand in a record: no NaN, no infinity, no integer that a consumer would round."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) > MAX_SAFE_INTEGER else value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]  # an item without a value keeps its place
    if isinstance(value, dict):
        return dict(_flat("", value))
    return value


def _text(text: str) -> str:
    """The text, with halves of surrogate pairs, which UTF-8 cannot carry, replaced."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def _said(decoded: Decoded) -> bytes:
    trace = decoded.values.get(TRACE)
    return b"" if trace is None else b',"trace_id":%b' % _json(_text(trace))


def _flags(flags: Sequence[Violation]) -> bytes:
    return b',"flags":%b' % orjson.dumps([{"field": flag.field, "code": flag.code.value} for flag in flags])


def _is_off(device_time: str, received_ms: int) -> bool:
    """Whether the device's clock is more than a day from ours."""
    device_ms = datetime.fromisoformat(device_time).timestamp() * 1000
    return abs(device_ms - received_ms) > DAY_MS


def _json(value: str) -> bytes:
    return orjson.dumps(value)
