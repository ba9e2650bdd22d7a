"""`retouch rerun`: make a picture again from what it says of itself, and compare.

Anyone can write what a picture says.  So a rerun reads only files of the folders that it was given, which it knows by
their digest, and writes one file: in a folder of its own, until it is compared and put where the command line says.
"""

from __future__ import annotations

import os
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.check.check import check
from retouch.check.reading.environment import SOMETHING, Environment
from retouch.check.reading.models import BESIDE
from retouch.check.wiring.endings import may_end, possible
from retouch.cli import ANOTHER_MACHINE, DONE, FAILED, WRONG_RECIPE
from retouch.cli.finding import checked, find, source_name, with_files
from retouch.cli.plain import plain
from retouch.cli.reporting import Refusal, as_json, put, refuse, tell
from retouch.cli.source import Source
from retouch.cli.stamped import Stamp, stamp_of
from retouch.graph.nodes import Graph, Picture
from retouch.graph.origins import COMMAND_LINE
from retouch.graph.ports import SHARED, WRITERS
from retouch.lang import syntax as s
from retouch.lang.parse import parse
from retouch.paths import is_folder
from retouch.pictures import formats
from retouch.plugins import registry
from retouch.plugins.registry import Registry

if TYPE_CHECKING:
    from retouch.lang.diagnostics import Diagnostic
    from retouch.models.info import ModelInfo
    from retouch.run.files.comparing import Difference

_NEEDED = ("recipe", "result", "inputs", "model_digest", "plugins", "stages", "source_from")
_DTYPES = ("float32", "float16", "bfloat16")
_MOST_THREADS = 256  # that a stamp can ask for


@dataclass(frozen=True, slots=True)
class Again:
    """The part of the graph that makes one picture, and what is not as it was then."""

    graph: Graph
    request: Any
    changes: tuple[str, ...]


class RefusedRecipe(Exception):
    """The recipe inside does not pass the check."""

    def __init__(self, source: Source, found: tuple[Diagnostic, ...]) -> None:
        super().__init__("the recipe inside is refused")
        self.source, self.found = source, found


def main(args: Namespace) -> int:
    """Rerun one picture."""
    try:
        stamp = _stamp(args.image)
        # The new picture takes the place of nothing, links included, that the user did not give away.
        if args.output and os.path.lexists(args.output):
            if is_folder(args.output) or (args.output.exists() and args.output.samefile(args.image)):
                what = f"'{args.output}' is {'a folder' if is_folder(args.output) else 'the picture itself'}"
                raise Refusal.of("RT509", path=args.image, what=what, mend="name another file with -o")
            if not args.force:
                what = f"'{args.output}' is there already"
                raise Refusal.of("RT509", path=args.image, what=what, mend="name another file with -o, or add --force")
        with tempfile.TemporaryDirectory() as folder:
            installed = registry.load()
            again = _again(args, stamp, installed, Path(folder).resolve())
            return _run(args, stamp, again, installed, Path(folder).resolve())
    except RefusedRecipe as why:
        if args.json:
            put({"image": str(args.image), "ok": False, "diagnostics": as_json(why.source, why.found)})
        else:
            tell(why.source, why.found)
        return WRONG_RECIPE
    except Refusal as why:
        return refuse(args, WRONG_RECIPE, str(why), why.code, why.mend)


def _stamp(image: Path) -> Stamp:
    stamp = stamp_of(image)
    lacking = [name for name in _NEEDED if name not in stamp.told]
    if lacking or not stamp.text("result"):
        what = f"it does not say enough ({', '.join(lacking) or 'result'})"
        raise Refusal.of("RT509", path=image, what=what, mend="run its recipe with 'retouch run'")
    if stamp.told.get("dtype", "float32") not in _DTYPES:
        raise Refusal.of("RT508", path=image, what="'dtype' is no type of numbers")
    return stamp


def _again(args: Namespace, stamp: Stamp, installed: Registry, fresh: Path) -> Again:
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
    recipe, settings = with_files(stamp, found)
    text = Source(str(args.image), recipe.encode("utf-8", "replace"), fresh)
    source = found.get(source_name(stamp))
    if stamp.text("source_from") == COMMAND_LINE.name and source is None:
        raise Refusal.of("RT509", path=args.image, what="it does not tell its source", mend="name it after the picture")
    world = Environment(
        installed,
        fresh,
        (_given(stamp, found),),
        settings,
        None if _names_more(recipe) else args.model or stamp.text("model_option") or None,
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
    if graph.model.digest != (made_by := stamp.text("model_digest")):
        what = f"model '{graph.model.name}' is not the one that made it: its digest was {made_by[:16]}… "
        what += f"and is {graph.model.digest[:16]}…"
        raise Refusal.of("RT509", path=args.image, what=what, mend="name the right one with --model")
    request = Request.of(recipe, fresh, checked_.graphs, settings, world.model)
    return Again(graph, request, tuple(_changes(stamp)))


def _given(stamp: Stamp, found: Mapping[str, Path]) -> Picture:
    """The picture that the command line named, with its caption; one that is not known where this result took none.

    Other flows of the recipe may take it, of which this result does not say what they had.
    """
    if "given" not in stamp.told:  # by an older version
        stood = found.get(source_name(stamp)) if stamp.text("source_from") == COMMAND_LINE.name else None
        return Picture(stood, 0, stamp.text("caption") or None) if stood else SOMETHING
    stood = found.get(stamp.text("given"))
    return Picture(stood, 0, stamp.text("given_caption") or None) if stood else SOMETHING


# ---------------------------------------------------------------- what it was made with


def _check_plugins(args: Namespace, stamp: Stamp, installed: Registry) -> None:
    known = {card.plugin for card in installed.cards}
    for name, distribution in stamp.plugins.items():
        if name not in known:
            what = f"plugin '{name}' ({distribution})" if distribution else f"plugin '{name}'"
            what += " made it, and is not installed or is broken"
            raise Refusal.of("RT509", path=args.image, what=what, mend="see 'retouch plugins'")
    now = {card.name for card in installed.cards}
    for stage in stamp.stages:
        if stage["stage"].partition(" ")[0] != "first" and stage["stage"] not in now:  # a choice is the language's own
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
            if (info.plain or info).digest == digest:
                return info
        raise catalog.UnknownModel("it lay in a folder", "name that with --model")

    return look_up


def _found(value: Any, folders: tuple[Path, ...]) -> Any:
    """What stood beside a model, by the digest that the stamp has of it: it lies where pictures are looked for."""
    from retouch.models.digest import fingerprint_at
    from retouch.models.errors import UnknownModel
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

    yield from _told_otherwise(stamp, software())
    for name, now in versions(stamp.plugins).items():
        if (was := stamp.plugins[name]) != now:
            yield f"plugin '{name}' was {was} and is {now}"


def _told_otherwise(stamp: Stamp, told: Mapping[str, str]) -> Iterator[str]:
    for name, now in told.items():
        if (was := stamp.text(name)) != now:
            yield f"{name} was {was or 'not told'} and is {now or 'not told'}"


def _threads(stamp: Stamp) -> int:
    """As many as it was made with, since their number decides the last bits; 0 where it says nothing that can be."""
    said = stamp.text("threads")
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 4 and int(said) <= _MOST_THREADS else 0


# ---------------------------------------------------------------- running it


def _run(args: Namespace, stamp: Stamp, again: Again, installed: Registry, fresh: Path) -> int:
    from retouch import pictures
    from retouch.run.device import best_device
    from retouch.run.files.comparing import compare
    from retouch.run.session import execute
    from retouch.run.settings import Settings

    was = stamp.text("device")
    device = args.device or (was if was in ("cpu", best_device()) else "cpu")
    changes = again.changes + ((f"device was {was or 'not told'} and is {device}",) if device != was else ())
    compiled = stamp.text("compiled") == "yes"
    if compiled and not device.startswith("cuda"):
        compiled, changes = False, (*changes, f"its network was compiled, which {device} does not do")
    exact, dtype = stamp.text("mode") == "exact", stamp.told.get("dtype", "float32")
    tiling = "on" if stamp.text("vae_tiling") == "on" else "off" if stamp.text("vae_tiling") == "off" else "auto"
    threads = _threads(stamp) if device == "cpu" else 0
    settings = Settings(device, dtype, exact, compiled, threads, tiling)
    changes += tuple(_told_otherwise(stamp, {name: settings.told.get(name, "") for name in ("rounding", "threads")}))
    name = args.output.name if args.output else "again"
    path = fresh / (name if Path(name).suffix else name + args.image.suffix)
    _check_ending(args.image, again.graph, path, named=bool(args.output and args.output.suffix))
    graph = _to(again.graph, path)
    (outcome,) = execute([graph], registry=installed, request=again.request, settings=settings, keep=False).outcomes
    if outcome.failed:
        source = Source(str(args.image), again.request.recipe.encode(), fresh)
        if args.json:
            put({"image": str(args.image), "ok": False, "diagnostics": as_json(source, outcome.failures)})
        else:
            tell(source, outcome.failures)
        return FAILED
    try:
        found = compare(args.image, path)
    except pictures.Unreadable as err:
        what = f"what it makes is no picture: {err}"
        raise Refusal.of("RT509", path=args.image, what=what, mend="run its recipe with 'retouch run'") from None
    if args.output:
        _keep(args, path)
    return _verdict(args, found, changes, exact=settings.exact)


def _check_ending(image: Path, graph: Graph, path: Path, *, named: bool) -> None:
    """Refuse a file that the stage does not write, before it runs.  named: whether -o chose the ending."""
    (result,) = graph.results
    if not may_end(card := graph.node(result).card, str(path)):
        if not named:
            what = f"its stamp says that '{card.name}' made it, which writes no {path.suffix} file"
            raise Refusal.of("RT509", path=image, what=what, mend="run its recipe with 'retouch run'")
        known = formats.listed(possible(card))
        raise Refusal.of("RT425", stage=card.name, what=f"writes no {path.suffix} file", mend=f"end it in {known}")


def _to(graph: Graph, path: Path) -> Graph:
    """The graph with its one result going to this file."""
    (result,) = graph.results
    moved = [
        replace(node, options={**node.options, "path": str(path)}) if node.id == result else node
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(moved))


def _keep(args: Namespace, made: Path) -> None:
    """Put the new picture where the user wants it; of a link there, the link is replaced and not what it leads to."""
    from retouch.pictures.atomic import replacing

    try:
        with replacing(args.output) as file:
            file.write(made.read_bytes())
    except OSError as err:
        raise Refusal.of("RT507", path=args.output, what=err.strerror or str(err)) from None


def _verdict(args: Namespace, found: Difference, changes: tuple[str, ...], *, exact: bool) -> int:
    """To the bit in exact mode on the same machine; on another, and in other company, rounding may show."""
    verdict, code = _judged(found, changes, exact=exact)
    if args.json:
        figures = {"psnr": None if found.none else found.psnr, "share": found.share, "most": found.most}
        facts = {"image": str(args.image), "ok": code == DONE, "verdict": verdict, "equal": found.none, **figures}
        put({**facts, "changes": list(changes), "file": str(args.output) if args.output else None})
    else:
        elsewhere = f"made on another kind of machine, differs by at most {found.most} of 255; "
        print(f"{verdict}: {elsewhere if code == ANOTHER_MACHINE else ''}{found}")
        for change in changes:
            print(plain(f"  {change}"))
        if args.output:
            print(plain(f"saved {args.output}"))
    return code if args.verify else DONE


def _judged(found: Difference, changes: tuple[str, ...], *, exact: bool) -> tuple[str, int]:
    """The verdict in a word, and the exit code that stands for it."""
    from retouch.run.files.comparing import CLOSE

    if found.none:
        return "same", DONE
    if not found.sized or found.psnr < CLOSE or (exact and not changes):
        return "different", FAILED
    return ("alike", ANOTHER_MACHINE) if changes else ("same", DONE)
