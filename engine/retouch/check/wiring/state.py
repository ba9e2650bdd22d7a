"""What is known of one flow while it is wired: the values that it holds, and what holds for its turn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from retouch.check.reading.calls import StageCall
from retouch.check.reading.edits import Change, caption_with
from retouch.check.wiring.context import Context
from retouch.check.wiring.turn_settings import TurnSettings
from retouch.check.wiring.turns import OPEN
from retouch.graph.nodes import FromNode
from retouch.graph.ports import PICTURE
from retouch.lang import syntax as s

if TYPE_CHECKING:
    from retouch.models.catalog import ModelInfo

MISSING = FromNode("missing")  # reported; the rest of the flow is still looked at


@dataclass(frozen=True, slots=True)
class Slot:
    """The newest value of a type, and the stage and model that made it."""

    edge: FromNode
    span: s.Span
    model: ModelInfo


@dataclass(slots=True)
class Held:
    """The values of a flow: of each type the newest, or of types that a stage takes all of, all."""

    slots: dict[str, Slot] = field(default_factory=dict[str, Slot])
    many: dict[str, list[FromNode]] = field(default_factory=dict[str, list[FromNode]])

    def copy(self) -> Held:
        """Return the same values, to go on with apart from these."""
        return Held(dict(self.slots), {type_: list(edges) for type_, edges in self.many.items()})

    def only(self, *types: str) -> Held:
        """Return the newest values of these types alone."""
        return Held({type_: slot for type_, slot in self.slots.items() if type_ in types})

    @property
    def is_open(self) -> bool:
        """Whether something waits to be sampled."""
        return bool((self.slots.keys() | self.many.keys()) & OPEN)

    def newest(self, type_: str) -> FromNode | None:
        """Return the newest value of a type."""
        if type_ in self.slots:
            return self.slots[type_].edge
        return self.many[type_][-1] if self.many.get(type_) else None

    def since(self, before: Held) -> dict[str, FromNode]:
        """Return what was not there before, by type; the picture itself and its guidance are no news."""
        quiet = PICTURE | {"Guidance"}
        new = {t: slot.edge for t, slot in self.slots.items() if before.slots.get(t) != slot and t not in quiet}
        gathered = {t: edges[-1] for t, edges in self.many.items() if edges != before.many.get(t, [])}
        return dict(sorted({**new, **gathered}.items()))


@dataclass(frozen=True, slots=True)
class Outside:
    """What a flow held where it was cropped; it holds that again when the window is put back."""

    held: Held
    began: dict[str, Slot]
    first: FromNode | None
    caption: str  # what the picture showed then


@dataclass(frozen=True, slots=True)
class Gone:
    """What a flow held until the turn ended: where it was made, and the stage that ended the turn."""

    span: s.Span
    by: str
    ended: s.Span


@dataclass(slots=True)
class FlowState:
    """A flow up to the stage that is wired next."""

    context: Context
    model: ModelInfo
    now: TurnSettings
    held: Held = field(default_factory=Held)
    turn: int = 1
    caption: str | None = None
    earlier: tuple[str, ...] = ()  # captions from before each window that was put back, the newest first
    certain: bool = True  # whether the command line can bring no other caption
    ended: bool = False  # whether the turn was sampled, and no stage of the next one has come
    began: dict[str, Slot] = field(default_factory=dict[str, Slot])  # what was held when the turn began
    first: FromNode | None = None  # the picture that the flow opened
    guides: list[StageCall] = field(default_factory=list[StageCall])  # of the turn, not wired yet
    outside: tuple[Outside, ...] = ()  # round each window that is open, the innermost last
    gone: dict[str, Gone] = field(default_factory=dict[str, Gone])  # with turns that have ended, by type
    mask: FromNode | None = None  # the newest of the whole picture that was made, whatever turns have ended
    draws: Counter[str] = field(default_factory=Counter[str])  # noise that each stage has taken so far

    def caption_of(self, edit: tuple[Change, ...], *, windowed: bool = False) -> str | None:
        """Return what an edit is made to: the caption, or what was said before another window was edited.

        What one window now shows in another way, the next one still shows as it was.
        windowed: whether the edit is made in a window, as far as this is not known of the flow.
        """
        inside = self.context.inside
        windowed = windowed or bool(self.outside or (inside and inside.earlier))
        return caption_with((self.caption, *(self.earlier if windowed else ())), edit)

    def apart(self, held: Held | None = None) -> FlowState:
        """Return the same flow, to go on with apart from this one; draws of noise stay counted together."""
        return replace(self, held=self.held.copy() if held is None else held)
