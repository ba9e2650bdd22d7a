"""What a script gets back: pictures, what they came from and cost, or why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.lang.diagnostics import Diagnostic

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from retouch.core.values import Mask
    from retouch.core.walk import Trajectory
    from retouch.graph.nodes import Graph, Node
    from retouch.run.files.provenance import Provenance
    from retouch.run.outcome import Outcome


def told_of(text: str, found: Sequence[Diagnostic]) -> str:
    """All findings, each with the line it is about: of the recipe, or of what the call gave beside it."""
    places = ((text, None) if item.source is None else (item.source, "what was given") for item in found)
    return "\n\n".join(_printable(item.render(*place, _printable)) for item, place in zip(found, places, strict=True))


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()  # whoever prints it may not be able to print half a pair


class _Diagnosed(Exception):
    """What is wrong, in words, and as diagnostics; whole again in another process."""

    def __init__(self, text: str, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(told_of(text, diagnostics))
        self.text, self.diagnostics = text, tuple(diagnostics)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.text, self.diagnostics)


class RecipeError(_Diagnosed, ValueError):
    """A recipe or an input that is wrong; nothing ran.  `diagnostics` says what, where, and how to mend it."""


class EditFailed(_Diagnosed, RuntimeError):
    """A picture that could not be edited, though its recipe was right."""


@dataclass(frozen=True, repr=False)
class Result:
    """What became of one picture.

    images: the pictures that were made, one for each variant; image: the first of them.  Saved, they say how they were
        made.
    mask, trajectory: the last that was made, or None.
    cost: denoiser rows.
    notices: what a user should know, such as words that the model cannot read.
    files: what the recipe itself saved, now or, where it resumes, before.
    diagnostics: why there is no picture, if there is none; ok: that there are no such reasons.
    """

    images: tuple[Picture, ...]
    mask: Mask | None
    trajectory: Trajectory | None
    cost: int
    notices: tuple[str, ...]
    files: tuple[Path, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    text: str = ""  # of the recipe, for what the diagnostics say

    def __repr__(self) -> str:
        """In a line: values are large, and a notebook shows what a cell ends with."""
        made = [f"{each.width}×{each.height}" for each in self.images[:3]] + ["…"] * (len(self.images) > 3)
        said = [f"images {', '.join(made)}" if made else "no image", f"{self.cost} rows"]
        said += [f"{len(found)} {what}" for what in ("notices", "files") if (found := getattr(self, what))]
        return f"<Result: {'; '.join([*said, *(each.message for each in self.diagnostics)])}>"

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows of it: its first picture."""
        return self.images[0]._repr_png_() if self.images else None

    @classmethod
    def of_failed(cls, text: str, diagnostics: Sequence[Diagnostic], notices: Sequence[str] = ()) -> Result:
        """What became of a picture that could not be edited."""
        return cls((), None, None, 0, tuple(notices), (), tuple(diagnostics), text)

    @property
    def ok(self) -> bool:
        """Whether all that was asked for this picture was made."""
        return not self.diagnostics

    def __bool__(self) -> bool:
        return self.ok

    @property
    def error(self) -> EditFailed | None:
        """Why there is no picture, as an exception that can be raised; None if there is one."""
        return EditFailed(self.text, self.diagnostics) if self.diagnostics else None

    @property
    def image(self) -> Picture:
        """The first picture that was made; EditFailed says why there is none."""
        if not self.images:
            there = "no picture was made by this call; what was saved is in its 'files'"
            raise self.error or AttributeError(there if self.files else "this recipe makes no picture")
        return self.images[0]


def result_of(
    text: str, graph: Graph, outcome: Outcome, source: Provenance, kept: Path, warnings: Sequence[Diagnostic] = ()
) -> Result:
    """The result of one picture's graph.

    kept: the folder of this call, which goes with it.  warnings: of the check, those of other pictures among them.
    """
    from retouch.run.files.edited import EditedImage

    def last(type_: str) -> Any:
        made = [node.id for node in graph.nodes if node.card.output == type_ and node.id in outcome.values]
        return outcome.values[made[-1]] if made else None

    pictures = [
        EditedImage.of(outcome.values[id_], source.of(node.id), source.about_source(node))
        for id_, node in _shown(graph).items()
        if id_ in outcome.values
    ]
    # What it wrote into the folder of this call goes with that.
    files = tuple(path for path in outcome.files if not path.is_relative_to(kept))
    path = str(graph.item.path) if graph.item else ""
    own = [each for each in warnings if not each.about or path in each.about]
    told = [f"{each.message}; {each.help}" for each in (*own, *outcome.warnings)]
    notices = tuple(dict.fromkeys((*outcome.notices, *told)))
    rows = sum(outcome.rows.values())
    found = tuple(outcome.failures)
    return Result(tuple(pictures), last("Mask"), last("Trajectory"), rows, notices, files, found, text)


def _shown(graph: Graph) -> dict[str, Node]:
    """By the stage that made it, each picture that a result takes, with that result: if one saves it, that one."""
    from retouch.graph.nodes import FromNode

    found: dict[str, Node] = {}
    sinks = [node for node in graph.nodes if node.card.output is None]
    for node in sorted(sinks, key=lambda node: not node.card.takes("Outbox")):
        types = {port.name: port.type for port in node.card.ports}
        for port, edge in node.edges():
            if isinstance(edge, FromNode) and types.get(port) == "Image":
                found.setdefault(edge.id, node)
    order = {node.id: i for i, node in enumerate(graph.nodes)}
    return dict(sorted(found.items(), key=lambda item: order[item[1].id]))
