"""From a recipe's tree to graphs, one for each picture, and everything that is wrong at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from retouch.check.blame import of_pictures
from retouch.check.elaboration import Elaboration
from retouch.check.reading.environment import Environment, misread
from retouch.check.reading.family_defaults import family_defaults
from retouch.check.reading.files import Files
from retouch.check.reading.names import Names
from retouch.check.reading.statements import Reader
from retouch.check.reading.variants import Choices
from retouch.graph.nodes import Graph, Picture
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Diagnostic, Report
from retouch.lang.encodings import readable
from retouch.lang.parse import parse
from retouch.lang.snippet import SourceText, normal

HANGS_TOGETHER = (
    "RT301",
    "RT302",
    "RT304",
    "RT305",
    "RT307",
    "RT308",
    "RT319",
)  # codes of what a lost stage would have mended


@dataclass(frozen=True, slots=True)
class Checked:
    """What a recipe comes to: graphs if it has no errors, and all diagnostics.

    Errors that are about one picture among many leave the graphs of the others; `refused` has those pictures, each with
    the pictures that go through the same flows and are left.
    """

    graphs: tuple[Graph, ...]
    diagnostics: tuple[Diagnostic, ...]
    refused: Mapping[Picture, tuple[Picture, ...]] = field(default_factory=dict[Picture, tuple[Picture, ...]])

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """What is wrong, without warnings."""
        return tuple(found for found in self.diagnostics if found.severity == "error")

    def errors_of(self, picture: Picture) -> tuple[Diagnostic, ...]:
        """Why a picture is refused."""
        return tuple(found for found in self.errors if str(picture.path) in found.about)


def check(source: str | bytes, world: Environment, report: Report | None = None) -> Checked:
    """Read a recipe and everything that it names, and make its graphs if all is well.

    report: what was found before, while the pictures of the command line were named.
    """
    recipe, found = parse(source)
    text = normal(source if isinstance(source, str) else readable(source))
    report, choices = report or Report(), Choices()
    unread = misread(world.settings)
    world = replace(world, settings={name: text for name, text in world.settings.items() if name not in unread})
    names = Names(recipe, SourceText(text, "recipe"), world.settings, report)
    files = Files(world, report)
    reading = Reader(names, files, choices, report).read(recipe)
    reading.broken |= bool(found)
    given = {name: text for name, text in world.settings.items() if name not in names.all}
    defaults = family_defaults(world.registry, reading.defaults, given, report)
    world = replace(world, registry=defaults.registry)
    made = Elaboration(world, names, reading, choices, files, report, defaults)
    graphs = made.run(recipe)
    diagnostics = tuple(
        sorted([*found, *chain(*unread.values()), *reading.found, *_apart(report, recipe, found)], key=_place)
    )
    failed = any(item.severity == "error" for item in diagnostics)
    alone = tuple(of_pictures(report))
    return Checked(() if failed else graphs, (*diagnostics, *alone), made.refused)


def _place(found: Diagnostic) -> tuple[str, int, str]:
    return (found.source or (found.span.file.name if found.span.file else ""), found.span.start, found.code)


def _apart(report: Report, recipe: s.RecipeSyntax, found: list[Diagnostic]) -> Iterator[Diagnostic]:
    """Drop wiring errors that may be only consequences of a syntax error."""
    # A stage that could not be read may be the very one that an error about wiring misses, so those are dropped
    # altogether; others are dropped only where their place overlaps with an unreadable one.
    bad = [node.span for node in s.walk(recipe.statements) if isinstance(node, s.Bad)]
    bad += [item.span for item in found]
    for item in report.sorted():
        if found and item.code in HANGS_TOGETHER:
            continue
        if item.source or item.span.file or not any(b.start <= item.span.end and item.span.start <= b.end for b in bad):
            yield item
