"""A picture far larger than those that the model has seen is told of, wherever all of it is walked at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from retouch.cli.main import main

WALK = 'invert ddim "cat"->"dog"'


@pytest.mark.parametrize(
    ("recipe", "words", "told"),
    [
        (WALK, (), "take --model storybook128; or let it be made smaller: open … size=64"),
        ('mask box right=50% | distil dds "cat"->"dog" | blend pixel', (), "was trained on 64"),
        (f"mask box right=50% | crop size=100 | {WALK} | paste", (), "take --model storybook128; or write size=64"),
        (f"open size=64 | upscale | {WALK}", (), "what is edited is 128 pixels"),
        ("mask box right=50% | invert sdedit | blend pixel", ("--model", "storybook_pixels"), "help: let it be made"),
        (WALK, ("--model", "storybook128"), ""),
        (f"mask box right=50% | crop size=96 | {WALK} | paste", (), ""),
        (f"open size=96 | {WALK}", (), ""),
        (f"tiles multidiffusion | {WALK}", (), ""),
        (f"{WALK} | upscale", ("--model", "storybook128"), ""),
        ("upscale", (), ""),
    ],
)
def test_what_is_walked_at_far_more_pixels_than_the_model_has_seen_is_told(
    recipe: str, words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (128, 96)).save("cat.png")
    assert main(["check", "-e", recipe, "cat.png", "--caption", "a cat", *words]) == 0
    said = capsys.readouterr().err
    assert ("RT563" in said) == bool(told)
    assert told in said
