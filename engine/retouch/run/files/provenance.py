"""What a result says of how it was made: enough to make it again, and no path of the machine it was made on."""

from __future__ import annotations

import json
import platform
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from retouch.graph.inputs import digest
from retouch.graph.lineage import opened
from retouch.graph.nodes import GIVEN, FromEngine, Graph, Node
from retouch.graph.origins import COMMAND_LINE, RECIPE
from retouch.graph.ports import MODEL, READERS
from retouch.graph.work import Making
from retouch.pictures import About, Unwritable, read_about
from retouch.pictures.stamp import WORK
from retouch.plugins import discovery
from retouch.run.files.private import (
    PrivateNames,
    is_place,
    libraries,
    model_names,
    private,
    rewritten,
    rewritten_value,
    used_at,
)
from retouch.run.files.signers import Claim, Signing, named
from retouch.version import __version__

Stamp = Literal["full", "minimal", "none"]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: the recipe's text, and what the command line said beside it, as results may say it.

    settings: as of `--set` and `--seed`.  model: as of `--model`.  libraries: the texts of the files that the recipe
    uses, by the names that it uses them by.
    stamp: what results say of themselves: all that it takes to make them again, the programs alone, or nothing.
    signing: who signs results, and as whom; None where nobody does.
    """

    recipe: str = ""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    model: str | None = None
    stamp: Stamp = "full"
    names: PrivateNames = field(default_factory=lambda: PrivateNames(Path.cwd()))
    models: Mapping[str, str] = field(default_factory=dict[str, str])
    libraries: Mapping[str, str] = field(default_factory=dict[str, str])
    signing: Signing | None = None

    @classmethod
    def of(
        cls,
        recipe: str,
        folder: Path,
        graphs: Iterable[Graph],
        settings: Mapping[str, str] | None = None,
        model: str | None = None,
        stamp: Stamp = "full",
        signing: Signing | None = None,
    ) -> Request:
        """The same without the places of this machine.  folder: where relative paths of the recipe start."""
        used = libraries(recipe, folder)
        texts = (recipe, *used.values())
        models = model_names(texts, [each for graph in graphs for each in (graph.model, *graph.models.values())])
        names = PrivateNames(folder)
        change = private(names, models)

        def private_text(text: str, start: Path) -> str:
            # A library's paths start where the recipe's do, those of its own libraries where it lies
            at = partial(used_at, folder=start)
            return rewritten(text, change, used=lambda path: names.of(at(path), at(path).name))

        told = private_text(recipe, folder)
        beside = {names.of(path, path.name): private_text(text, path.parent) for path, text in used.items()}
        changed = {name: rewritten_value(text, change) for name, text in (settings or {}).items()}
        return cls(told, changed, model and models.get(model, model), stamp, names, models, beside, signing)

    def signed(self, data: bytes, ending: str, claim: Claim) -> bytes:
        """The bytes of a result, signed.  Raises Unfit."""
        assert self.signing
        return named(self.signing.signer).sign(data, ending, claim, self.signing.identity)

    @property
    def signer(self) -> str:
        """By whose name results are signed."""
        return self.signing.signer if self.signing else ""

    def told(self, everything: Mapping[str, str]) -> Mapping[str, str]:
        """As much of it as results are to say."""
        if self.stamp == "full":
            return everything
        return {name: everything[name] for name in _MINIMAL if name in everything} if self.stamp == "minimal" else {}


_MINIMAL = (  # no word of the user's
    *("retouch", "torch", "python", "machine"),
    *("device", "dtype", "mode", "rounding", "threads", "model_digest"),
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """The stamp of each result of one picture; `how` is what the run adds: device, dtype and mode.

    built_in: the plugins that come with the engine.
    """

    graph: Graph
    request: Request
    how: Mapping[str, str]
    built_in: Collection[str] = ()
    _works: dict[str, str] = field(default_factory=dict[str, str], init=False, compare=False)

    def __call__(self, path: str) -> Mapping[str, str]:
        """What the file at this path says of itself.  Files are told by name and digest, never by where they lie."""
        result = next((node.id for node in self.graph.nodes if _writes(node, path)), "")
        if path and not result:
            what = "it is not the file that a stage of this recipe was given"
            raise Unwritable(path, what, "the stage has to write the file of its option 'path'")
        return self.of(result)

    def of(self, result: str) -> Mapping[str, str]:
        """What a result says of itself, by the node that writes it."""
        request, names = self.request, self.request.names.copy()
        graph = self.graph.only(result) if result else self.graph
        # A picture that the command line named, where any of this work opens it.
        named = (node.origin.get("path") for node in graph.everything() if node.card.family == "open")
        item, model, given = graph.item, graph.model, (graph.given if COMMAND_LINE.name in named else None)
        inputs = {names.of(file): digest(file) for file in _inputs(graph)}
        # Every stage that does something, those in brackets before the stage that works on them.
        done = [node for node in graph.everything() if node.card.family != GIVEN]
        engines = [edge for node in done for _, edge in node.edges() if isinstance(edge, FromEngine)]
        seeds = (str(edge.settings["seed"]) for edge in engines if "seed" in edge.settings)  # which are the same
        everything = {
            **software(),
            **self.how,
            "recipe": request.recipe,
            **({"libraries": json.dumps(dict(request.libraries))} if request.libraries else {}),
            "settings": json.dumps(dict(request.settings)),
            "source": names.of(item.path) if item else "",
            "source_from": COMMAND_LINE.name if given and item and given.path == item.path else RECIPE.name,
            "caption": (item.caption or "") if item else "",
            "given": names.of(given.path) if given else "",
            "given_caption": (given.caption or "") if given else "",
            "inputs": json.dumps(inputs),
            "model": request.models.get(model.name, model.name),
            "model_option": request.model or "",
            "model_digest": model.digest,
            "model_revision": model.revision or "",
            "plugins": json.dumps(versions(node.card.plugin for node in graph.everything())),
            "stages": json.dumps([_stage(node, names) for node in done], default=str),
            **_own_weights(graph),
            "result": result,
            WORK: self.work(result) if result else "",
            "seed": next(seeds, ""),
        }
        return request.told(everything)

    def work(self, result: str) -> str:
        """The digest of all that a result is made of, by the node that writes it."""
        if not self._works:
            exact, compiled = self.how.get("mode") == "exact", self.how.get("compiled") == "yes"
            tiling = self.how.get("vae_tiling", "auto")
            signer = self.request.signer
            how = Making(
                self.how.get("dtype", "float32"), exact, compiled, self.request.stamp, self.built_in, tiling, signer
            )
            self._works.update(how.works(self.graph))
        return self._works.get(result, "")

    def work_at(self, path: str) -> str:
        """The same, by the file that it goes to."""
        return self.work(next((node.id for node in self.graph.nodes if _writes(node, path)), ""))

    def signed(self, path: str, data: bytes) -> bytes:
        """The bytes of the file at this path, signed with what it may tell.  Raises Unfit."""
        node = next(node for node in self.graph.nodes if _writes(node, path))
        graph, open_, full = self.graph.only(node.id), opened(self.graph, node), self.request.stamp == "full"
        place = open_.options.get("path") if open_ else graph.item and graph.item.path  # a mask is of a picture, too
        source = Path(str(place)) if place else None
        claim = Claim(
            title=Path(path).name if full else "",
            told=self.of(node.id),
            trained=any(each.card.takes(*MODEL, "Weights", "Pretrained") for each in graph.everything()),
            source=source,
            source_name=self.request.names.copy().of(source) if source and full else "",
        )
        return self.request.signed(data, Path(path).suffix, claim)

    def about(self, path: str) -> About:
        """What the source of the file at this path said of itself."""
        return self.about_source(next(node for node in self.graph.nodes if _writes(node, path)))

    def about_source(self, node: Node) -> About:
        """What the picture that a stage's own is made of said of itself."""
        source = opened(self.graph, node)
        return read_about(source.options["path"]) if source and source.options.get("path") else About()


def software() -> dict[str, str]:
    """The versions that decide the last bits of a result."""
    return {
        "retouch": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def versions(names: Iterable[str]) -> dict[str, str]:
    """The distribution and version of each plugin, by the plugin's name."""
    known = {found.name: f"{found.distribution} {found.version}".strip() for found in discovery.installed()}
    return {name: known.get(name, "") for name in dict.fromkeys(names) if name}


def _own_weights(graph: Graph) -> dict[str, str]:
    """Digests of the weights that plugins brought, by plugin and name; nothing where none was used."""
    found = {
        f"{node.card.plugin}:{name}": weights
        for node in graph.everything()
        for _, edge in node.edges()
        if isinstance(edge, FromEngine)
        for name, _, weights in edge.settings.get("files", ())
    }
    return {"weights": json.dumps(found)} if found else {}


def _inputs(graph: Graph) -> list[Path]:
    paths = [node.options.get("path") for node in graph.everything() if node.card.takes(*READERS)]
    edges = (edge for node in graph.everything() for _, edge in node.edges() if isinstance(edge, FromEngine))
    paths += [path for edge in edges for path, _ in edge.settings.get("learnt", ())]
    return [Path(path) for path in dict.fromkeys(paths) if path]


def _stage(node: Node, names: PrivateNames) -> dict[str, object]:
    """A stage with its options; of files only the names, since the rest is the machine's."""

    def told(name: str, value: object) -> object:
        if not isinstance(value, str) or not value:
            return value
        if name == "path":
            return Path(value).name
        return names.of(value) if is_place(value, names.folder) else value

    options = {name: told(name, value) for name, value in node.options.items()}
    return {"id": node.id, "stage": node.card.name, "version": node.card.version, "options": options}


def _writes(node: Node, path: str) -> bool:
    return node.card.takes("Outbox") and node.options.get("path") == path
