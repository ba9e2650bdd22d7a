"""A mask of a file is held, before anything runs, to the size that its picture has where it is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from retouch.cli.main import main

EDIT = 'invert sdedit "cat"->"dog" steps=2'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (48, 64)).save(tmp_path / "cat.png")
    (tmp_path / "cat.txt").write_text("a cat")
    for name, size in {"as_it_was": (48, 64), "doubled": (96, 128)}.items():
        mask = Image.new("L", size)
        mask.paste(255, (0, 0, 20, 20))
        mask.save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("recipe", "fits"),
    [
        ('mask file "{}" | {edit} | blend latent', "as_it_was"),
        ('upscale | mask file "{}" | {edit} | blend latent', "doubled"),
        ('{edit} | upscale | mask file "{}" | save mask "o.png"', "doubled"),
        ('upscale | mask file "{}" | crop | {edit} | blend latent | paste', "doubled"),
        ('mask file "as_it_was.png" | crop | upscale | mask file "{}" | {edit} | blend latent | paste', "as_it_was"),
        ('upscale | mask file "{}" | mask dilate | {edit} | blend latent | blend pixel', "doubled"),
    ],
)
@pytest.mark.parametrize("size", ["as_it_was", "doubled"])
def test_a_mask_of_another_size_than_its_picture_there_is_refused_at_check(recipe: str, fits: str, size: str, capsys):
    code = main(["check", "-e", recipe.format(f"{size}.png", edit=EDIT), "cat.png"])
    said = capsys.readouterr().err
    assert ("RT417" in said) == (size != fits), said
    assert (code == 0) == (size == fits), said
    assert ("as 'upscale lanczos' makes it" in said) == ("RT417" in said and fits == "doubled")
