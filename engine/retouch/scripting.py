"""Recipes from Python: a text made callable, and flows built stage by stage.  Both build the graph that the text does.

edit = retouch.recipe('invert null_text | mask diffedit "cat"->"dog" | blend latent')
edit("cat.png").image.save("dog.png")

flow = retouch.open("cat.png", caption="a cat") | retouch.invert.ddim() | retouch.attend.p2p(retouch.edit("cat", "dog"))
flow().image
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from retouch.lang.diagnostics import Diagnostic
from retouch.run.model_cache import KeptMachines

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image as Picture

    from retouch.check.check import Checked
    from retouch.core.values import Mask
    from retouch.core.walk import Trajectory
    from retouch.graph.nodes import Graph
    from retouch.graph.nodes import Picture as Item
    from retouch.run.files.provenance import Stamp
    from retouch.run.session import Outcome

    Source = str | Path | Picture | torch.Tensor


class RecipeError(ValueError):
    """A recipe or an input that is wrong; nothing ran.  `diagnostics` says what, where, and how to mend it."""

    def __init__(self, text: str, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(_told_of(text, diagnostics))
        self.diagnostics = tuple(diagnostics)


def _told_of(text: str, found: Sequence[Diagnostic]) -> str:
    """All findings, each with the line it is about: of the recipe, or of what the call gave beside it."""
    return "\n\n".join(
        item.render(text) if item.source is None else item.render(item.source, "what was given") for item in found
    )


class EditFailed(RuntimeError):
    """A picture that could not be edited, though its recipe was right."""

    def __init__(self, text: str, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(_told_of(text, diagnostics))
        self.diagnostics = tuple(diagnostics)


@dataclass(frozen=True)
class Result:
    """What became of one picture.

    images: the pictures that were made, one for each variant; image: the first of them.
    mask, trajectory: the last that was made, or None.
    cost: denoiser rows.
    notices: what a user should know, such as words that the model cannot read.
    """

    images: tuple[Picture, ...]
    mask: Mask | None
    trajectory: Trajectory | None
    cost: int
    notices: tuple[str, ...]

    @property
    def image(self) -> Picture:
        """The first picture that was made."""
        if not self.images:
            raise AttributeError("this recipe makes no picture")
        return self.images[0]


@dataclass(frozen=True)
class Recipe:
    """A recipe that is called with a picture, or with a list of them that share their calls of the network.

    folder: where its relative paths start.
    allow: folders besides that one, and those of the pictures, that it may read and write.
    Its models stay loaded as long as it is there; recipes share them.
    """

    text: str
    folder: Path = field(default_factory=Path.cwd)
    allow: tuple[Path, ...] = ()
    _machines: KeptMachines = field(default_factory=KeptMachines, init=False, repr=False, compare=False)

    def __str__(self) -> str:
        return self.text

    def graphs(self, *sources: Source, caption: str | None = None, seed: int | None = None, **settings: Any):
        """The graphs that the recipe comes to for these pictures; RecipeError if anything is wrong."""
        with tempfile.TemporaryDirectory() as kept:
            checked = self._checked(sources, Path(kept), caption, _told(settings, seed))
            if checked.errors:
                raise RecipeError(self.text, checked.errors)
            return checked.graphs

    def __call__(
        self,
        source: Source | Sequence[Source] | None = None,
        *,
        caption: str | None = None,
        seed: int | None = None,
        device: str | None = None,
        exact: bool = False,
        stamp: Stamp = "full",
        **settings: Any,
    ) -> Any:
        """Run it.  One picture gives a Result, a list a list of Results; without any, the recipe opens its own.

        source: paths, PIL images, or tensors [3, H, W] in [0, 1].
        caption: what the pictures show; without one, the text file beside each says it.
        stamp: what files that the recipe saves say of themselves: "full", "minimal" (versions alone) or "none".
        settings: lets and defaults by name, as `--set` changes them.
        Raises RecipeError before anything runs, EditFailed if a lone picture fails; in a list, a picture that fails
        or is refused is None.
        """
        from retouch.plugins import registry
        from retouch.run.files.provenance import Request
        from retouch.run.session import Settings, execute

        many = isinstance(source, list | tuple)
        given = source if isinstance(source, list | tuple) else () if source is None else (source,)
        sources = cast("tuple[Source, ...]", tuple(given))
        with tempfile.TemporaryDirectory() as kept:
            checked = self._checked(sources, Path(kept), caption, _told(settings, seed))
            if checked.errors and not (many and checked.graphs):
                raise RecipeError(self.text, checked.errors)
            graphs = checked.graphs
            how = Settings(device or _best_device(), exact=exact)
            request = Request.of(self.text, self.folder, graphs, _told(settings, seed), stamp=stamp)
            done = execute(graphs, registry=registry.load(), request=request, settings=how, machine=self._machines)
            pairs = list(zip(graphs, done.outcomes, strict=False))
            if not many and len(pairs) == 1 and pairs[0][1].failed:
                raise EditFailed(self.text, pairs[0][1].failures)
            made = [(graph.item, None if outcome.failed else _result(graph, outcome)) for graph, outcome in pairs]
            results = _in_order([*made, *((picture, None) for picture in checked.refused)], sources)
        return results if many or len(results) != 1 else results[0]

    def _checked(
        self, sources: Sequence[Source], kept: Path, caption: str | None, settings: Mapping[str, str]
    ) -> Checked:
        from retouch.check.check import check
        from retouch.check.reading.environment import Environment, named
        from retouch.lang.diagnostics import Report
        from retouch.plugins import registry

        report = Report()
        pictures = tuple(named(_file(source, kept, i), i, caption, report) for i, source in enumerate(sources))
        out = kept / "out"
        allowed = (kept, *self.allow, *(picture.path.parent for picture in pictures))
        world = Environment(registry.load(), self.folder, pictures, settings, here=out, allowed=allowed)
        return check(self.text, world, report)


def _in_order(made: list[tuple[Item | None, Result | None]], sources: Sequence[Source]) -> list[Result | None]:
    """The results, each where its source was given; those of pictures that the recipe opens itself come after."""
    places = {Path(each).resolve(): i for i, each in enumerate(sources) if isinstance(each, str | Path)}

    def place(one: tuple[Item | None, Result | None]) -> int:
        item = one[0]
        return len(sources) if item is None else places.get(item.path, item.index)

    return [result for _, result in sorted(made, key=place)]


def _told(settings: Mapping[str, Any], seed: int | None) -> dict[str, str]:
    told = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    return told | ({} if seed is None else {"seed": str(seed)})


def _file(source: Source, kept: Path, index: int) -> str:
    """A picture as a file, which is what a recipe opens."""
    if isinstance(source, str | Path):
        return str(source)
    path = kept / f"picture-{index}.png"
    _picture(source).save(path)
    return str(path)


def _picture(source: Picture | torch.Tensor) -> Picture:
    from PIL import Image

    if isinstance(source, Image.Image):
        return source
    return Image.fromarray((source.detach().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy())


def _result(graph: Graph, outcome: Outcome) -> Result:
    from PIL import Image

    from retouch.graph.nodes import FromNode
    from retouch.run.files.outbox import as_bytes

    def last(type_: str) -> Any:
        made = [node.id for node in graph.nodes if node.card.output == type_ and node.id in outcome.values]
        return outcome.values[made[-1]] if made else None

    results = [node.inputs.get("image") for node in graph.nodes if node.card.output is None]
    saved = [edge.id for edge in results if isinstance(edge, FromNode)]
    shown = [outcome.values[id_] for id_ in saved if id_ in outcome.values]
    pictures = tuple(Image.fromarray(as_bytes(each.data.permute(1, 2, 0))) for each in shown)
    rows = sum(outcome.rows.values())
    told = [f"{each.message}; {each.help}" for each in outcome.warnings]
    return Result(pictures, last("Mask"), last("Trajectory"), rows, (*outcome.notices, *told))


def _best_device() -> str:
    from retouch.run.device import best_device

    return best_device()


# ---------------------------------------------------------------- flows, stage by stage


@dataclass(frozen=True)
class EditText:
    """A change of the caption, as a recipe writes it."""

    text: str

    def __add__(self, other: EditText) -> EditText:
        """Both at once."""
        return EditText(f"{self.text} {other.text}")


def edit(old: str, new: str, *, weight: float | None = None) -> EditText:
    """Replace words of the caption: `"cat"->"dog"`.  weight: factor on the attention to the new words."""
    return EditText(f"{_value(old)}->{_value(new)}{'' if weight is None else f'*{weight:g}'}")


def add(words: str, *, weight: float | None = None) -> EditText:
    """Add words to the caption: `+"a red hat"`."""
    return EditText(f"+{_value(words)}{'' if weight is None else f'*{weight:g}'}")


def remove(words: str) -> EditText:
    """Remove words from the caption: `-"hat"`."""
    return EditText(f"-{_value(words)}")


def weigh(words: str, weight: float) -> EditText:
    """Weigh words of the target prompt: `"fluffy"*2`."""
    return EditText(f"{_value(words)}*{weight:g}")


@dataclass(frozen=True)
class Flow:
    """Stages in a row.  `a | b` joins them; calling it runs it, as a recipe."""

    stages: tuple[str, ...]
    named: tuple[tuple[str, Flow], ...] = ()  # flows that are given to ports

    def __or__(self, other: Flow) -> Flow:
        return Flow((*self.stages, *other.stages), (*self.named, *other.named))

    @property
    def recipe(self) -> Recipe:
        """The recipe that says the same; whoever builds it names its files, so it may use them wherever they are."""
        here = Path.cwd()
        return Recipe(str(self), here, (Path(here.anchor),))

    def __str__(self) -> str:
        lines: dict[str, None] = {}
        for name, flow in self.named:
            inner = str(flow).rstrip("\n").split("\n")
            lines |= dict.fromkeys([*inner[:-1], f"{name} = {inner[-1]}"])
        return "\n".join([*lines, " | ".join(self.stages)]) + "\n"

    def __call__(self, *sources: Any, **options: Any) -> Any:
        """Run it; see Recipe."""
        return self.recipe(*sources, **options)


@dataclass(frozen=True)
class Family:
    """A family of stages: `retouch.invert.ddim(steps=50)`, or `retouch.blend()` for its default method."""

    name: str

    def __getattr__(self, method: str) -> Any:
        if method.startswith("__"):
            raise AttributeError(method)
        return lambda *edits, **options: _stage(f"{self.name} {method}", edits, options)

    def __call__(self, *operand: Any, **options: Any) -> Flow:
        """The family's default method."""
        return _stage(self.name, operand, options)


def _stage(name: str, operand: Sequence[Any], options: Mapping[str, Any]) -> Flow:
    named = {key: value for key, value in options.items() if isinstance(value, Flow)}
    given = {key: _name(value) if key in named else _value(value) for key, value in options.items()}
    parts = [name, *map(_value, operand), *(f"{key.rstrip('_')}={value}" for key, value in given.items())]
    return Flow((" ".join(parts),), tuple((_name(flow), flow) for flow in named.values()))


def _name(flow: Flow) -> str:
    """A name for a flow that depends on what it is, so that equal flows are one."""
    import hashlib

    return f"flow_{hashlib.sha256(str(flow).encode()).hexdigest()[:8]}"


def _value(value: Any) -> str:
    if isinstance(value, EditText):
        return value.text
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Path):
        return json.dumps(value.as_posix(), ensure_ascii=False)
    if isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=False)
    raise TypeError(f"a recipe has no value such as {value!r}: give a text, a number, a list, an edit or a flow")


def recipe(text: str, folder: str | Path | None = None) -> Recipe:
    """A recipe from its text.  folder: where its relative paths start; the current one by default."""
    return Recipe(text, Path(folder).resolve() if folder else Path.cwd())
