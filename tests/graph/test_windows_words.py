"""Edits of several windows of a picture: each window still shows what was said before another one was edited."""

from __future__ import annotations

import pytest

from retouch.check.check import check
from retouch.check.reading.environment import Environment
from retouch.graph.nodes import FromEngine, Picture
from retouch.paths import folder
from retouch.plugins import registry

INSTALLED = registry.load()
PICTURE = folder("recipes") / "pictures" / "cat_meadow.png"
FIRST = "mask box right=0.4 | crop | invert ddim {}->{} | paste | "
OTHER = "mask box left=0.6 | crop | "


def checked(text: str, caption: str | None = "a cat"):
    return check(f'{text} | save "out.png"', Environment(INSTALLED, folder("recipes"), (Picture(PICTURE, 0, caption),)))


@pytest.mark.parametrize("caption", ["a cat", None])
@pytest.mark.parametrize(
    "second",
    [
        "invert ddim {}->{} | paste",
        "draw (invert sdedit {}->{}) | rank denoiser | paste",
        "draw (repaint (invert sdedit {}->{})) | rank denoiser | paste",
        "upscale lanczos | invert ddim {}->{} | paste",
        "invert ddim | attend p2p edit={}->{} | paste",
    ],
)
def test_an_edit_of_one_window_leaves_the_words_of_another(second: str, caption: str | None) -> None:
    cat, dog, fox = (f'"a {name}"' if caption is None else f'"{name}"' for name in ("cat", "dog", "fox"))
    made = checked(FIRST.format(cat, dog) + OTHER + second.format(cat, fox), caption)
    assert not made.errors, [each.message for each in made.errors]
    (graph,) = made.graphs
    found = [edge.settings for node in graph.everything() for _, edge in node.edges() if isinstance(edge, FromEngine)]
    targets = {each["target"] for each in found if "target" in each}
    assert {"a dog", "a fox"} <= targets | {each["text"] for each in found if "text" in each}
    assert not [each for each in found if each.get("source") == "a dog"]


@pytest.mark.parametrize(
    "second",
    [
        f'{OTHER}invert ddim "cow"->"fox" | paste',  # never said
        'mask box left=0.6 | invert ddim "cat"->"fox"',  # of the whole picture, which shows a dog
        'draw (invert sdedit "cat"->"fox") | rank denoiser',
        f'{OTHER}invert ddim "dog"->"bird" | invert ddim "dog"->"fox" | paste',  # of this very window
    ],
)
def test_words_that_were_replaced_are_gone_elsewhere(second: str) -> None:
    made = checked(FIRST.format('"cat"', '"dog"') + second)
    assert [each.code for each in made.errors] == ["RT306"]
