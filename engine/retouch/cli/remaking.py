"""What a picture says of how it was made, as a graph again: its files found by digest, its recipe checked.

Anyone can write what a picture says.  So only files of the folders that were given are read, and those are known by
their digest.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.check.check import check
from retouch.check.reading.environment import SOMETHING, Environment
from retouch.check.reading.models import BESIDE
from retouch.cli.finding import checked, find, source_name, with_files
from retouch.cli.reporting import Refusal
from retouch.cli.source import Source
from retouch.cli.stamped import Stamp
from retouch.graph.nodes import Graph, Picture
from retouch.graph.origins import COMMAND_LINE
from retouch.graph.ports import SHARED, WRITERS
from retouch.lang import syntax as s
from retouch.lang.parse import parse
from retouch.plugins import discovery, registry
from retouch.plugins.registry import Registry

if TYPE_CHECKING:
    from retouch.lang.diagnostics import Diagnostic
    from retouch.models.info import ModelInfo


_SHOWN = 40  # characters of a value


@dataclass(frozen=True, slots=True)
class Again:
    """The part of the graph that makes one picture, and what is not as it was then.

    changes: of what decides the last bits.  otherwise: of the stages themselves, which decide more.
    """

    graph: Graph
    request: Any
    changes: tuple[str, ...]
    otherwise: tuple[str, ...]


class RefusedRecipe(Exception):
    """The recipe inside does not pass the check."""

    def __init__(self, source: Source, found: tuple[Diagnostic, ...]) -> None:
        super().__init__("the recipe inside is refused")
        self.source, self.found = source, found


def again(args: Namespace, stamp: Stamp, installed: Registry, fresh: Path) -> Again:
    """Check the recipe inside with the files that it was made of, and take the part that makes this result.

    fresh: a folder of its own, where the recipe stands.  Raises Refusal, RefusedRecipe.
    """
    from retouch.run.files.provenance import Request

    _check_plugins(args, stamp, installed)
    folders = tuple(dict.fromkeys(path.resolve() for path in (args.image.resolve().parent, Path.cwd(), *args.allow)))
    # The source is the picture that is named after the result, if one is.
    wanted, own = dict(stamp.inputs), source_name(stamp)
    given: dict[str, Path] = {}
    if args.source:
        digest = wanted.pop(own, "")
        given[own] = checked(args.image, stamp.text("source"), args.source, digest)
    found = given | find(args.image, wanted, folders)
    recipe, settings, libraries = with_files(stamp, found, fresh)
    for path, library in libraries.items():
        path.write_bytes(library.encode("utf-8", "replace"))
    text = Source(str(args.image), recipe.encode("utf-8", "replace"), fresh)
    source = found.get(source_name(stamp))
    if stamp.text("source_from") == COMMAND_LINE.name and source is None:
        raise Refusal.of("RT509", path=args.image, what="it does not tell its source", mend="name it after the picture")
    more = any(map(_names_more, (recipe, *libraries.values())))
    world = Environment(
        installed,
        fresh,
        (_given(stamp, found),),
        settings,
        None if more else args.model or stamp.text("model_option") or None,
        here=fresh,
        allowed=tuple({path.parent for path in found.values()}),
        force=True,
        partly=True,
        find_model=_models(args, stamp, folders),
    )
    checked_ = check(text.text, world)
    if checked_.errors:
        raise RefusedRecipe(text, checked_.errors)
    graph = _graph(args.image, checked_.graphs, stamp, source)
    # Stamps of older versions tell weights alone.
    if (made_by := stamp.text("model_digest")) not in (graph.model.digest, graph.model.weights):
        what = f"model '{graph.model.name}' is not the one that made it: its digest was {made_by[:16]}… "
        what += f"and is {graph.model.digest[:16]}…"
        raise Refusal.of("RT509", path=args.image, what=what, mend="name the right one with --model")
    request = Request.of(recipe, fresh, checked_.graphs, settings, world.model)
    return Again(graph, request, tuple(_changes(stamp)), tuple(_done_otherwise(stamp, graph, fresh)))


def as_it_was(stamp: Stamp, installed: Registry) -> Registry:
    """The stages that are installed, but for those of plugins that claim a name of a stage by which another made it."""
    names = (stage["stage"].partition(" ") for stage in stamp.stages)
    claimed = (card for family, _, method in names for card in installed.candidates(family, method))
    since = {card.plugin for card in claimed} - stamp.plugins.keys()
    return registry.load(each for each in discovery.installed() if each.name not in since) if since else installed


def _given(stamp: Stamp, found: Mapping[str, Path]) -> Picture:
    """The picture that the command line named, with its caption; one that is not known where this result took none.

    Other flows of the recipe may take it, of which this result does not say what they had.
    """
    if "given" not in stamp.told:  # by an older version
        stood = found.get(source_name(stamp)) if stamp.text("source_from") == COMMAND_LINE.name else None
        return Picture(stood, 0, stamp.text("caption") or None) if stood else SOMETHING
    stood = found.get(stamp.text("given"))
    return Picture(stood, 0, stamp.text("given_caption") or None) if stood else SOMETHING


def _check_plugins(args: Namespace, stamp: Stamp, installed: Registry) -> None:
    known = {card.plugin for card in installed.cards}
    for name, distribution in stamp.plugins.items():
        if name not in known:
            what = f"plugin '{name}' ({distribution})" if distribution else f"plugin '{name}'"
            what += " made it, and is not installed or is broken"
            raise Refusal.of("RT509", path=args.image, what=what, mend="see 'retouch plugins'")
    for stage in stamp.stages:
        family, _, method = stage["stage"].partition(" ")
        if family != "first" and not installed.find(family, method):  # a choice is the language's own
            what = f"the stage '{stage['stage']}' is not installed"
            raise Refusal.of("RT509", path=args.image, what=what, mend="see 'retouch stages'")


def _names_more(recipe: str) -> bool:
    """Whether the recipe's model is more than what --model names: with files beside it."""
    stages = (node for node in s.walk(parse(recipe)[0].statements) if isinstance(node, s.Stage))
    options = (option.name.name for stage in stages if stage.family.name == "model" for option in stage.options)
    return any(name in BESIDE for name in options)


def _models(args: Namespace, stamp: Stamp, folders: tuple[Path, ...]) -> Callable[..., ModelInfo]:
    """Looks models up; a stamp chooses none of this machine's folders, so the command line names them."""
    from retouch.models import catalog
    from retouch.models.hub.cache import split
    from retouch.run.files.private import BY_DIGEST

    def look_up(name: str, revision: str | None, **given: Any) -> ModelInfo:
        beside = {option: _found(value, folders) for option, value in given.items()}
        if name == args.model or revision is not None or name in catalog.names():
            return catalog.find(name, revision, **beside)
        if (known := split(name)) and (commit := stamp.text("model_revision")):
            return catalog.find(known[0], commit, **beside)
        digest = name.removeprefix(BY_DIGEST) if name.startswith(BY_DIGEST) else stamp.text("model_digest")
        for known in [args.model] if beside and args.model else ([args.model] if args.model else []) + catalog.names():
            info = catalog.find(known, **beside)
            plain = info.plain or info
            if digest in (plain.digest, plain.weights):
                return info
        raise catalog.UnknownModel("it lay in a folder", "name that with --model")

    return look_up


def _found(value: Any, folders: tuple[Path, ...]) -> Any:
    """What stood beside a model, by the digest that the stamp has of it: it lies where pictures are looked for."""
    from retouch.models.errors import UnknownModel
    from retouch.models.files.digest import fingerprint_at
    from retouch.run.files.private import BY_DIGEST

    if isinstance(value, tuple):
        return tuple(_found(each, folders) for each in value)
    if not value.startswith(BY_DIGEST):
        return value
    digest, star, weight = value.removeprefix(BY_DIGEST).partition("*")
    places = (place for folder in folders for place in sorted(folder.iterdir()))
    for place in places:
        if (place.suffix == ".safetensors" or (place / "model_index.json").is_file()) and fingerprint_at(
            place
        ) == digest:
            return f"{place}{star}{weight}"
    raise UnknownModel(f"a file beside it, of the digest {digest[:16]}…, is not here", "name its folder with --allow")


def _graph(image: Path, graphs: tuple[Graph, ...], stamp: Stamp, source: Path | None) -> Graph:
    """The part of the graph of the same picture that makes the same result, which is the one file it may write."""
    result = stamp.text("result")
    for graph in graphs:
        if (graph.item and graph.item.path != source) or result not in graph.results:
            continue
        only = graph.only(result)
        writing = [node for node in only.nodes if node.card.takes(*WRITERS)]
        makes = only.node(result)
        if writing != [makes] or makes.card.takes(*SHARED):
            what = f"'{makes.card.name}' is no picture of its own"
            raise Refusal.of("RT509", path=image, what=what, mend="run its recipe with 'retouch run'")
        return only
    what = f"the recipe inside makes no result '{result}' now"
    raise Refusal.of("RT509", path=image, what=what, mend="install the version of retouch that made it")


def _changes(stamp: Stamp) -> Iterator[str]:
    """What decides the last bits and is not as it was."""
    from retouch.run.files.provenance import software, versions

    yield from told_otherwise(stamp, software())
    for name, now in versions(stamp.plugins).items():
        if (was := stamp.plugins[name]) != now:
            yield f"plugin '{name}' was {was} and is {now}"


def _done_otherwise(stamp: Stamp, graph: Graph, here: Path) -> Iterator[str]:
    """Versions of stages and values of their options that are not as they were, such as another version's defaults."""
    from retouch.run.files.private import is_place

    then = {stage.get("id"): stage for stage in stamp.stages}
    for node in graph.everything():
        if not (was := then.get(node.id)):
            continue
        if (version := was.get("version")) != node.card.version:
            yield f"'{node.card.name}' was version {version} and is {node.card.version}"
        for name, value in node.options.items():
            before, now = (json.dumps(each, default=str) for each in (was["options"].get(name), value))
            if before != now and name != "path" and not (isinstance(value, str) and is_place(value, here)):
                yield f"'{node.card.name}' had {name}={before[:_SHOWN]} and has {now[:_SHOWN]}"


def told_otherwise(stamp: Stamp, told: Mapping[str, str]) -> Iterator[str]:
    """What a stamp says in other words than these."""
    for name, now in told.items():
        if (was := stamp.text(name)) != now:
            yield f"{name} was {was or 'not told'} and is {now or 'not told'}"
