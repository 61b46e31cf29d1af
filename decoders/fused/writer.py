"""Where the generated code stands in the frame: position, window, what is known to be there, and branches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from decoders.fused.scope import Begun, Names, Structure, given_names
from decoders.layout import MAX_EMPTY_ITEMS, Node, Nodes, Repeat, Tags, may_be_empty
from decoders.source_writer import SourceWriter

WriteNodes = Callable[["Writer", Sequence[Node], Structure], None]
FAULTY = "faulty"
"""Variable that is true once it was noted why a row has no value."""
EMPTY_ITEMS = "empty_items"
"""Variable that counts the items of lists whose items may take no bytes."""
_FEW = 4  # optional values up to this many are kept in variables; more go straight into the structure's dict


@dataclass(slots=True, frozen=True)
class Place:
    """base + shift is the position; the window ends at `end`; `checked` bytes from here on are known to be in it.
    begin: where it begins, if it is one of its own (text needs it)."""

    base: str
    shift: int
    end: str
    checked: int = 0
    begin: str = ""


class Writer:
    """Position of the code that is being written, and the lines of it. `write` writes the code of any nodes.

    slack: bytes of the frame that are known to stand behind the window, so that reading there is no error.
    open_ended: values may end with the window instead of a mark: the position is then behind the end (see `Window`).
    """

    def __init__(self, out: SourceWriter, names: Names, write: WriteNodes) -> None:
        self.out = out
        self.names = names
        self.write_nodes = write
        self.place = Place("", 0, "e")
        self.slack = 0
        self.frame = "b"  # variable of the frame; `b` is what is read from, which may be bytes that text stands for
        self.body = ""  # where the message's body starts, once that is known
        self.body_size: int | None = None
        self.open_ended = False
        self.valueless = False  # nobody asks for the values of the outermost structure
        self.conditional = 0
        self.repeated = 0  # as `conditional`, of the code for items of tag lists
        self.faulty = False  # some row may have no value where it should have one
        self.record = ""  # variable of the self-describing record around the code
        self._left: tuple[str, str, str] = ("", "", "")
        self._presets: list[tuple[str, str]] = []  # variables of the branch being written, and what they start with

    def write(self, nodes: Sequence[Node], scope: Structure) -> None:
        self.write_nodes(self, nodes, scope)

    # position

    @property
    def position(self) -> str:
        return self.at(0)

    @property
    def bracket(self) -> str:
        """The position as an operand."""
        text = self.position
        return f"({text})" if " " in text else text

    def at(self, ahead: int) -> str:
        """Source of the position some bytes ahead."""
        shift = self.place.shift + ahead
        if not self.place.base:
            return str(shift)
        return f"{self.place.base} + {shift}" if shift else self.place.base

    def advance(self, size: int) -> None:
        here = self.place
        self.place = Place(here.base, here.shift + size, here.end, max(0, here.checked - size), here.begin)

    def move_to(self, variable: str, ahead: int = 0) -> None:
        self.place = Place(variable, ahead, self.place.end, 0, self.place.begin)

    def enter(self, start: str, end: str, checked: int = 0) -> None:
        """Reads on in a window of its own."""
        self.place = Place(start, 0, end, checked, self.place.begin if end == self.place.end else "")

    def know(self, size: int) -> None:
        """`size` bytes from here on are known to be there."""
        here = self.place
        self.place = Place(here.base, here.shift, here.end, max(here.checked, size), here.begin)

    def require(self, size: int) -> None:
        """Refuses when fewer than `size` bytes are left in the window."""
        if size > self.place.checked:
            self.refuse_if(f"{self.at(size)} > {self.place.end}")
            self.know(size)

    def unread(self, stop: str = "") -> str:
        """A test for bytes that are left up to `stop`, which is the window's end."""
        return f"{self.position} {'<' if self.open_ended else '!='} {stop or self.place.end}"

    def refuse_if(self, test: str) -> None:
        self.out.emit(f"if {test}: raise Refused")

    def count_item(self, node: Repeat | Tags) -> None:
        """In the loop over a list's items: refuses a frame that has too many which may take no bytes."""
        if may_be_empty(node):
            self.out.emit(f"{EMPTY_ITEMS} += 1")
            self.refuse_if(f"{EMPTY_ITEMS} > {MAX_EMPTY_ITEMS}")

    # bytes that are left

    def remember_left(self, start: str, end: str, size: str) -> None:
        """The bytes from `start` to `end` are counted by the variable `size`."""
        self._left = (start, end, size)

    @property
    def left(self) -> str:
        """Number of bytes from here to the window's end, as an operand."""
        here = self.place
        if (here.base, here.end) == self._left[:2]:
            size = self._left[2]  # of a binary item
            return f"({size} - {here.shift})" if here.shift else size
        if self.open_ended:
            return f"({here.end} - {self.bracket} if {self.position} < {here.end} else 0)"
        return f"({here.end} - {self.bracket})"

    # branches

    def preset(self, variable: str, start: str) -> None:
        """The variable gets this value before the outermost branch."""
        self._presets.append((variable, start))

    def start(self, variable: str, value: str) -> None:
        """The variable has this value before whatever happens to it."""
        if self.conditional:
            self.preset(variable, value)
        else:
            self.out.emit(f"{variable} = {value}")

    def mark(self, hint: str) -> str:
        """A variable that is true once the code comes by here."""
        variable = self.out.fresh(hint)
        self.preset(variable, "False")
        self.out.emit(f"{variable} = True")
        return variable

    @contextmanager
    def branching(self, nodes: Nodes, scope: Structure) -> Iterator[None]:
        """Code of `nodes` that may not run: its variables are set before the outermost branch."""
        mark, level = self.out.mark(), self.out.level
        outer, self._presets = self._presets, []
        if not self.conditional:
            self._begin(nodes, scope, mark)
        self.conditional += 1
        yield
        self.conditional -= 1
        presets, self._presets = self._presets, outer
        if self.conditional:
            outer.extend(presets)
            return
        for variable, start in reversed(presets):
            self.out.insert(mark, level, f"{variable} = {start}")

    @contextmanager
    def repeating(self, nodes: Nodes, scope: Structure) -> Iterator[None]:
        """The same for code that may run several times for one structure."""
        with self.branching(nodes, scope):
            self.repeated += 1
            yield
            self.repeated -= 1

    def _begin(self, nodes: Nodes, scope: Structure, mark: int) -> None:
        """Begins the structure's dict where a branch may give many values."""
        if self.valueless or scope.begun is not None or len(set(given_names(nodes))) <= _FEW:
            return
        early = {
            name: (known, known.version) for name, known in scope.values.items() if known.sure and not known.hidden
        }
        scope.begun = Begun(self.out.fresh("values"), mark, self.out.level, early)

    @contextmanager
    def unconditional(self) -> Iterator[None]:
        """Code of an inner structure: what it reads is sure for the structure, wherever that stands."""
        outside, self.conditional, self.repeated = (self.conditional, self.repeated), 0, 0
        yield
        self.conditional, self.repeated = outside
