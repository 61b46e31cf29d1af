"""What a spec says about values beside how to read them: units, contract, identity, times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str | int, ...]
"""Place of something in a spec: keys and indexes from the top."""
Report = Callable[[Path, str, str], None]
"""Takes a problem: its place, what is wrong, what to do."""


@dataclass(slots=True)
class ValueNote:
    """What the spec says about a value beside how to read it."""

    name: str
    path: Path
    unit: str = ""
    range: tuple[float, float] | None = None
    required: bool = False
    metric: bool | None = None
    identity: str = ""
    timestamp: str = ""
    session: str = ""
    clock: bool = False
    words: frozenset[Any] | None = None
    items: bool = False  # the value is a list; range and words are those of its items
    number: bool = False  # it can be nothing but a number
    text: bool = False  # it is the text of bytes, which may be none
    conditional: bool = False
    note: str = ""


@dataclass(slots=True)
class Structure:
    """Values of one structure (a message, a list's items, a named group) in the order of the rows."""

    notes: dict[str, ValueNote] = field(default_factory=dict)
    inner: dict[str, Structure] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)
    quiet: set[str] = field(default_factory=set)  # named lists and groups that are no metrics
    kept: set[str] = field(default_factory=set)  # lists whose `keep` may drop items
    repeats: dict[str, str] = field(default_factory=dict)  # value -> the `repeat` of its rows
    formats: set[str] = field(default_factory=set)  # formats of records that come under their own names
    objects: set[str] = field(default_factory=set)  # values that may be objects, which become several metrics
    open: bool = False  # such records stand among the values
    computed: set[str] = field(default_factory=set)  # those of the notes whose names are built from numbers
    collected: set[str] = field(default_factory=set)  # objects of what the tags do not know

    def add(self, note: ValueNote) -> None:
        """Of several rows with one name the last one's note counts."""
        before = self.notes.get(note.name)
        note.number = note.number and (before is None or before.number)
        self.notes[note.name] = note
        if "{" in note.name:
            self.computed.add(note.name)

    def all_formats(self) -> frozenset[str]:
        """Formats of records here and in inner structures."""
        return frozenset(self.formats).union(*(inner.all_formats() for inner in self.inner.values()))

    def take(self, other: Structure) -> None:
        for note in other.notes.values():
            self.add(note)
        self.inner.update(other.inner)
        self.lists |= other.lists
        self.quiet |= other.quiet
        self.kept |= other.kept
        self.repeats.update(other.repeats)
        self.formats |= other.formats
        self.open = self.open or other.open
        self.objects |= other.objects
        self.collected |= other.collected
