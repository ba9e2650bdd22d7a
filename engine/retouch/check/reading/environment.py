"""What a check may look at besides the recipe: plugins, models, folders, and what the command line gave."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.check.reading.captions import caption_beside, check_words, normal_caption
from retouch.graph.nodes import Picture
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Diagnostic, Report
from retouch.lang.encodings import HALF_A_PAIR, is_text
from retouch.lang.parse import parse
from retouch.near import near_path
from retouch.paths import is_file, is_folder, is_link, is_there, resolved
from retouch.plugins.registry import Registry

if TYPE_CHECKING:
    from retouch.models.catalog import ModelInfo
    from retouch.models.prompts.prompt_reader import PromptReader
    from retouch.pictures import MaskPicture, PictureInfo
    from retouch.pictures.standing import Standing

SOMETHING = Picture(Path("IMAGE"), known=False)


def installed_model(name: str, revision: str | None, **beside: Any) -> ModelInfo:
    """Return a model of the catalog, by name, with what stands beside it."""
    from retouch.models import catalog

    return catalog.find(name, revision, **beside)


def reader(model: ModelInfo) -> PromptReader | None:
    """Who knows what a model reads of its prompts, if its vocabularies tell."""
    from retouch.models.prompts.prompt_reader import prompt_reader

    return prompt_reader(model)


def inspect(path: Path) -> PictureInfo:
    """Return the header of a picture."""
    from retouch import pictures

    return pictures.inspect(path)


def mask(path: Path, label: int | None) -> MaskPicture:
    """A mask, decoded: what it means stands in its pixels."""
    from retouch import pictures

    return pictures.read_mask(path, label)


def standing(path: Path) -> Standing:
    """Return what stands where a result is to go."""
    from retouch.pictures import standing as look

    return look.standing(path)


def named(path: str, index: int, caption: str | None, report: Report) -> Picture:
    """Return a picture that somebody named; its caption, unless one is given, is the text beside it."""
    file = resolved(Path(path))
    with report.looking_at(str(file)):
        if not is_file(file):
            report.add("RT402", s.NOWHERE, source=path, path=path, mend=_instead(file, path))
        said = caption_beside(file, report) if caption is None else normal_caption(caption) or None
    if caption is not None:
        told = f"--caption {json.dumps(caption, ensure_ascii=not is_text(caption))}"
        if not is_text(caption):
            report.add("RT103", s.NOWHERE, source=told, what=HALF_A_PAIR, mend="write the character")
        check_words(caption, s.NOWHERE, "prompt", report, told)
    return Picture(file, index, said)


def _instead(file: Path, path: str) -> str:
    """What to name where a picture was meant and is not."""
    if not path:
        return "name an image"
    if is_folder(file):
        return f"it is a folder; name its pictures, as in {path.rstrip('/')}/*.png"
    if any(sign in path for sign in "*?"):
        quoted = "a pattern between quotes is one name; without them your shell puts in the files"
        return quoted if glob(path) else "no file matches this pattern; name images that are there"
    if (there := is_there(file) or is_there(Path(path))) or is_link(Path(path)):  # a shell's pipe leads to no name
        return f"what has this name is {'no file' if there else 'a link that leads nowhere'}; name an image"
    unfilled = "$" in path or ("{" in path and "," in path)
    quoted = "between quotes your shell fills nothing in; write it without them" if unfilled else ""
    return quoted or near_path(path) or "name an image that is there"


@dataclass(frozen=True)
class Environment:
    """Everything outside of the recipe that its meaning depends on."""

    registry: Registry
    folder: Path  # where relative paths start
    pictures: tuple[Picture, ...] = (SOMETHING,)  # what the command line names
    settings: Mapping[str, str] = field(default_factory=dict[str, str])  # --set, --seed
    model: str | None = None
    output: Path | None = None
    here: Path = field(default_factory=Path.cwd)
    apart: bool = False  # whether results that nobody names lie in a folder for each picture
    allowed: tuple[Path, ...] = ()
    force: bool = False
    find_model: Callable[..., ModelInfo] = installed_model
    reader: Callable[[ModelInfo], PromptReader | None] = reader
    inspect: Callable[[Path], PictureInfo] = inspect
    mask: Callable[[Path, int | None], MaskPicture] = mask
    standing: Callable[[Path], Standing] = standing
    caption: str | None = None  # what --caption said, which is also in the pictures
    partly: bool = False  # whether one result is made again: files that the others name need not be here
    signed: Collection[str] | None = None  # endings of the files that can be signed, where all results are to be

    def was_given(self, path: Path) -> bool:
        """Whether a place, links followed, lies below a folder that the recipe was given, whatever is there."""
        return any(path.is_relative_to(resolved(root)) for root in (self.folder, *self.allowed))

    @property
    def to_folder(self) -> bool:
        """Whether the output that was named is a folder rather than a file."""
        return self.output is not None and (is_folder(self.output) or not self.output.suffix)


@dataclass(frozen=True, slots=True)
class Written:
    """A value as someone wrote it: in the recipe, or on the command line, whose text is then the source."""

    value: s.Value
    span: s.Span
    origin: str
    source: str | None = None
    name: s.Span = s.NOWHERE  # of the option that is given


def from_command_line(name: str, text: str) -> Written:
    """Return the value of `--set name=text`: as a recipe would write it, or else the text itself."""
    span = s.Span(len(name) + 1, len(name) + 1 + len(text))
    value = s.placed(_read(text)[0], s.File("command line", f"{name}={text}"))
    return Written(value, span, "command line", f"{name}={text}", s.Span(0, len(name)))


def misread(settings: Mapping[str, str]) -> dict[str, list[Diagnostic]]:
    """The numbers in `--set` that are none, by name: reading goes on with others, which nobody said."""
    wrong: dict[str, list[Diagnostic]] = {}
    for name, text in settings.items():
        moved = len(f"{name}=") - len(_BEFORE)
        for found in _read(text)[1]:
            span = s.Span(found.span.start + moved, found.span.end + moved)
            quoted = f", or as text {json.dumps(text)}" if f"'{text}'" in found.message else ""
            told = replace(found, span=span, source=f"{name}={text}", help=found.help + quoted)
            wrong.setdefault(name, []).append(told)
    return wrong


def _read(text: str) -> tuple[s.Value, list[Diagnostic]]:
    """What is set, and which of its numbers could not be read."""
    # Read by the recipe's own parser, so that lists, percentages and edits mean what they mean there; several changes
    # side by side are one value in brackets.
    for said in (text, f"({text})"):
        recipe, found = parse(_BEFORE + said)
        match recipe.statements:
            case (s.Let(value=s.GroupSyntax(changes=changes) as value),) if not found and all(map(_spelt_out, changes)):
                return value, []
            case (s.Let(value=value),) if said == text and not isinstance(value, _OTHERWISE):
                return value, [item for item in found if item.code == "RT116"]
            case _:
                pass
    return s.Text(text), []


def _spelt_out(change: s.SyntaxNode) -> bool:
    """Whether it can be nothing but an edit: a text in brackets, or words of which a recipe made names, are texts."""
    return isinstance(change, s.Replace | s.Add | s.Remove | s.Weigh) and not any(
        isinstance(node, s.Ref) for node in s.walk(change)
    )


_BEFORE = "let value = "
_OTHERWISE = (s.Ref, s.CallSyntax, s.RowSyntax, s.GroupSyntax)  # words and brackets, which are a text's own
