"""Pictures larger than the model takes: cropped, edited at the model's size, and pasted back."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import retouch
from retouch import pictures
from retouch.check.check import check
from retouch.check.reading.environment import Environment
from retouch.graph.nodes import Picture
from retouch.run.session import execute
from retouch_storybook.world import Scene, render
from tests.e2e.command import retouch as run_command
from tests.e2e.sessions import INSTALLED, KEPT, graphs, run
from tests.graph.verify import verify

CAT = Scene("cat", "orange", "in a meadow", seed=4)
BOX = "mask box left=30% top=20% right=60% bottom=70%"
EDIT = 'invert sdedit "cat"->"dog" steps=2'
RECIPE = f"{BOX} | crop | {EDIT} | blend latent | paste"


def photo(path: Path, width: int, height: int, **saved: object) -> Path:
    """A drawing as large as a photograph, with its caption beside it."""
    render(CAT, 512).resize((width, height)).save(path, **saved)
    path.with_suffix(".txt").write_text(CAT.caption())
    return path


def pixels(path: Path) -> np.ndarray:
    return pictures.read(path).rgb.astype(int)


def outside(height: int, width: int) -> np.ndarray:
    """Where the recipe's box is not."""
    kept = np.ones((height, width), dtype=bool)
    kept[round(0.2 * height) : round(0.7 * height), round(0.3 * width) : round(0.6 * width)] = False
    return kept


@pytest.mark.parametrize("side", [1000, pytest.param(4000, marks=pytest.mark.bench)])
def test_a_jpeg_of_up_to_twelve_megapixels_changes_inside_of_the_mask_alone(tmp_path, side):
    source = photo(tmp_path / "photo.jpg", side, 3 * side // 4, quality=90)
    (outcome,) = run(RECIPE, [source], tmp_path / "out.png").outcomes
    before, after = pixels(source), pixels(outcome.files[0])
    changed = (before != after).any(2)
    kept = outside(3 * side // 4, side)
    assert changed[kept].sum() == 0
    assert changed[~kept].mean() > 0.9
    assert np.abs(before - after)[~kept].max() > 40, "the edit is to be seen"


@pytest.mark.thorough
def test_pictures_of_different_sizes_share_their_calls(tmp_path):
    sizes = [(900, 600), (400, 700), (300, 300), (210, 64)]
    sources = [photo(tmp_path / f"{i}.png", *size) for i, size in enumerate(sizes)]
    (tmp_path / "out").mkdir()
    together = run(RECIPE, sources, tmp_path / "out")
    alone = run(RECIPE, sources[:1], tmp_path / "out")
    assert together.denoiser_calls == alone.denoiser_calls
    for source, outcome, (width, height) in zip(sources, together.outcomes, sizes, strict=True):
        changed = (pixels(source) != pixels(outcome.files[0])).any(2)
        assert not changed[outside(height, width)].any()
        assert changed.any()


def test_a_picture_turned_by_exif_with_alpha_keeps_both(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = render(CAT, 300)
    picture.putalpha(Image.linear_gradient("L").resize((300, 300)))
    picture.resize((400, 300)).save(source := tmp_path / "turned.png", exif=exif)
    source.with_suffix(".txt").write_text(CAT.caption())
    (outcome,) = run(RECIPE, [source], tmp_path / "out.png").outcomes
    before, after = pictures.read(source), pictures.read(outcome.files[0])
    assert before.rgb.shape == after.rgb.shape == (400, 300, 3)
    assert np.array_equal(before.alpha, after.alpha)
    assert not (before.rgb != after.rgb).any(2)[outside(400, 300)].any()


def test_nothing_edited_gives_the_picture_back(tmp_path):
    source = photo(tmp_path / "photo.png", 640, 480)
    (outcome,) = run(f"{BOX} | crop | paste", [source], tmp_path / "out.png").outcomes
    assert np.array_equal(pixels(source), pixels(outcome.files[0]))


def test_a_window_alone_is_a_picture_of_the_models_size(tmp_path):
    source = photo(tmp_path / "photo.png", 640, 480)
    (outcome,) = run(f"{BOX} | crop", [source], tmp_path / "out.png").outcomes
    assert pixels(outcome.files[0]).shape == (64, 64, 3)


def test_several_turns_and_a_finer_mask_in_one_window(tmp_path):
    source = photo(tmp_path / "photo.png", 640, 480)
    turn = "mask box {} | blend latent | blend pixel"
    again = 'invert sdedit "dog"->"bear" steps=2'
    turns = f"{EDIT} | {turn.format('right=50%')} | {again} | {turn.format('left=70%')}"
    (outcome,) = run(f"{BOX} | crop | {turns} | paste", [source], tmp_path / "out.png").outcomes
    changed = (pixels(source) != pixels(outcome.files[0])).any(2)
    assert not changed[outside(480, 640)].any()
    columns = changed.any(0).nonzero()[0]
    inner = np.flatnonzero(~changed[96:336, columns[0] : columns[-1]].any(0)) + columns[0]
    assert len(inner) > 5, "between the two masks nothing was edited, so nothing is resampled"


@pytest.mark.thorough
def test_a_narrowed_window_keeps_what_the_edit_before_left(tmp_path):
    """What of the mask is photograph still is not drawn anew by the turn that makes the edit finer."""
    source = photo(tmp_path / "photo.png", 640, 480)
    first = f"{EDIT} | mask box right=50% | blend latent | blend pixel"
    finer = 'surround lowpass | mask window | invert sdedit "dog" strength=50% steps=2 | blend latent'
    changed = {}
    for narrow in ("", "narrow |", "narrow grow=8 |"):
        recipe = f"{BOX} | crop | {first} | {narrow} {finer} | paste"
        (outcome,) = run(recipe, [source], tmp_path / "out.png").outcomes
        found = changed[narrow] = (pixels(source) != pixels(outcome.files[0])).any(2)
        assert not found[outside(480, 640)].any()
    everywhere, narrow, wider = (int(each.sum()) for each in changed.values())
    assert 0.9 * 96 * 192 < narrow < wider < 0.8 * everywhere


def test_what_was_enlarged_is_what_a_turn_begins_with(tmp_path):
    """So that pixels outside of a mask are put back at the size that the picture has come to."""
    source = photo(tmp_path / "photo.png", 48, 40)
    masked = "mask box right=50%"
    turn = f'{masked} | invert sdedit "dog" strength=50% steps=2 | blend latent | blend pixel'
    (outcome,) = run(f"upscale factor=2 | {turn}", [source], tmp_path / "out.png").outcomes
    (plain,) = run("upscale factor=2", [source], tmp_path / "plain.png").outcomes
    kept = pixels(plain.files[0]) == pixels(outcome.files[0])
    assert kept.shape == (80, 96, 3)
    assert kept[:, 48:].all()
    assert not kept[:, :48].all()
    # In a window, its photograph is round the edit again, and is what a seam without a step is to meet.
    recipe = f'{BOX} | crop | {turn} | upscale factor=1.5 | surround lowpass | {turn} seam="poisson" | paste'
    (graph,) = graphs(recipe, [photo(tmp_path / "large.png", 640, 480)], tmp_path / "out.png")
    last = [node for node in graph.nodes if node.card.name == "blend pixel"][-1]
    assert last.inputs["source"].id == "surround.lowpass#1"


def test_a_crop_in_a_crop(tmp_path):
    source = photo(tmp_path / "photo.png", 640, 480)
    recipe = f"{BOX} | crop | mask box right=60% | crop least=8 | {EDIT} | blend latent | paste | paste"
    (graph,) = graphs(recipe, [source], tmp_path / "out.png")
    verify(graph)
    assert [node.id for node in graph.nodes if node.card.family == "crop"] == ["crop.window#1", "crop.window#2"]
    (outcome,) = run(recipe, [source], tmp_path / "out.png").outcomes
    changed = (pixels(source) != pixels(outcome.files[0])).any(2)
    assert changed.any()
    assert not changed[outside(480, 640)].any()


def test_after_paste_the_flow_is_where_it_was_cropped(tmp_path):
    """Its mask and the picture that it began with are what a table compares."""
    source = photo(tmp_path / "photo.png", 640, 480)
    run(f'{RECIPE} | measure "{tmp_path}/t.csv"', [source], tmp_path)
    figures = (tmp_path / "t.csv").read_text().splitlines()
    told = dict(zip(figures[1].split(","), figures[2].split(","), strict=True))
    assert told["psnr_outside"] == "inf"
    assert float(told["psnr_inside"]) < 40


@pytest.mark.parametrize("larger", ["", " | upscale factor=1.5"])
def test_a_mask_file_of_the_whole_picture_counts_inside_of_a_window(tmp_path, larger):
    source = photo(tmp_path / "photo.png", 640, 480)
    mask = Image.new("L", (640, 480))
    mask.paste(255, (192, 96, 384, 200))
    (out := tmp_path / "out").mkdir()
    mask.save(out / "m.png")
    recipe = (
        f'{BOX} | crop{larger} | mask file "m.png" | {EDIT} | blend latent{"" if larger else " | blend pixel"} | paste'
    )
    (outcome,) = run(recipe, [source], out).outcomes
    changed = (pixels(source) != pixels(outcome.files[0])).any(2)
    assert changed[:200].any()
    assert not changed[216:].any() or larger  # the codec's own loss, without `blend pixel`
    mask.resize((64, 64)).save(tmp_path / "m.png")  # beside the picture, where the check looks
    assert [found.code for found in checked(recipe, source).errors] == ["RT417"]


def checked(recipe: str, source: Path):
    here = source.parent
    return check(recipe, Environment(INSTALLED, here, (Picture(source, 0, CAT.caption()),), output=here / "o.png"))


def test_an_empty_mask_is_refused_for_its_picture_alone(tmp_path):
    full, empty = photo(tmp_path / "full.png", 200, 200), photo(tmp_path / "empty.png", 200, 200)
    Image.new("RGB", (200, 200), "orange").save(full)
    Image.new("RGB", (200, 200), "navy").save(empty)
    recipe = f'mask color name="#ffa500" | crop | {EDIT} | blend latent | paste'
    found = graphs(recipe, [full, empty], tmp_path / "out")
    one, other = execute(found, registry=INSTALLED, machine=KEPT).outcomes
    assert not one.failures
    assert [failure.code for failure in other.failures] == ["RT510"]
    assert not other.warnings  # that the mask is empty is told once


@pytest.mark.parametrize(
    "recipe",
    [
        EDIT,
        f'mask attention words=["cat"] | crop | {EDIT} | paste',  # it looks at the whole picture
        f'{RECIPE} | invert sdedit "dog"->"cat"',  # the next turn would
    ],
)
def test_what_would_be_encoded_whole_is_too_large(tmp_path, recipe):
    (error,) = checked(recipe, photo(tmp_path / "photo.png", 129, 40)).errors
    assert error.code == "RT404"
    assert not checked(recipe, photo(tmp_path / "photo.png", 128, 40)).errors


def test_the_mend_of_a_picture_that_is_too_large_is_to_crop_it(tmp_path):
    """As the message says: a mask and `crop` before, `paste` behind."""
    source = photo(tmp_path / "photo.png", 640, 480)
    (error,) = checked(EDIT, source).errors
    before, behind, _windows = re.findall(r"'([^']+)'", error.help)
    recipe = f"{before.replace('mask …', BOX)} | {EDIT} | {behind}"
    assert not checked(recipe, source).errors
    (outcome,) = run(recipe, [source], tmp_path / "o.png").outcomes
    assert not (pixels(source) != pixels(outcome.files[0])).any(2)[outside(480, 640)].any()


@pytest.mark.parametrize(
    ("recipe", "code"),
    [
        (f"{EDIT} | paste", "RT301"),
        (f"crop | {EDIT} | paste", "RT301"),
        (f"{RECIPE} | paste", "RT319"),
        (f"def a() = crop | {EDIT}\ndef b() = {EDIT}\n{BOX} | first(a(), b())", "RT309"),
        (f'w = open "small.png"\n{BOX} | crop | paste image=w', "RT335"),
        (f'x = open "small.png"\n{BOX} | crop | {EDIT} | blend latent | blend pixel image=x | paste', "RT335"),
        (f'm = open "small.png" | mask box right=50%\n{BOX} | crop | {EDIT} | blend latent mask=m | paste', "RT335"),
        (f"m = {BOX}\n{BOX} | crop | mask union other=m | {EDIT} | blend latent | paste", "RT335"),
        (f"{BOX} | upscale | {EDIT} | blend latent", "RT335"),
        (f"{BOX} | upscale bicubic | tiles ({EDIT})", "RT335"),
        (f"{BOX} | crop | upscale | {EDIT} | blend pixel | paste", "RT335"),
        (f"{BOX} | crop | upscale | surround lowpass | tiles ({EDIT}) | paste", "RT335"),
        (f"draw ({BOX} | upscale | {EDIT} | blend pixel) seeds=2 | rank denoiser", "RT335"),
        (f"{BOX} | draw (upscale | {EDIT} | blend pixel) seeds=2 | rank denoiser", "RT335"),
        (f"upscale factor=3 | {EDIT}", "RT404"),
        (f"{BOX} | crop | upscale factor=2.1 | {EDIT} | paste", "RT404"),
        (f"{BOX} | crop context=11 | {EDIT} | paste", "RT208"),
    ],
)
def test_what_cannot_be_is_told_before_anything_loads(tmp_path, recipe, code):
    source = photo(tmp_path / "photo.png", 100, 100)
    photo(tmp_path / "small.png", 48, 48)
    assert code in [error.code for error in checked(recipe, source).errors]


@pytest.mark.parametrize(
    "recipe",
    [
        f"{BOX} | upscale factor=1 sharpen=1 | {EDIT} | blend latent",
        f"upscale | {BOX} | {EDIT} | blend pixel",
        f"draw (upscale | {BOX} | {EDIT} | blend pixel) seeds=2 | rank denoiser",
        f"{BOX} | draw (crop | {EDIT} | blend pixel | paste) seeds=2 | rank denoiser",
        f"upscale factor=3 | tiles multidiffusion | {EDIT}",
        f"{EDIT} | upscale factor=3",
        f"a = upscale | {BOX}\nupscale bicubic | {EDIT} | blend latent mask=a",
        f"{BOX} | crop | upscale | surround lowpass | mask window | tiles ({EDIT}) | narrow | paste",
    ],
)
def test_a_mask_of_the_size_that_the_picture_has_now_passes(tmp_path, recipe):
    assert not checked(recipe, photo(tmp_path / "photo.png", 60, 60)).errors


@pytest.mark.parametrize(
    ("recipe", "help"),
    [
        (f"{BOX} | upscale | {EDIT} | blend latent", "make it behind 'upscale lanczos'"),
        (f"{BOX} | crop | upscale | {EDIT} | blend latent", "write 'mask window' behind 'upscale lanczos'"),
    ],
)
def test_the_mend_of_a_mask_from_before_it_grew_is_one_from_behind(tmp_path, recipe, help):
    (error,) = checked(recipe, photo(tmp_path / "photo.png", 60, 60)).errors
    assert help in error.help


def test_from_python_and_again_from_the_picture_alone(tmp_path):
    source = photo(tmp_path / "photo.png", 300, 200)
    made = retouch.recipe(RECIPE)(source)
    assert made.image.size == (300, 200)
    flow = (
        retouch.open(str(source))
        | retouch.mask.box(left=0.3, top=0.2, right=0.6, bottom=0.7)
        | retouch.crop()
        | retouch.invert.sdedit(retouch.edit("cat", "dog"), steps=2)
        | retouch.blend.latent()
        | retouch.paste()
    )
    assert np.array_equal(np.asarray(flow().image), np.asarray(made.image))


def test_the_command_line_runs_it_says_how_and_makes_it_again(tmp_path):
    source = photo(tmp_path / "photo.png", 300, 200)
    done = run_command("run", "-e", RECIPE, source, "-o", "dog.png", folder=tmp_path)
    assert done.code == 0, done.err
    shown = run_command("show", "dog.png", "--json", folder=tmp_path).out
    assert "paste.window" in shown.replace(" ", ".")
    assert run_command("rerun", "dog.png", "--verify", folder=tmp_path).code == 0
    assert "crop.window" in run_command("graph", "-e", RECIPE, source, folder=tmp_path).out.replace(" ", ".")


def test_a_plan_says_at_what_size_a_window_is_edited(tmp_path):
    source = photo(tmp_path / "photo.png", 300, 200)
    told = [
        run_command("plan", "-e", text, source, folder=tmp_path).out
        for text in (RECIPE, RECIPE.replace("| crop", "| crop size=32"))
    ]
    assert "size=64 (what 'storybook' was trained on)" in told[0]
    assert "size=32" in told[1]
    assert "trained on" not in told[1]
