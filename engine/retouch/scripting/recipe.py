"""A recipe that is called with pictures."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from retouch.lang.diagnostics import Diagnostic, Report
from retouch.lang.encodings import HALF_A_PAIR, is_text
from retouch.lang.syntax import Span
from retouch.paths import resolved
from retouch.pictures.holding import Unholdable
from retouch.run.loaded.model_cache import KeptMachines
from retouch.scripting.result import EditFailed, RecipeError, Result, result_of
from retouch.scripting.sources import Caption, Entered, again, captions, described, enter, gathered
from retouch.scripting.values import spelt

if TYPE_CHECKING:
    from retouch.graph.nodes import Graph, Picture
    from retouch.run.files.provenance import Stamp
    from retouch.scripting.sources import Source


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

    def graphs(self, *sources: Source, caption: Caption = None, seed: int | None = None, **settings: Any):
        """The graphs that the recipe comes to for these pictures; RecipeError if anything is wrong."""
        with tempfile.TemporaryDirectory() as kept:
            told = _told(settings, seed)
            checked = _Checked.of(self, sources, Path(kept).resolve(), caption, told, none_will_do=False)
            if found := [each for faults in checked.faults.values() for each in faults]:
                raise RecipeError(self.text, found)
            return checked.graphs

    def __call__(
        self,
        source: Source | Iterable[Source] | None = None,
        *,
        caption: Caption = None,
        seed: int | None = None,
        device: str | None = None,
        exact: bool = False,
        stamp: Stamp = "full",
        resume: bool = False,
        **settings: Any,
    ) -> Any:
        """Run it.  One picture gives a Result, several a list of Results; without any, the recipe opens its own.

        source: paths; images of PIL, of any mode; numpy arrays [H, W, 3] or [H, W], uint8, uint16 or in [0, 1]; tensors
            [3, H, W] in [0, 1].  A fourth channel is alpha.  Results of others: the picture that was made, or why
            there is none.  Several are a list, or what is gone through once, such as a generator.
        caption: what the pictures show: a text for all, a list with one for each, or a mapping by path, name or number;
            without one, the text file beside each picture says it.
        stamp: what pictures and files say of themselves: "full", "minimal" (versions alone) or "none".
        resume: leave out what the recipe itself saves and has saved already, as `retouch run` does.  A picture of which
            nothing is left to do has a Result with its `files` and no image.
        settings: lets and defaults by name, as `--set` changes them.
        device: "cpu", "cuda", "cuda:1" and so on, or "mps", also as torch has them; the best there is unless given.
        Raises ValueError for a device that is not here, RecipeError before anything runs, EditFailed if a lone picture
        fails.  In a list, a picture that is wrong or fails has a Result that is not `ok`, and whose `diagnostics` say
        why; the others are done.
        """
        from retouch.graph.done import done, nothing_done
        from retouch.graph.work import Making
        from retouch.plugins import registry
        from retouch.run.device import best_device, why_not
        from retouch.run.files.provenance import Provenance, Request, Stamp
        from retouch.run.files.run_journal import RunJournal
        from retouch.run.session import execute
        from retouch.run.settings import Settings

        on = str(device) if device else best_device()
        if why := why_not(on):
            raise ValueError(why)
        if stamp not in get_args(Stamp):
            raise ValueError(f"a stamp is one of {', '.join(get_args(Stamp))}, not {stamp!r}")
        many, sources, told = *gathered(source), _told(settings, seed)
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder).resolve()
            checked = _Checked.of(self, sources, kept, caption, told, none_will_do=many)
            if not many and checked.faults:
                raise RecipeError(self.text, next(iter(checked.faults.values())))
            how = Settings(on, exact=exact)
            request = Request.of(self.text, self.folder, checked.graphs, told, stamp=stamp)
            known = registry.load()
            of = Making(how.dtype, exact, how.compiled, stamp, known.built_in, how.vae_tiling)
            there = done(checked.graphs, of, checked.refused) if resume else nothing_done(checked.graphs)
            with (journal := RunJournal(there.left, kept, _warn)).going():
                ran = execute(
                    there.left,
                    registry=known,
                    request=request,
                    settings=how,
                    machine=self._machines,
                    refused=checked.refused,
                    journal=journal,
                )
            made = [Result((), None, None, 0, (), tuple(there.files.get(i, ()))) for i in range(len(checked.graphs))]
            for i, graph, outcome in zip(there.at, there.left, ran.outcomes, strict=False):
                source_of = Provenance(graph, request, how.told, known.built_in)
                result = result_of(self.text, graph, outcome, source_of, kept, checked.warnings)
                made[i] = replace(result, files=(*made[i].files, *result.files))
            shared = [
                each for outcome in ran.outcomes[len(there.left) :] for each in outcome.failures
            ]  # sheets, tables
        results = [
            replace(result, diagnostics=(*result.diagnostics, *shared)) for result in checked.in_order(self.text, made)
        ]
        if not many and (failed := [each for result in results for each in result.diagnostics]):
            raise EditFailed(self.text, failed)
        return results if many or len(results) != 1 else results[0]


@dataclass(slots=True)
class _Checked:
    """Graphs of the pictures that are right, and what is wrong with the others.

    warnings: what is to be known and forbids nothing, of the recipe and of single pictures.
    places: by graph, the number of its picture among the sources; None for one that the recipe opens itself.
    """

    graphs: tuple[Graph, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    refused: Mapping[Picture, tuple[Picture, ...]] = field(default_factory=dict)
    places: list[int | None] = field(default_factory=list[int | None])
    faults: dict[int, tuple[Diagnostic, ...]] = field(default_factory=dict[int, tuple[Diagnostic, ...]])
    notices: dict[int, tuple[str, ...]] = field(default_factory=dict[int, tuple[str, ...]])

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        sources: Sequence[Source],
        kept: Path,
        caption: Caption,
        settings: Mapping[str, str],
        *,
        none_will_do: bool,
    ) -> _Checked:
        """Check the recipe with all pictures.  What is wrong with one of them, or all, and not the recipe is theirs.

        none_will_do: whether there may be no picture where the recipe opens none: of a list that is empty.
        """
        from retouch.check.check import check
        from retouch.check.reading.environment import SOMETHING, Environment
        from retouch.plugins import registry

        made = cls()
        pictures = made._enter(sources, kept, captions(caption, sources))
        allowed = (kept, *recipe.allow, *(picture.path.parent for picture in pictures.values()))
        world = Environment(
            registry.load(),
            recipe.folder,
            tuple(pictures.values()),
            settings,
            here=kept / "out",
            apart=True,
            allowed=allowed,
        )
        if sources and not pictures:
            if found := check(recipe.text, replace(world, pictures=(SOMETHING,))).errors:
                raise RecipeError(recipe.text, found)
            return made
        checked = check(recipe.text, world)
        for i, picture in pictures.items():
            if found := checked.errors_of(picture):
                made.faults[i] = found
        told = {id(each) for found in made.faults.values() for each in found}
        if shared := tuple(each for each in checked.errors if id(each) not in told):

            def wrong_with(*alone: Picture) -> bool:
                return bool(check(recipe.text, replace(world, pictures=alone)).errors)

            if (
                not (sources or none_will_do) or wrong_with(SOMETHING) or not wrong_with(*list(pictures.values())[:1])
            ):  # as it is, or with several
                raise RecipeError(recipe.text, checked.errors)
            for i in pictures:  # every one is wrong by itself, all in the same way
                made.faults[i] = (*shared, *made.faults.get(i, ()))
            return made
        made.graphs, made.refused = checked.graphs, checked.refused
        made.warnings = tuple(each for each in checked.diagnostics if each.severity != "error")
        by_path = {picture.path: i for i, picture in pictures.items()}
        made.places = [by_path.get(graph.item.path) if graph.item else None for graph in checked.graphs]
        return made

    def _enter(self, sources: Sequence[Source], kept: Path, said: Sequence[str | None]) -> dict[int, Picture]:
        """Every source as a picture to open, by its number, but those that cannot be one."""
        from retouch.check.reading.environment import named

        pictures: dict[int, Picture] = {}
        for i, source in enumerate(sources):
            if isinstance(source, Result):  # of a picture that failed before
                self.faults[i] = source.diagnostics
                continue
            report = Report()
            try:
                file = self._file(source, kept / str(i), i, {picture.path for picture in pictures.values()})
                picture = replace(named(str(file.path), i, said[i], report), called=file.called)
            except Unholdable as why:
                words = described(source, i)
                report.add("RT428", Span(0, len(words)), source=words, what=str(why), mend=why.mend)
                picture = None
            if found := [each for each in (*report.items, *report.own) if each.severity == "error"]:
                self.faults[i] = tuple(found)
            elif picture:
                pictures[i] = picture
        return pictures

    def _file(self, source: Source, folder: Path, index: int, taken: set[Path]) -> Entered:
        file = enter(source, folder, index)
        self.notices[index] = file.notices
        if (place := resolved(file.path)) in taken:
            return Entered(again(place, folder), file.called, file.notices)
        return file

    def in_order(self, text: str, made: Sequence[Result]) -> list[Result]:
        """The result of each source in their order, then those of pictures that the recipe opens itself."""
        by_place = {place: result for place, result in zip(self.places, made, strict=True) if place is not None}
        by_place |= {i: Result.of_failed(text, found) for i, found in self.faults.items()}
        for i, notices in self.notices.items():
            if i in by_place and notices:
                by_place[i] = replace(by_place[i], notices=(*notices, *by_place[i].notices))
        own = [result for place, result in zip(self.places, made, strict=True) if place is None]
        return [by_place[i] for i in sorted(by_place)] + own


def _warn(event: str, facts: Mapping[str, Any]) -> None:
    """Tell what a run waits for, as Python tells such things."""
    warnings.warn(f"{facts['message']} ({facts['code']}); {facts['help']}", RuntimeWarning, stacklevel=2)


def _told(settings: Mapping[str, Any], seed: int | None) -> dict[str, str]:
    given = settings if seed is None else {**settings, "seed": seed}
    # Of a text that is one of an enumeration, str() would be the name.
    told = {name: str.__str__(value) if isinstance(value, str) else spelt(value) for name, value in given.items()}
    for name, value in told.items():
        if not is_text(value):
            raise ValueError(f"'{name}' takes text, and {value!a} holds {HALF_A_PAIR}: write the character")
    return told


def recipe(text: str, folder: str | Path | None = None, *, allow: Sequence[str | Path] = ()) -> Recipe:
    """A recipe from its text.

    folder: where its relative paths start; the current one by default.
    allow: folders besides that one, and those of the pictures, that it may read and write: a model's, too.
    """
    if not isinstance(text, str):
        what = f"{type(text).__module__}.{type(text).__name__}"
        raise TypeError(f'a recipe is a text, as in \'invert ddim "cat"->"dog"\', not {what}; of a file read_text()')
    return Recipe(text, Path(folder).resolve() if folder else Path.cwd(), tuple(map(Path, allow)))
