"""Which name may have been meant: of words, and of files and folders."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from retouch.addresses import file_instead, is_address
from retouch.paths import is_folder, resolved

MOST_ENTRIES = 2000  # of a folder that are compared, which takes about a tenth of a second


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the likeliest name that was meant, if one is near.

    Numbers that differ are no slip: 298.png is no other way of writing 299.png, nor sd21 of sd15.
    """
    numbers = _numbers(name)
    alike = [each for each in known if not numbers or _numbers(each) == numbers]
    small = {each.lower(): each for each in alike}  # large letters for small ones are no other name: BOX is box
    if name not in alike and (same := small.get(name.lower())):
        return same
    if found := get_close_matches(name, alike, 1, cutoff):
        return found[0]
    return next((small[each] for each in get_close_matches(name.lower(), small, 1, cutoff)), None)


def _numbers(name: str) -> list[int]:
    return [int(run) for run in re.findall(r"[0-9]+", name)]


def near(name: str, known: Iterable[str]) -> str:
    """Return a question about the likeliest name that was meant, or nothing."""
    found = nearest(name, known)
    return f"did you mean '{found}'?" if found else ""


def near_or_all(name: str, known: Iterable[str]) -> str:
    """Return a question about the likeliest name that was meant, or all names that there are."""
    names = list(known)
    return near(name, names) or f"there are: {', '.join(names) or 'none'}"


def near_path(
    text: str, start: Path | None = None, *, folder: bool = False, may_look: Callable[[Path], bool] = is_folder
) -> str:
    """Return a question about the file or folder that a path may have been meant for, as `nearest_path`, or nothing.

    Of an address it is what to do in its place.
    """
    if is_address(text):
        return file_instead(text)
    found = nearest_path(text, start, folder=folder, may_look=may_look)
    return f"did you mean '{found}'?" if found else ""


def nearest_path(
    text: str, start: Path | None = None, *, folder: bool = False, may_look: Callable[[Path], bool] = is_folder
) -> str | None:
    """Return the file or folder that a path with a wrong name was likeliest meant for, written as that is.

    start: where relative paths start; the current folder, if it is not given.  folder: whether a folder is meant.
    may_look: whether the names in a folder may be told; a recipe's author learns nothing of folders it was not given.
    """
    *folders, last = Path(os.path.normpath(text)).parts or ("",)
    place, meant = start or Path(), Path()
    try:
        for part in folders:
            name = part if is_folder(place / part) else nearest(part, _entries(place, part, may_look, folder=True))
            if name is None:
                return None
            place, meant = place / name, meant / name
        there = _entries(place, last, may_look, folder=folder)
        if meant != Path(*folders) and last in there:  # a folder's name alone was wrong
            return str(meant / last)
        stem, dot, ending = last.rpartition(".")
        # Two names that end alike are near each other by that alone, so only what stands before it is compared.
        alike = [each.removesuffix(dot + ending) for each in there if stem and each.endswith(dot + ending)]
        if found := nearest(stem, alike):
            return str(meant / (found + dot + ending))
        if not stem:
            found = nearest(last, there)
            return str(meant / found) if found else None
        others = [each for each in there if not each.endswith(dot + ending)]
        found = nearest(stem, {Path(each).stem for each in others})
        of_it = [each for each in others if Path(each).stem == found]
        return str(meant / (nearest(last, of_it, 0) or of_it[0])) if of_it else None
    except (OSError, ValueError):  # a folder that may not be listed, a name that no system takes
        return None


def _entries(place: Path, name: str, may_look: Callable[[Path], bool], *, folder: bool) -> list[str]:
    """The names in a folder that this one may have been meant for, as many as can be compared while somebody waits."""
    if not is_folder(place) or not may_look(resolved(place)):
        return []
    with os.scandir(place) as entries:
        return [
            each.name
            for each in islice(entries, MOST_ENTRIES)
            if each.is_dir() == folder and (name.startswith(".") or not each.name.startswith("."))
        ]
