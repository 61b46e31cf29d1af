"""Devices under topics: whom a message is about, of which product, and whether its sender may speak for it.

Place in the walk: the topic reader asks for each message; what was found is remembered per topic and product, and asked
for again when the directory has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from decoders.catalog import Catalog, UnknownProduct
from decoders.plan import Decoded
from decoders.product import CompiledProduct
from decoders.spec.problems import nearest
from decoders.types import Identity, SessionContext, Violation, ViolationCode
from gateway.access.admission import Provisioning
from gateway.domain.device import Device, DeviceKey
from gateway.domain.errors import DeadLetterReason, RefuseReason
from gateway.domain.ports import DirectoryPort
from gateway.domain.reading import Refused
from gateway.domain.topic_message import Speaker, TopicMessage
from gateway.domain.uplink import NO_PRODUCT, Beside, Failure
from gateway.ingress.topic_documents import Node, joined, text_of
from gateway.protocol.session_ports import AdmissionPort
from gateway.protocol.uplink_topics import TopicRoute

__all__ = ["Ends", "Entry", "ReaderOptions", "TopicDevices"]

_MAX_ENTRIES = 65_536
_MAX_UNKNOWN = 1_024
_MAX_SHOWN = 40
_MAX_LISTED = 5


@dataclass(slots=True)
class ReaderOptions:
    """env: the gateway's own; refuse_env: a topic that names another one is refused, not flagged. provisioning: who may
    add to the directory by a topology."""

    env: str = ""
    refuse_env: bool = False
    provisioning: Provisioning = Provisioning.ALLOW_NEW


@dataclass(slots=True, eq=False)
class Entry:
    """What is known about the messages of one device and product. route: kept alive as a part of its key.

    context: shared by its messages, which are read one at a time. source: what the directory said when it was made.
    """

    route: TopicRoute
    product: CompiledProduct
    device: Device
    context: SessionContext
    beside: Beside | None
    source: Device | None
    generation: int


class Ends(Exception):
    """The message ends here: with a refusal, or as a dead letter."""

    def __init__(self, end: Refused | Failure, product: CompiledProduct = NO_PRODUCT, device_id: str = "") -> None:
        super().__init__()
        self.end = end
        self.product = product
        self.device_id = device_id


class TopicDevices:
    """Finds entries. catalog: asked for each message. known: the one that they were found with."""

    def __init__(
        self, catalog: Callable[[], Catalog], directory: DirectoryPort, admission: AdmissionPort, options: ReaderOptions
    ) -> None:
        self.catalog = catalog
        self._directory = directory
        self._admission = admission
        self._options = options
        self.known = catalog()
        self._entries: dict[tuple[TopicRoute, str, str, str, str, str], Entry] = {}
        self._unknown: dict[tuple[str, bool], str] = {}  # why a name is no product, and whether a topic brought it

    def find(self, tenant: str, device_id: str) -> Device | None:
        """What the directory says; None for nobody too."""
        return self._directory.find(DeviceKey(tenant, device_id)) if device_id else None

    def forget(self) -> None:
        """To be called when there is another catalog: forgets what was found with the one before."""
        self.known = self.catalog()
        self._entries.clear()
        self._unknown.clear()

    def is_current(self, entry: Entry) -> bool:
        """Whether neither directory nor catalog has changed since."""
        return entry.generation == self._directory.generation and self.catalog() is self.known

    def refusal(self, tenant: str, device_id: str) -> Refused | None:
        """Whether nothing of this device is kept, not even as a dead letter."""
        key = DeviceKey(tenant, device_id)
        if not key.names_lane:
            return None
        verdict = self._admission.admit(Identity(device_id=device_id), "", tenant)
        return Refused(verdict, detail=f"device {device_id}") if isinstance(verdict, RefuseReason) else None

    def check_speaker(self, message: TopicMessage, route: TopicRoute) -> None:
        own = message.speaker.device_id
        if own and route.device_id not in ("", own) and not message.speaker.may_speak_for(route.device_id):
            raise Ends(Refused(RefuseReason.NOT_AUTHORIZED, detail=f"{own} may not speak for {route.device_id}"))
        if route.env and route.env != self._options.env and self._options.refuse_env:
            detail = f"the topic says {route.env}, this gateway is {self._options.env}"
            raise Ends(Refused(RefuseReason.NOT_AUTHORIZED, detail=detail))

    def entry(
        self,
        message: TopicMessage,
        route: TopicRoute,
        named: str,
        device_id: str = "",
        hub_id: str = "",
        *,
        fallback: str = "",
        specless: bool = False,
    ) -> Entry:
        """named: the product that the message names. device_id: where the topic names none, or another one is meant.
        hub_id: likewise. fallback: a product if nothing else says one. specless: none is needed. Raises Ends."""
        speaker = message.speaker
        own = speaker.device_id
        if device_id:
            if own and device_id != own and not speaker.may_speak_for(device_id):
                raise Ends(Refused(RefuseReason.NOT_AUTHORIZED, detail=f"{own} may not speak for {device_id[:40]}"))
        elif not route.device_id:
            device_id = own
        key = (route, speaker.tenant, named, device_id, hub_id, "\0" if specless else fallback)
        entry = self._entries.get(key)
        generation = self._directory.generation
        if entry is not None:
            if entry.generation == generation:
                return entry
            if self._directory.find(entry.device.key) is entry.source:
                entry.generation = generation
                return entry
        entry = self._make_entry(message, route, named, device_id, hub_id, fallback, specless)
        if len(self._entries) >= _MAX_ENTRIES:
            self._entries.clear()
        self._entries[key] = entry
        return entry

    def known_entry(self, route: TopicRoute, tenant: str, named: str, device_id: str) -> Entry | None:
        """What `entry` has found before for a message that says no more than this; None where the directory may say
        something else now. Whether its sender may speak for the device is not asked."""
        entry = self._entries.get((route, tenant, named, device_id, "", ""))
        return entry if entry is not None and entry.generation == self._directory.generation else None

    def _make_entry(
        self,
        message: TopicMessage,
        route: TopicRoute,
        named: str,
        device_id: str,
        hub_id: str,
        fallback: str,
        specless: bool,
    ) -> Entry:
        of_topic = not device_id or device_id == route.device_id
        device_id = device_id or route.device_id
        key = DeviceKey(message.speaker.tenant, device_id)
        if not key.names_lane:
            wrong = f"`{device_id[:_MAX_SHOWN]}` is too long or not printable"
            if message.topic:
                what = wrong if device_id else "topic and payload name no device"
                detail = f"{what}: put the id into the topic, or `device_id` into the payload"
            else:
                what = wrong if device_id else "no device is named"
                detail = f"{what}: put its id into the item as `device_id`, or into the address as `?device_id=`"
            raise Ends(Failure(DeadLetterReason.NOT_IDENTIFIED.value, "access", detail))
        source = self._directory.find(key)
        in_topic = bool(message.topic)
        product = self.product(named, source, route, fallback, specless, device_id, in_topic=in_topic)
        verdict = self._admission.admit(Identity(device_id=device_id), product.id, key.tenant)
        if isinstance(verdict, RefuseReason):
            raise Ends(Refused(verdict, product.id, f"device {device_id}"))
        hub_id = route.hub_id if route.hub_said and of_topic else hub_id or verdict.hub_id
        device = verdict if verdict.hub_id == hub_id else replace(verdict, hub_id=hub_id)
        context = SessionContext(device_id, device.variant, zone_s=device.zone_s, zone_fixed=device.zone_s is not None)
        beside = self.beside_of(route)
        return Entry(route, product, device, context, beside, source, self._directory.generation)

    def product(
        self,
        named: str,
        known: Device | None,
        route: TopicRoute,
        fallback: str,
        specless: bool,
        device_id: str,
        *,
        in_topic: bool,
    ) -> CompiledProduct:
        """in_topic: the message came under a topic, and not in a request. The others as of `entry`. Raises Ends."""
        chosen = named or (known.product if known is not None else "") or route.product
        name = chosen or fallback
        loaded = self.known.products.get(name)
        if loaded is not None:
            return loaded.product
        if specless:
            return NO_PRODUCT
        if name:
            detail = self._unknown.get((name, in_topic))
            if detail is None:
                detail = self._no_product(name[:_MAX_SHOWN], in_topic=in_topic)
                if len(self._unknown) < _MAX_UNKNOWN:
                    self._unknown[name, in_topic] = detail
            if not chosen:
                by_hand = f"give {device_id} its `product` in the devices file (ChirpStack: or as device tag `product`)"
                detail = f"the network server calls it `{name[:_MAX_SHOWN]}`: {by_hand}; {detail}"
        else:
            said = f"nothing says which product {device_id} is"
            if in_topic:
                detail = f"{said}: `productId` in the payload, the devices file, or `product` of a topic template"
            else:
                detail = (
                    f"{said}: put `productId` into the item, `?product=` into the address, or it into the devices file"
                )
        raise Ends(Failure(DeadLetterReason.UNKNOWN_PRODUCT.value, "decode", detail), device_id=device_id)

    def _no_product(self, name: str, *, in_topic: bool) -> str:
        known = self.known.products
        if in_topic or len(known) <= _MAX_LISTED or nearest(name, known):
            return str(UnknownProduct.among(name, known))
        return f"no product `{name}` (GET /v1/specs lists them)"  # a request may have 50,000 items

    def beside_of(self, route: TopicRoute) -> Beside | None:
        differs = bool(route.env) and route.env != self._options.env
        flags = (Violation("env", ViolationCode.ENV_DIFFERS),) if differs else ()
        if not (flags or route.type or route.measurement):
            return None
        return Beside(measurement=route.measurement, data_type=route.type, flags=flags)

    def likely(self, message: TopicMessage, route: TopicRoute) -> CompiledProduct:
        """Whose spec a broken payload most likely belongs to, for its dead letter."""
        known = self._directory.find(DeviceKey(message.speaker.tenant, route.device_id or message.speaker.device_id))
        loaded = self.known.products.get((known.product if known is not None else "") or route.product)
        return NO_PRODUCT if loaded is None else loaded.product

    def payload_identity(
        self, message: TopicMessage, route: TopicRoute, document: Mapping[str, Any]
    ) -> tuple[str, str, list[Violation]]:
        """Device and hub that count because the topic does not say them, and what contradicts. Raises DecodeError."""
        own = document.get("device_id") or document.get("device_uuid")
        if not route.device_id:  # else it says nothing new
            own = text_of(document, "device_id") or text_of(document, "device_uuid")
        elif not isinstance(own, str):
            own = ""
        child = text_of(document, "childDeviceId")
        hub = "" if route.hub_said else text_of(document, "hub_id")
        if child and not hub and own != child:
            hub = own
        device_id = "" if route.device_id else child or own
        if route.hub_said or not hub:
            return device_id, "", []
        speaker = message.speaker
        about = route.device_id or device_id or speaker.device_id
        known = self._directory.find(DeviceKey(speaker.tenant, about))
        if known is not None and known.hub_id not in ("", hub):
            return device_id, "", [Violation("hub_id", ViolationCode.IDENTITY_DIFFERS)]
        if speaker.device_id and hub != speaker.device_id and not speaker.may_speak_for(hub):
            return device_id, "", [Violation("hub_id", ViolationCode.IDENTITY_DIFFERS)]
        return device_id, hub, []

    def settle_identity(
        self, message: TopicMessage, entry: Entry, decoded: Decoded, beside: Beside | None
    ) -> Beside | None:
        """Takes the identity out of a payload's values, but for that of a child; tells where it contradicts."""
        identity = entry.product.identity(decoded) or Identity()
        device, route = entry.device, entry.route
        own, hub = device.key.device_id, device.hub_id
        flags = []
        named = identity.device_id.lower() if route.envelope else identity.device_id
        if named not in ("", own, hub):
            flags.append(Violation("device_id", ViolationCode.IDENTITY_DIFFERS))
        if identity.hub_id not in ("", hub, own) and not (beside is not None and _tells(beside, "hub_id")):
            flags.append(Violation("hub_id", ViolationCode.IDENTITY_DIFFERS))
        child = identity.child_id
        if child and child != own:
            if hub in ("", own) and not (route.hub_said and not hub):
                speaker = message.speaker
                if speaker.device_id and not speaker.may_speak_for(child):
                    raise Ends(Refused(RefuseReason.NOT_AUTHORIZED, entry.product.id, f"{own} may not speak for it"))
            else:
                flags.append(Violation("childDeviceId", ViolationCode.IDENTITY_DIFFERS))
                child = ""
        for role, name in decoded.message.whole.identities:
            if role != "child" or not child or child == own:
                decoded.values.pop(name, None)
        return joined(beside, Beside(), flags) if flags else beside

    def check_items(self, speaker: Speaker, product: CompiledProduct, decoded: Decoded) -> None:
        for part in product.parts(decoded):
            about = part.identity
            name = "" if about is None else about.child_id or about.device_id
            if name and name != speaker.device_id and not speaker.may_speak_for(name):
                detail = f"{speaker.device_id} may not speak for {name[:40]}"
                raise Ends(Refused(RefuseReason.NOT_AUTHORIZED, product.id, detail))

    def learned(self, message: TopicMessage, nodes: list[Node]) -> dict[str, Device]:
        """What the directory may take up of a topology. Raises Ends where a proven device speaks of another's."""
        speaker, provisioning = message.speaker, self._options.provisioning
        found = {}
        for node in nodes:
            key = DeviceKey(speaker.tenant, node.device_id)
            known = self._directory.find(key)
            if speaker.device_id:
                new = known is None and node.hub_id == speaker.device_id
                if not (new or node.device_id == speaker.device_id or speaker.may_speak_for(node.device_id)):
                    detail = f"{speaker.device_id} may not speak for {node.device_id[:40]}"
                    raise Ends(Refused(RefuseReason.NOT_AUTHORIZED, detail=detail))
            hub = DeviceKey(speaker.tenant, node.hub_id)
            allowed = provisioning is Provisioning.ALLOW_NEW or (
                provisioning is Provisioning.KNOWN and self._directory.find(hub) is not None
            )
            if allowed and key.names_lane and hub.names_lane:
                product = node.product or (known.product if known is not None else "")
                found[node.device_id] = Device(key, product=product, hub_id=node.hub_id)
        return found


def _tells(beside: Beside, field_name: str) -> bool:
    return any(flag.field == field_name for flag in beside.flags)
