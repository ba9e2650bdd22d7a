"""`retouch rerun`: make a picture again from what it says of itself, and compare.

Anyone can write what a picture says.  So a rerun reads only files of the folders that it was given, which it knows by
their digest, and writes one file: in a folder of its own, until it is compared and put where the command line says.
"""

from __future__ import annotations

import os
import tempfile
from argparse import Namespace
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from retouch.check.wiring.endings import may_end, possible
from retouch.check.wiring.outputs import unwritable
from retouch.cli import ANOTHER_MACHINE, DONE, FAILED, WRONG_RECIPE
from retouch.cli.machine import check_device
from retouch.cli.remaking import Again, RefusedRecipe, again, as_it_was, told_otherwise
from retouch.cli.reporting import Refusal, as_json, put, refuse, tell
from retouch.cli.source import Source
from retouch.cli.stamped import Stamp, stamp_of
from retouch.cli.streams.plain import one_line, plain
from retouch.graph.nodes import Graph
from retouch.paths import is_folder
from retouch.pictures import formats
from retouch.plugins import registry
from retouch.plugins.registry import Registry

if TYPE_CHECKING:
    from retouch.run.files.comparing import Difference

_NEEDED = ("recipe", "result", "inputs", "model_digest", "plugins", "stages", "source_from")
_DTYPES = ("float32", "float16", "bfloat16")
_MOST_THREADS = 256  # that a stamp can ask for


def main(args: Namespace) -> int:
    """Rerun one picture."""
    check_device(args.device)
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
        if args.output and (what := unwritable(args.output.absolute())):
            raise Refusal.of("RT427", path=args.output, what=what)
        with tempfile.TemporaryDirectory() as folder:
            installed = as_it_was(stamp, registry.load())
            made_of = again(args, stamp, installed, Path(folder).resolve())
            return _run(args, stamp, made_of, installed, Path(folder).resolve())
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
        if "recipe" in stamp.told and "source_from" in lacking:  # as sheets and tables, full stamps and all
            what = "it is made of several results, as a sheet or a table is, each of which can be"
        raise Refusal.of("RT509", path=image, what=what, mend="run its recipe with 'retouch run'")
    if stamp.told.get("dtype", "float32") not in _DTYPES:
        raise Refusal.of("RT508", path=image, what="'dtype' is no type of numbers")
    return stamp


def _threads(stamp: Stamp) -> int:
    """As many as it was made with, since their number decides the last bits; 0 where it says nothing that can be."""
    said = stamp.text("threads")
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 4 and int(said) <= _MOST_THREADS else 0


def _run(args: Namespace, stamp: Stamp, again: Again, installed: Registry, fresh: Path) -> int:
    from retouch import pictures
    from retouch.run.device import why_not
    from retouch.run.files.comparing import compare
    from retouch.run.session import execute
    from retouch.run.settings import Settings

    was = stamp.text("device")
    # On the device that made it, or on one of its kind, where that is here: another rounds otherwise.
    like = (was or "", (was or "").partition(":")[0])
    device = args.device or next((each for each in like if not why_not(each)), "cpu")
    changes = again.changes + ((f"device was {was or 'not told'} and is {device}",) if device != was else ())
    compiled = stamp.text("compiled") == "yes"
    if compiled and not device.startswith("cuda"):
        compiled, changes = False, (*changes, f"its network was compiled, which {device} does not do")
    if compiled and find_spec("triton") is None:
        compiled, changes = False, (*changes, "its network was compiled by Triton, which this Python lacks")
    exact, dtype = stamp.text("mode") == "exact", stamp.told.get("dtype", "float32")
    tiling = "on" if stamp.text("vae_tiling") == "on" else "off" if stamp.text("vae_tiling") == "off" else "auto"
    # On a CPU a sum hangs on how many threads add.
    threads = _threads(stamp) if device == "cpu" else 0
    settings = Settings(device, dtype, exact, compiled, threads, tiling)
    changes += tuple(told_otherwise(stamp, {name: settings.told.get(name, "") for name in ("rounding", "threads")}))
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
    verdict, code = _judged(found, changes, exact=settings.exact)
    if again.otherwise and not found.none:  # a stage does something else now, which is no rounding, however near
        verdict, code = "different", FAILED
    return _tell(args, found, verdict, code, (*changes, *again.otherwise))


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
    from retouch.pictures.refusals import may_write

    try:
        with replacing(args.output) as file:
            file.write(made.read_bytes())
    except OSError as err:
        raise Refusal.of("RT507", path=args.output, what=err.strerror or str(err), mend=may_write(err)) from None


def _tell(args: Namespace, found: Difference, verdict: str, code: int, changes: tuple[str, ...]) -> int:
    """Print the verdict, and all that is not as it was; gives the exit code."""
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
            print(one_line(f"saved {args.output}"))
    return code if args.verify else DONE


def _judged(found: Difference, changes: tuple[str, ...], *, exact: bool) -> tuple[str, int]:
    """The verdict in a word, and the exit code that stands for it.

    To the bit in exact mode on the same machine; on another, and in other company, rounding may show.
    """
    from retouch.run.files.comparing import CLOSE

    if found.none:
        return "same", DONE
    if not found.sized or found.psnr < CLOSE or (exact and not changes):
        return "different", FAILED
    return ("alike", ANOTHER_MACHINE) if changes else ("same", DONE)
