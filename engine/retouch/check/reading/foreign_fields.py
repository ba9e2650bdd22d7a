"""Fields of a path as other programs write them, such as "$name" or "%03d", which are letters of a file's name here."""

from __future__ import annotations

import re
from collections.abc import Collection

# By what each stands for elsewhere: a variable of a shell, of Python's or of Windows', a number, a name, any file.
_VARIABLE = re.compile(r"\$\{(?P<a>[^{}]*)\}|(?<!\w)\$(?P<b>[A-Za-z_]\w*)|%\((?P<c>\w+)\)[sdif]")
_MARKED = re.compile(r"%(\w+)%|<(\w+)>|\[(\w+)\]")  # these only round a word that is a field
_NUMBER = re.compile(r"(?<!\d)%0?\d*[di](?![A-Za-z])")
_NAME = re.compile(r"(?<!\d)%s(?![A-Za-z])")
_ANY = re.compile(r"\*+")
_OTHER_NAMES = {
    **dict.fromkeys(("filename", "file", "stem", "basename", "base", "image", "img", "input", "f"), "name"),
    **dict.fromkeys(("i", "n", "number", "num", "idx", "frame", "counter", "count", "0"), "index"),
}


def meant_field(word: str, fields: Collection[str]) -> str | None:
    """The field that a word is another spelling of: in capitals, by a name of other programs, or with a width."""
    said = re.split(r"[:!]", word)[0].strip().casefold()
    found = next((field for field in fields if field.casefold() == said), None)
    other = _OTHER_NAMES.get(said)
    return found or (other if other in fields else None)


def foreign_field(text: str, fields: Collection[str], *, written: bool) -> tuple[str, str | None] | None:
    """What of a path is no field here and is one elsewhere, and the path as it was meant, where that is known.

    written: whether the file is made, and not looked for: then a star stands for nothing either.
    """
    found = _first(text, fields, written=written)
    if found and found[1] and (more := foreign_field(found[1], fields, written=written)):
        return found[0], more[1]
    return found


def _first(text: str, fields: Collection[str], *, written: bool) -> tuple[str, str | None] | None:
    for pattern, word in ((_NUMBER, "index"), (_NAME, "name"), *([(_ANY, "name")] if written else [])):
        if found := pattern.search(text):
            return found[0], _with(text, found, word if word in fields else None)
    for found in _MARKED.finditer(text):
        if field := meant_field(next(filter(None, found.groups())), fields):
            return found[0], _with(text, found, field)
    if found := _VARIABLE.search(text):
        return found[0], _with(text, found, meant_field(next(filter(None, found.groups()), ""), fields))
    return None


def _with(text: str, found: re.Match[str], field: str | None) -> str | None:
    return f"{text[: found.start()]}{{{field}}}{text[found.end() :]}" if field else None
