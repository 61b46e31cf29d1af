"""What devices say, built from the specs: frames of golden frames (TCP), and documents of their metrics (MQTT, REST).

Place in the walk: made once before a run; a device then asks for its frame or document of a number. Only what can be
counted is said: what makes one record, whose device time names the frame, and is answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from decoders.catalog import Catalog, LoadedProduct
from decoders.types import SessionContext
from gateway.pipeline.preview import Preview
from gateway.simulate.templates import FrameTemplate, Script, SentFrame, scripts_of
from loadtest.fleet.numbers import ms_of, number_of

__all__ = ["Document", "NothingToSay", "Speaker", "Voice", "document_of", "voices_of"]

_TIME = 1_111_111_111_111  # stands in a document where its time is put
_TRIED = (1, 2)  # numbers by which a template shows that it can be counted


class NothingToSay(ValueError):
    """A product without a golden frame that a load could be made of."""


@dataclass(slots=True)
class Voice:
    """How one kind of TCP device speaks. shared: frames by template, of templates that do not name the device."""

    script: Script
    frames: Sequence[FrameTemplate]
    shared: dict[str, SentFrame] = field(default_factory=dict)

    @property
    def product_id(self) -> str:
        return self.script.product.id


class Speaker:
    """One TCP device: makes its login, its frames by number, its heartbeats. device_id: as records have it."""

    __slots__ = ("_context", "_heartbeats", "_number", "_ready", "device_id", "login", "voice")

    def __init__(self, voice: Voice, number: int) -> None:
        self.voice = voice
        self._number = number
        self._context = SessionContext()
        self._ready: dict[str, SentFrame] = {}
        self._heartbeats = 0
        login = voice.script.login
        self.login = login.render(number, 0, ms_of(0), self._context) if login is not None else None
        first = self.login or voice.frames[0].render(number, 0, ms_of(0), self._context)
        answer = Preview(voice.script.product).read(first.wire, SessionContext(), ms_of(0))
        self.device_id = str(answer["device_id"])

    @property
    def has_heartbeat(self) -> bool:
        return self.voice.script.heartbeat is not None

    def frame(self, number: int) -> SentFrame:
        """The data frame with this number."""
        frames = self.voice.frames
        return self._make(frames[number % len(frames)], number, ms_of(number))

    def heartbeat(self) -> SentFrame:
        """The next one; the voice must have one."""
        template = self.voice.script.heartbeat
        assert template is not None
        self._heartbeats += 1
        return self._make(template, self._heartbeats, ms_of(0))

    def _make(self, template: FrameTemplate, serial: int, now_ms: int) -> SentFrame:
        ready = self._ready if template.session_id is not None else self.voice.shared
        known = ready.get(template.name)
        if known is not None:
            return template.renew(known, self._number, serial, now_ms, self._context)
        made = template.render(self._number, serial, now_ms, self._context)
        if template.renewable:
            ready[template.name] = made
        return made


def voices_of(catalog: Catalog, products: Sequence[str], messages: Sequence[str] = ()) -> list[Voice]:
    """The voices of these products in turn. A voice has one frame of each message. messages: only these; empty: all
    that can be counted.

    Raises NothingToSay, and UnknownProduct for a product that the catalog does not have.
    """
    found = []
    for product in products:
        voices = list(_voices(catalog.find(product), messages))
        if not voices:
            asked = f" among {', '.join(messages)}" if messages else ""
            raise NothingToSay(
                f"{product}: no golden frame{asked} makes one record with a device time and is answered over TCP"
            )
        found += voices
    return found


def _voices(loaded: LoadedProduct, messages: Sequence[str]) -> Iterator[Voice]:
    for script in scripts_of(loaded):
        frames: dict[str, FrameTemplate] = {}
        for template in script.data:
            wanted = template.message not in frames and (not messages or template.message in messages)
            if wanted and template.records == 1 and template.reply_count and _is_countable(script, template):
                frames[template.message] = template
        if frames:
            yield Voice(script, list(frames.values()))


def _is_countable(script: Script, template: FrameTemplate) -> bool:
    """Whether the record of each frame says which frame it was made of, and of which device."""
    context, devices = SessionContext(), set()
    preview = Preview(script.product)
    if script.login is not None:
        login = script.login.render(1, 0, ms_of(0), context)
        devices.add(preview.read(login.wire, SessionContext(), ms_of(0))["device_id"])
    for number in _TRIED:
        frame = template.render(1, number, ms_of(number), context)
        answer = preview.read(frame.wire, context, ms_of(number))
        records = answer.get("records", [])
        if len(records) != 1 or "device_timestamp" not in records[0]:
            return False
        if number_of(records[0]["device_timestamp"]) != number:
            return False
        devices.add(records[0].get("device_id", context.device_id))
    return len(devices) == 1


class Document:
    """JSON telemetry of one device; only its time changes."""

    __slots__ = ("_after", "_before")

    def __init__(self, product: str, metrics: dict[str, object], device_id: str = "") -> None:
        plain: dict[str, object] = {"device_id": device_id} if device_id else {}
        plain |= {"productId": product, "device_timestamp": _TIME, "metrics": metrics}
        self._before, _, self._after = orjson.dumps(plain).partition(str(_TIME).encode())

    @property
    def size(self) -> int:
        return len(self._before) + len(str(_TIME)) + len(self._after)

    def at(self, number: int) -> bytes:
        """The document with this number."""
        return b"%b%d%b" % (self._before, ms_of(number), self._after)


def document_of(catalog: Catalog, product: str, device_id: str = "") -> Document:
    """A document with the metrics of the first golden frame that a load can be made of. device_id: where nothing else
    names the device. Raises NothingToSay, UnknownProduct."""
    loaded = catalog.find(product)
    preview = Preview(loaded.product)
    for case in loaded.cases():
        if case.error:
            continue
        records = preview.read(case.wire, case.context(), ms_of(0)).get("records", [])
        metrics = records[0].get("metrics") if records else None
        if metrics:
            return Document(product, metrics, device_id)
    raise NothingToSay(f"{product}: no golden frame has metrics")
