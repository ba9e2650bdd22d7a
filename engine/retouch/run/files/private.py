"""A recipe's text without the places of the machine: files by their own names, models of a folder by digest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from retouch.lang import syntax as s
from retouch.lang.encodings import readable
from retouch.lang.parse import parse
from retouch.lang.snippet import normal
from retouch.models.files.digest import fingerprint_at
from retouch.models.hub.cache import is_id
from retouch.paths import at_home, resolved

if TYPE_CHECKING:
    from retouch.models.info import ModelInfo

BY_DIGEST = "digest:"  # what a model of a folder is called, its fingerprint behind
_FIELD = re.compile(r"\{\w+\}")
_FILE = re.compile(r"\.\w{1,11}$")
_ROOTED = re.compile(r"[~.]|[a-zA-Z]:[\\/]|\\\\|/[^\s/]+/")
_SEPARATOR = re.compile(r"[\\/]")


@dataclass(slots=True)
class PrivateNames:
    """What files are called in a stamp: by their own names, numbered where two of one recipe are called the same."""

    folder: Path  # where relative paths start
    taken: dict[str, str] = field(default_factory=dict[str, str])  # path -> name

    def of(self, path: str | Path, called: str = "") -> str:
        """The name of a file, and only the fields of the folders that lead there.  called: its own name alone."""
        place = str((self.folder / Path(path).expanduser()).resolve())
        if place not in self.taken:
            name, number = called or bare(str(path)), 2
            stem, suffix = Path(name).stem, Path(name).suffix
            end = "/" if name.endswith("/") else ""
            while name in self.taken.values():
                name, number = f"{stem}-{number}{suffix}{end}", number + 1
            self.taken[place] = name
        return self.taken[place]

    def copy(self) -> PrivateNames:
        """The same names, to go on with apart from these."""
        return PrivateNames(self.folder, dict(self.taken))


def bare(path: str) -> str:
    """`"/home/ann/{style}/{name}.png"` -> `"{style}/{name}.png"`; a folder keeps the slash at its end."""
    *folders, name = _SEPARATOR.split(path.rstrip("/\\"))
    name += "/" if path[-1:] in ("/", "\\") else ""
    fields = ["".join(_FIELD.findall(folder)) for folder in folders]
    return "/".join([*filter(None, fields), name])


def is_place(text: str, folder: Path) -> bool:
    """Whether a text names a file or folder by more than its name; words of a prompt do not."""
    if not _SEPARATOR.search(text) and not text.startswith("~"):
        return False
    if _ROOTED.match(text) or _FILE.search(text) or "*" in text:
        return True
    try:
        return (folder / text).exists()
    except (OSError, ValueError):  # too long for a path, or not one at all
        return False


_RESULTS = ("save", "sheet", "measure")  # families whose texts are files to write


def rewritten(
    text: str,
    change: Callable[[str], str],
    result: Callable[[str], str] | None = None,
    used: Callable[[str], str] | None = None,
) -> str:
    """The recipe with another text in each pair of quotes that `change` gives one for; the rest to the letter.

    result, used: the changes of what names a file to write, and a library; `change` too by default.
    """
    text = normal(text)
    recipe, _ = parse(text)
    stages = [node for node in s.walk(recipe.statements) if isinstance(node, s.Stage) and node.family.name in _RESULTS]
    results = {node.span for stage in stages for node in s.walk(stage) if isinstance(node, s.Text)}
    libraries = {line.path.span for line in recipe.statements if isinstance(line, s.Use)}
    quoted = [node for node in s.walk(recipe.statements) if isinstance(node, s.Text)]
    for node in sorted(quoted, key=lambda node: node.span.start, reverse=True):
        by = result if node.span in results else used if node.span in libraries else None
        new = (by or change)(node.value)
        if new != node.value:
            text = text[: node.span.start] + json.dumps(new, ensure_ascii=False) + text[node.span.end :]
    return text


def rewritten_value(text: str, change: Callable[[str], str]) -> str:
    """The same for the value of a setting, which may stand without quotes."""
    lead = "let value = "
    recipe, found = parse(lead + text)
    if found or len(recipe.statements) != 1 or isinstance(getattr(recipe.statements[0], "value", None), s.Ref):
        return change(text)
    return rewritten(lead + text, change).removeprefix(lead)


def private(names: PrivateNames, models: Mapping[str, str]) -> Callable[[str], str]:
    """The change that takes places out.  models: what each model of a folder is called instead, by how it was given."""

    def change(text: str) -> str:
        if text in models:
            return models[text]
        return names.of(text) if is_place(text, names.folder) else text

    return change


def model_names(texts: Iterable[str], models: Iterable[ModelInfo]) -> dict[str, str]:
    """By how it was given, what each model is called in a stamp; one of the hub or of a package keeps its name."""
    from retouch.models import catalog

    shipped = catalog.names()
    told: dict[str, str] = {}
    for model in models:
        given = model.texts[0] if model.texts else model.name
        known = model.revision is not None or given in shipped
        told[given] = given if known else BY_DIGEST + (model.plain or model).digest  # one for all weights of a LoRA
        told.setdefault(model.name, told[given] if len(model.texts) < 2 else BY_DIGEST + model.digest)
    for stage in (node for text in texts for node in s.walk(parse(text)[0].statements)):
        if isinstance(stage, s.Stage) and stage.family.name == "model":
            for node in s.walk(stage.operand):
                if isinstance(node, s.Text) and is_place(node.value, Path()):
                    told.setdefault(node.value, f"{BY_DIGEST}unused")
            for node in s.walk(stage.options):
                if isinstance(node, s.Text):
                    told.setdefault(node.value, _beside(node.value))
    return told


def _beside(text: str) -> str:
    """What a file or folder beside a model is called, its weight behind; what is no place keeps its name."""
    path, star, weight = text.rpartition("*")
    place = Path(path if star else text).expanduser()
    try:
        if place.exists():
            return f"{BY_DIGEST}{fingerprint_at(place)}{star}{weight if star else ''}"
    except (OSError, ValueError):
        pass
    return f"{BY_DIGEST}unused" if is_place(text, Path()) and not is_id(text) else text


def libraries(text: str, folder: Path) -> dict[Path, str]:
    """The texts of all files that a recipe uses, and those that they use, by where they lie."""
    found, left = dict[Path, str](), [(text, folder)]
    while left:
        text, folder = left.pop()
        for path in (used_at(line.path.value, folder) for line in parse(text)[0].statements if isinstance(line, s.Use)):
            if path not in found:
                found[path] = readable(path.read_bytes())
                left.append((found[path], path.parent))
    return found


def used_at(path: str, folder: Path) -> Path:
    """Where a library lies that a text of this folder uses."""
    return resolved(folder / at_home(path))
