"""Results that would share a file: what the message says to write is written, and nothing more is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

EDIT = 'invert ddim "a"->"b"'
TWO_STAGES = f'{EDIT} | save "a.png"\n{EDIT} steps=9 | save "b.png"'

# the recipe, its pictures, and what -o says
CASES = {
    "one file for two pictures": (EDIT, ("cat.png", "dog.png"), "dog.png"),
    "one file for two pictures that the recipe saves": (f'{EDIT} | save "a.png"', ("cat.png", "dog.png"), "out/o.png"),
    "one file for two stages": (TWO_STAGES, ("cat.png",), "o.png"),
    "one file for two stages of two pictures": (TWO_STAGES, ("cat.png", "dog.png"), "o.png"),
    "one file for two stages without a file": (f"{EDIT}\n{EDIT} steps=9", ("cat.png",), "o.png"),
    "one file for two values": (f"{EDIT} | sample guidance=[1, 2]", ("cat.png",), "o.png"),
    "one file for two values of two pictures": (f"{EDIT} | sample guidance=[1, 2]", ("cat.png", "dog.png"), "o.png"),
    "the recipe's own": (f'{EDIT} | save "sub/a.png"', ("cat.png", "dog.png"), None),
    "the recipe's own, twice": (f'{EDIT} | save "a.png"\n{EDIT} steps=9 | save "a.png"', ("cat.png", "dog.png"), None),
    "the recipe's own in a folder": (f'{EDIT} | save "a.png"', ("cat.png", "dog.png"), "out"),
    "one name in two folders": (EDIT, ("cat.png", "sub/cat.png"), None),
    "one name in two folders, with values": (
        f"{EDIT} | sample guidance=[1, 2]", ("cat.png", "sub/cat.png"), "out",
    ),
    "one file for two masks": (f'mask file "m*.png" | {EDIT} | blend latent', ("cat.png",), "out"),
    "one file for two masks of two pictures": (
        f'mask file "m*.png" | {EDIT} | blend latent | save "a.png"', ("cat.png", "dog.png"), "out",
    ),
    "one name and a field": (f'{EDIT} | save "new/{{name}}.png"', ("cat.png", "sub/cat.png"), None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_advice_is_followed_to_files_of_their_own(checked, folder, case):
    recipe, pictures, out = CASES[case]
    (folder / "sub").mkdir()
    Image.new("RGB", (64, 64)).save(folder / "sub" / "cat.png")
    for name in ("m1.png", "m2.png"):
        (mask := Image.new("L", (64, 64))).paste(255, (9, 9, 20, 20 + int(name[1])))
        mask.save(folder / name)
    given = {"output": folder / out} if out else {}
    (error,) = checked(recipe, *pictures, force=True, **given).errors
    assert error.code == "RT405"
    recipe, given = followed(error.help, recipe, given)
    found = checked(recipe, *pictures, force=True, **given)
    assert not [(each.code, each.help) for each in found.errors]
    made = [graph.node(id_).options["path"] for graph in found.graphs for id_ in graph.results]
    assert len(made) == len(set(made)) > 1
    if out:
        assert all(Path(path).is_relative_to((folder / out).parent) for path in made)


def followed(advice: str, recipe: str, given: dict[str, Path]) -> tuple[str, dict[str, Path]]:
    """The recipe and the output of somebody who does what is said, letter by letter."""
    if output := re.search(r'-o ("[^"]+")', advice):
        given = {"output": Path(json.loads(output[1]))}
        advice = advice.replace(output[0], "")
    texts = re.findall(r'"[^"]+"', advice)
    if "end it with" in advice:
        return f"{recipe} | save {texts[0]}", given
    parts = re.split(r'(?<=save )"[^"]+"', recipe)
    assert len(texts) in (0, len(parts) - 1)
    return (recipe if not texts else "".join(a + b for a, b in zip(parts, [*texts, ""], strict=True))), given
