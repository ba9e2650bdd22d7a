"""`retouch rerun`: make a picture again from what it says of itself, and compare."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.check.check import check
from retouch.check.reading.environment import Environment as World
from retouch.cli import DONE, FAILED, WRONG_RECIPE
from retouch.cli.reporting import as_json, put, refuse, tell
from retouch.cli.show import stamp_of
from retouch.cli.source import Source
from retouch.graph.nodes import Graph, Picture
from retouch.plugins import registry
from retouch.plugins.registry import Registry

if TYPE_CHECKING:
    from retouch.lang.diagnostics import Diagnostic
    from retouch.run.files.comparing import Difference

_NEEDED = ("recipe", "result", "inputs", "model_digest", "plugins", "stages", "folder", "source_path", "source_from")


class CannotRerun(Exception):
    """Why a picture cannot be made again, in one sentence that says what to do."""

    def __init__(self, why: str, source: Source | None = None, found: tuple[Diagnostic, ...] = ()) -> None:
        super().__init__(why)
        self.source, self.found = source, found


@dataclass(frozen=True, slots=True)
class Again:
    """The part of the graph that makes one picture, and what is not as it was then."""

    graph: Graph
    request: Any
    changes: tuple[str, ...]


def main(args: Namespace) -> int:
    """Rerun one picture.  A stamp chooses no file outside of the folders that the command line names."""
    try:
        told = _told(args.image)
        installed = registry.load()
        again = _again(args, told, installed)
    except CannotRerun as why:
        if why.source:
            tell(why.source, why.found)
        return refuse(args, WRONG_RECIPE, str(why))
    return _run(args, told, again, installed)


def _told(image: Path) -> Mapping[str, Any]:
    told = stamp_of(image)
    if isinstance(told, str):
        raise CannotRerun(told)
    lacking = [name for name in _NEEDED if name not in told]
    if lacking or not told["result"]:
        raise CannotRerun(f"'{image}' does not say enough to be made again ({', '.join(lacking) or 'result'})")
    return told


def _again(args: Namespace, told: Mapping[str, Any], installed: Registry) -> Again:
    from retouch.run.files.provenance import Request

    _check_plugins(told, installed)
    here = args.image.resolve().parent
    allowed = tuple(path.resolve() for path in (Path.cwd(), here, *args.allow))
    folder = _below((here / told["folder"]).resolve(), allowed, "the recipe's folder")
    source = _source(args, told, here, allowed)
    _check_inputs(told, here, allowed, source)
    text = Source(str(args.image), told["recipe"].encode(), folder)
    settings = {str(name): str(value) for name, value in told.get("settings", {}).items()}
    model = args.model or told.get("model_option") or None
    named = told["source_from"] == "command line"
    world = World(
        installed,
        folder,
        (Picture(source, 0, told.get("caption") or None),) if named else (),
        settings,
        model,
        allowed=allowed,
        force=True,
    )
    found = check(text.text, world)
    if found.errors:
        raise CannotRerun("the recipe inside is refused", text, found.errors)
    graph = _graph(found.graphs, told, source)
    _check_model(graph, told)
    return Again(graph.only(told["result"]), Request(told["recipe"], folder, settings, model), tuple(_changes(told)))


def _check_plugins(told: Mapping[str, Any], installed: Registry) -> None:
    known = {card.plugin for card in installed.cards}
    for name, distribution in told["plugins"].items():
        if name not in known:
            what = f"plugin '{name}' ({distribution})" if distribution else f"plugin '{name}'"
            raise CannotRerun(f"{what} made it, and is not installed or is broken: see 'retouch plugins'")
    now = {card.name: card.version for card in installed.cards}
    for stage in told["stages"]:
        if stage["stage"] not in now:
            raise CannotRerun(f"the stage '{stage['stage']}' is not installed: see 'retouch stages'")


def _source(args: Namespace, told: Mapping[str, Any], here: Path, allowed: tuple[Path, ...]) -> Path:
    """The picture that it was made from: as named now, or where it lay then, seen from the result."""
    if args.source:
        return args.source.resolve()
    if not told["source_path"]:
        raise CannotRerun(f"'{args.image}' does not say what it was made from; name that picture after it")
    return _below((here / told["source_path"]).resolve(), allowed, "the source picture")


def _below(path: Path, allowed: tuple[Path, ...], what: str) -> Path:
    if any(path.is_relative_to(root) for root in allowed):
        return path
    folder = path if path.is_dir() else path.parent
    raise CannotRerun(f"{what} would be {path}, outside of this folder; allow it with --allow {folder}")


def _check_inputs(told: Mapping[str, Any], here: Path, allowed: tuple[Path, ...], source: Path) -> None:
    from retouch.run.files.provenance import digest

    for name, was in told["inputs"].items():
        path = source if name == told["source_path"] else _below((here / name).resolve(), allowed, f"'{name}'")
        if not path.is_file():
            raise CannotRerun(f"'{path}' is not there any more; put it back, or name the source after the picture")
        if was and digest(path) != was:
            raise CannotRerun(f"'{path}' has changed since: its sha256 was {was[:16]}…; put the old file back")


def _graph(graphs: tuple[Graph, ...], told: Mapping[str, Any], source: Path) -> Graph:
    """The graph of the same picture that has the same result."""
    for graph in graphs:
        same = graph.item is None or graph.item.path == source or told["source_from"] == "command line"
        if same and any(node.id == told["result"] for node in graph.nodes):
            return graph
    raise CannotRerun(f"the recipe inside makes no result '{told['result']}' now; another version of retouch made it")


def _check_model(graph: Graph, told: Mapping[str, Any]) -> None:
    if graph.model.digest != told["model_digest"]:
        was, now = told["model_digest"][:16], graph.model.digest[:16]
        raise CannotRerun(
            f"model '{graph.model.name}' is not the one that made it: its digest was {was}… and is {now}…; "
            "name the right one with --model"
        )


def _changes(told: Mapping[str, Any]) -> Iterator[str]:
    """What decides the last bits and is not as it was."""
    from retouch.run.files.provenance import software, versions

    for name, now in software().items():
        if (was := told.get(name, "")) != now:
            yield f"{name} was {was or 'not told'} and is {now}"
    for name, now in versions(told["plugins"]).items():
        if (was := told["plugins"][name]) != now:
            yield f"plugin '{name}' was {was} and is {now}"


def _run(args: Namespace, told: Mapping[str, Any], again: Again, installed: Registry) -> int:
    from retouch.run.device import best_device
    from retouch.run.files.comparing import compare
    from retouch.run.session import Settings, execute

    device = args.device or (told.get("device", "cpu") if told.get("device") in ("cpu", best_device()) else "cpu")
    changes = again.changes
    if device != told.get("device"):
        changes += (f"device was {told.get('device')} and is {device}",)
    settings = Settings(device, told.get("dtype", "float32"), told.get("mode") == "exact")
    with tempfile.TemporaryDirectory() as folder:
        path = args.output or Path(folder, f"again{args.image.suffix}")
        if why := _occupied(args, path):
            return refuse(args, WRONG_RECIPE, why)
        graph = _to(again.graph, told["result"], path)
        (outcome,) = execute([graph], registry=installed, request=again.request, settings=settings, keep=False).outcomes
        if outcome.failed:
            source = Source(str(args.image), told["recipe"].encode(), Path())
            if args.json:
                put({"image": str(args.image), "ok": False, "diagnostics": as_json(source, outcome.failures)})
            else:
                tell(source, outcome.failures)
            return FAILED
        return _verdict(args, compare(args.image, path), changes, exact=settings.exact)


def _occupied(args: Namespace, path: Path) -> str | None:
    from retouch.pictures import made_by_retouch

    if args.output and path.exists() and not args.force and not made_by_retouch(path):
        return f"'{path}' is there already, and retouch did not make it; save elsewhere, or --force"
    return None


def _to(graph: Graph, result: str, path: Path) -> Graph:
    """The graph with its one result going to this file."""
    moved = [
        replace(node, options={**node.options, "path": str(path.resolve())}) if node.id == result else node
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(moved))


def _verdict(args: Namespace, found: Difference, changes: tuple[str, ...], *, exact: bool) -> int:
    """To the bit in exact mode on the same machine; elsewhere rounding may show, and nothing more."""
    from retouch.run.files.comparing import CLOSE

    to_the_bit = exact and not changes
    same = found.none or (not to_the_bit and found.sized and found.psnr >= CLOSE)
    if args.json:
        figures = {"psnr": None if found.none else found.psnr, "share": found.share, "most": found.most}
        facts = {"image": str(args.image), "ok": same, "equal": found.none, **figures, "changes": list(changes)}
        put({**facts, "file": str(args.output) if args.output else None})
    else:
        print(f"{'same' if same else 'different'}: {found}")
        for change in changes:
            print(f"  {change}")
        if args.output:
            print(f"saved {args.output}")
    return FAILED if args.verify and not same else DONE
