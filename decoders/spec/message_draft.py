"""A message of a spec while its product is compiled."""

from __future__ import annotations

from dataclasses import dataclass, field

from decoders.layout import Nodes
from decoders.reference.codec import Selector
from decoders.spec import model
from decoders.spec.frames import FramePlan
from decoders.spec.notes import Path, Structure


@dataclass(slots=True)
class MessageDraft:
    """body, structure: of the message without header and trailer. frames: kinds that it comes in. loose: values whose
    rows say no type."""

    name: str
    spec: model.MessageSpec
    path: Path
    structure: Structure
    body: Nodes = ()
    frames: list[FramePlan] = field(default_factory=list)
    loose: set[str] = field(default_factory=set)
    selector: Selector = field(default_factory=lambda: Selector("", ()))
