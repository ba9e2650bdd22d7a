"""What a line that cannot be read was meant for: another command, an option of stages, a recipe that ships."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from retouch.near import near, near_path, nearest
from retouch.paths import folder, is_file, is_there

_AS = {  # by the names that other programs have for them
    "output": "-o is where results go",
    "image": "pictures stand behind the recipe, without a name",
    "prompt": 'what is to change stands in the recipe, as "cat"->"dog"; --caption says what the picture shows',
    "mask": 'a stage of the recipe makes it: mask file "mask.png"',
    "recipe": "a recipe stands first, without a name, or behind -e if it is no file",
}
_OTHERS = {
    **dict.fromkeys(("out", "outdir", "output_dir", "output_path", "save"), "output"),
    **dict.fromkeys(("input", "init_image", "img", "picture", "file", "source"), "image"),
    **dict.fromkeys(("target", "target_prompt", "source_prompt", "edit", "to"), "prompt"),
    **dict.fromkeys(("mask_image", "mask_path"), "mask"),
    **dict.fromkeys(("text", "expression", "script", "config"), "recipe"),
}


def command(word: str, commands: Sequence[str]) -> str:
    """What to write where this stands in place of a command; empty if nobody knows."""
    if meant := near(word, commands):
        return meant
    if any(sign in word for sign in ' |"'):
        return "if that is a recipe, write retouch run -e before it"
    if word.endswith(".retouch") or is_there(Path(word)):
        return f"write retouch run {'' if word.endswith('.retouch') else 'RECIPE '}{shlex.quote(word)}"
    return ""


def option(parser: argparse.ArgumentParser, rest: Sequence[str]) -> str:
    """The same of an option that a command does not have.  rest: it, and what stands behind it."""
    from retouch.check.reading.meant_options import CALLED

    known = [name for action in parser._actions for name in action.option_strings]
    place = next((i for i, word in enumerate(rest) if word.startswith("-")), len(rest))
    word, _, value = rest[place].partition("=") if place < len(rest) else ("", "", "")
    name = word.lstrip("-").replace("-", "_")
    settings = _of_stages() if "--set" in known and word.startswith("--") else set[str]()
    if settings and (said := _AS.get(_OTHERS.get(name, name))):
        return said
    found = next((each for each in (name, CALLED.get(name)) if each in settings), None)
    found = found or nearest(word, [*known, *(f"--{each}" for each in settings)], 0.75) or nearest(word, known)
    if found is None or found in known:
        return f"did you mean {found}?" if found else ""
    setting = found.removeprefix("--")
    given = value or next(iter(rest[place + 1 :]), "")
    return f"stages have it: --set {shlex.quote(f'{setting}={given}') if given else f'{setting}=…'}"


def _of_stages() -> set[str]:
    """The options of all stages that are installed, those of turns too."""
    from retouch.graph.ports import options
    from retouch.plugins import registry

    return {name for card in registry.load().cards for name in options(card)}


def recipe(path: str) -> str:
    """The same of a recipe that is not there."""
    if meant := near_path(path):
        return meant
    if any(sign in path for sign in '|"') or (" " in path and not Path(path).suffix):
        return "if that is a recipe, write -e before it"
    shipped = folder("recipes") / f"{Path(path).stem}.retouch"
    return f"one of this name comes with retouch: {shlex.quote(str(shipped))}" if is_file(shipped) else ""
