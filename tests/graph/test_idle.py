"""Settings that leave an edit unheard, and stages that break what a blend has promised: told before anything loads."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import retouch
from retouch.cli.main import main

WALK = 'invert ddim "cat"->"dog" steps=2'
HALF = f"mask box right=0.5 | {WALK}"
EF = 'invert edit_friendly "cat"->"dog" steps=2'
DEAF = {
    'invert direct "cat"->"dog" share=1 injected=5 steps=5': "share=1, injected=5 of 5 steps",
    'invert direct "cat"->"dog" share=1 noise="step" steps=3': "share=1, injected=5 of 3 steps",
    f"{WALK} | attend p2p | blend local threshold=1": "threshold=1",
    f"{WALK} | guide proximal quantile=1": "guidance=",
}
IDLE = {
    f"{WALK} | sample guidance=0": "'guide cfg' asks nothing of the edit: guidance=0",
    f"{WALK} | guide norm guidance=0": "'guide norm' asks nothing",
    f"{WALK} | guide proximal | attend p2p | sample guidance=0": "'guide proximal' asks nothing",
    f'{WALK} | eye clip "storybook" | guide image_text weight=0': "'guide image_text' changes nothing: weight=0",
    f'{WALK} | eye clip "storybook" | guide direction weight=0': "'guide direction' changes nothing: weight=0",
    f"{WALK} | guide identity weight=0": "'guide identity' changes nothing: weight=0",
    f'{WALK} | eye clip "storybook" | guide identity': "'eye clip' is not looked through: of 'guide identity' is asked",
    f"{HALF} | guide keep weight=0 | blend pixel": "'guide keep' changes nothing: weight=0",
    f"{WALK} | guide range weight=0": "'guide range' changes nothing: weight=0",
    f'{WALK} negative="fog" | sample guidance=1': "'guide cfg' asks nothing of the negative prompt \"fog\": guid",
    f'{WALK} negative="fog" | guide norm guidance=1': "'guide norm' asks nothing of the negative prompt",
    'invert negative_prompt "cat"->"dog" steps=2 negative="fog"': "'invert negative_prompt' asks nothing of",
    'distil dds "cat"->"dog" rate=0': "'distil dds' changes nothing: rate=0",
    'distil pds "cat"->"dog" rate=0': "'distil pds' changes nothing: rate=0",
    f"tune unitune training_steps=0 | {WALK}": "'tune unitune' changes nothing: training_steps=0",
    f"upscale factor=1 | {WALK}": "'upscale lanczos' changes nothing: factor=1",
    f'tune dreambooth prompt="a sks cat" lr=0 | {WALK}': "'tune dreambooth' changes nothing: lr=0",
    f"{EF} | guide semantic guidance=0": "'guide semantic' changes nothing: guidance=0",
    **{recipe: f"lets no edit through: {why}" for recipe, why in DEAF.items()},
    f'{WALK} | guide pix2pix_zero guidance=0 moves="rows"': "'guide pix2pix_zero' asks nothing of the edit: guidance=0",
}
ACTS = [
    'invert direct "cat"->"dog" share=1 injected=4 steps=5',
    'invert direct "cat"->"dog" share=0.9 injected=5 steps=5',
    "invert direct share=1 steps=2",  # nothing is to be edited
    f"{WALK} | guide proximal quantile=0.9",
    f"{WALK} | guide pix2pix_zero guidance=0",  # the target's maps lead the latents
    f"{WALK} | attend p2p | blend local threshold=0.9",
    f"{WALK} | sample guidance=1",
    "invert ddim steps=2 | sample guidance=0",  # nothing is edited: the picture is replayed
    f'{WALK} | eye clip "storybook" | guide image_text | sample guidance=0',  # the eye hears the edit
    f"{WALK} | guide range",
    f'{WALK} | eye clip "storybook" | guide identity likeness=1',
    f'{WALK} negative="fog"',
    'invert negative_prompt "cat"->"dog" interpolation=0.5 steps=2 negative="fog"',
    f'mask diffedit source_negative="dog" | {WALK} negative="fog" | blend latent | sample guidance=1',
    'distil dds "cat"->"dog"',
    f"{HALF} | guide keep | blend pixel",
    f"upscale factor=1 sharpen=1 | {WALK}",
]
PROMISES = {
    f"{HALF} | blend pixel | match lowpass": True,
    f"half = mask box right=0.5\n{WALK} | match lowpass | blend pixel mask=half": False,
    f"{HALF} | blend latent | match lowpass": False,
    f"{HALF} | blend pixel": False,
    f"{HALF} | blend pixel | upscale": False,
    f"half = mask box right=0.5\n{HALF} | blend pixel | match lowpass | blend pixel mask=half": False,
    "mask box right=0.5 | crop | " + WALK + " | blend pixel | match lowpass | paste": False,
}


LOSSY = {
    f'{HALF} | blend pixel | save "o.jpg"': "JPEG changes every pixel a little",
    f'{HALF} | blend pixel | save "o.webp" quality=90': "WebP with a quality changes every pixel a little",
    f'mask box right=0.5 | crop | {WALK} | blend pixel | paste | save "o.jpg"': "which 'paste window' has put back",
    f'{HALF} | blend pixel | save "o.webp"': "",
    f'{HALF} | blend pixel | save "o.png"': "",
    f'{HALF} | blend latent | save "o.jpg"': "",
}
# A mask between `mask box right=0.5` and what takes it, and what is told of it.
SETTLED = {
    "| mask threshold at=1": ("RT513", "try a lower at than 1"),
    "| mask threshold at=1 | mask dilate | mask feather": ("RT513", "of 'mask feather' covers 0%"),
    "| mask threshold at=1 | mask invert": ("RT514", "of 'mask invert' covers 100%"),
    "| mask union other=all": ("RT514", "of 'mask union' covers 100%"),
    "| mask subtract other=all": ("RT513", "of 'mask subtract' covers 0%"),
    "| mask intersect other=none | mask erode": ("RT513", "of 'mask erode' covers 0%"),
    '| mask color "#ffffff" tolerance=1': ("RT514", "of 'mask color' covers 100%"),
    "| mask threshold at=1 | crop": ("RT510", "'crop window'"),
    "| mask threshold": ("", ""),
    "| mask subtract other=none": ("", ""),
    "| mask intersect other=all": ("", ""),
    "| mask threshold at=1 | mask union other=none | mask invert | mask intersect other=half": ("", ""),
}
FLOWS = {"all": "mask box", "none": "mask box | mask threshold at=1", "half": "mask box right=0.5"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "cat.png")
    (tmp_path / "cat.txt").write_text("a cat")
    monkeypatch.chdir(tmp_path)


def said(recipe: str, capsys: pytest.CaptureFixture[str]) -> str:
    code = main(["check", "-e", recipe, "cat.png"])
    told = capsys.readouterr().err
    assert code == 0, told
    return told


@pytest.mark.parametrize("recipe", IDLE)
def test_what_changes_nothing_is_told_with_the_option_that_says_so(recipe: str, capsys) -> None:
    told = said(recipe, capsys)
    assert IDLE[recipe] in told
    assert "RT564" in told


@pytest.mark.parametrize("recipe", ACTS)
def test_what_acts_is_not_told_of(recipe: str, capsys) -> None:
    assert "RT564" not in said(recipe, capsys)


@pytest.mark.parametrize("recipe", PROMISES)
def test_a_promise_of_bytes_outside_of_the_mask_that_is_broken_behind_it_is_told(recipe: str, capsys) -> None:
    assert ("RT565" in said(recipe, capsys)) == PROMISES[recipe]


@pytest.mark.parametrize("recipe", LOSSY)
def test_a_file_that_loses_what_a_blend_promised_is_told(recipe: str, capsys) -> None:
    told = said(recipe, capsys)
    assert ("RT131" in told) == bool(LOSSY[recipe])
    assert LOSSY[recipe] in told


@pytest.mark.parametrize("between", SETTLED)
def test_a_mask_that_its_options_leave_empty_or_full_is_told_before_a_run(between: str, capsys) -> None:
    code, words = SETTLED[between]
    named = "".join(f"{name} = {flow}\n" for name, flow in FLOWS.items() if f"other={name}" in between)
    ends = "| paste" if "crop" in between else ""
    recipe = f"{named}mask box right=0.5 {between} | {WALK} {ends or '| blend latent'}"
    if "color" in between:
        recipe = recipe.replace("mask box right=0.5 | ", "", 1)
    assert main(["check", "-e", recipe, "cat.png"]) == (1 if code == "RT510" else 0)
    told = capsys.readouterr().err
    assert [each for each in ("RT510", "RT513", "RT514") if each in told] == ([code] if code else [])
    assert words in told


@pytest.mark.thorough
@pytest.mark.parametrize("recipe", [*DEAF, f'{WALK} | guide pix2pix_zero guidance=0 moves="rows"'])
def test_what_lets_no_edit_through_makes_the_same_of_every_edit(recipe: str) -> None:
    made = [retouch.recipe(recipe.replace("dog", each))("cat.png").image.tobytes() for each in ("dog", "fox")]
    assert made[0] == made[1]
