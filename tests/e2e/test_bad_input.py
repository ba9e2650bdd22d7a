"""Whatever is wrong gets a code and a sentence, before any model loads where that can be known; nothing is written."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import zlib

import pytest
from PIL import Image

from retouch.models import catalog
from tests.e2e.command import ROOT, Ran, draw, in_process, retouch

EDIT = 'invert ddim "cat"->"dog" steps=2'
# The process tells, as it ends, whether torch was loaded.
WATCH = "import atexit, sys; atexit.register(lambda: print('loaded torch:', 'torch' in sys.modules, file=sys.stderr))"
# One process for many commands tells the same after each, and the seconds that it worked.
LIGHT = """
import json, sys, time
from pathlib import Path
from tests.e2e.command import retouch
for line in sys.stdin:
    folder, *args = json.loads(line)
    began = time.process_time()
    ran = retouch(*args, folder=Path(folder))
    told = ran.code, ran.out, ran.err, "torch" in sys.modules, time.process_time() - began
    print(json.dumps(told), flush=True)
"""


@pytest.fixture(scope="module")
def light():
    """A process that is asked command after command, each of which must leave it without torch."""
    with subprocess.Popen(
        [sys.executable, "-c", LIGHT], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def ask(*args, folder):
            print(json.dumps([str(folder), *args]), file=process.stdin, flush=True)
            *ran, loaded, seconds = json.loads(process.stdout.readline())
            assert not loaded, "torch was loaded"
            assert seconds < 10
            return Ran(*ran)

        yield ask
        process.communicate(timeout=600)


def chunk(kind, data):
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(path):
    """A PNG of a few kilobytes that says it is 30 000 pixels square."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND", b""))


def truncate(path):
    draw(path, caption=False)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


PICTURES = {
    "missing": (lambda path: None, "RT402"),
    "not an image": (lambda path: path.write_text("hello"), "RT504"),
    "empty": (lambda path: path.write_bytes(b""), "RT504"),
    "a folder": (lambda path: path.mkdir(), "RT4"),
    "a bomb": (bomb, "RT504"),
    "too large": (lambda path: draw(path, size=200, caption=False), "RT404"),
}


@pytest.mark.parametrize("what", PICTURES)
def test_a_bad_picture_is_refused_before_anything_loads(what, tmp_path, light):
    make, code = PICTURES[what]
    make(tmp_path / "in.png")
    ran = light("run", "-e", EDIT, "in.png", "-o", "out.png", folder=tmp_path)
    assert ran.code == 1, ran.out + ran.err
    assert f"error[{code}" in ran.err + ran.out
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out.png").exists()


def test_a_truncated_picture_fails_with_a_sentence(tmp_path):
    truncate(tmp_path / "in.png")
    ran = retouch("run", "-e", EDIT, "in.png", "-o", "out.png", folder=tmp_path)
    assert ran.code in (1, 4)
    assert "RT504" in ran.err + ran.out
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out.png").exists()


RECIPES = {
    'invert nulltext "cat"->"dog"': "RT202",
    'invert ddim "cat"->"dog" | blend latent': "RT301",
    'invert ddim "cat"->"dog" steps="many"': "RT207",
    'invert ddim "cat"->"dog" strength=7': "RT208",
    'invert ddim "cat"->"dog" convention="later"': "RT209",
    'invert ddim "cow"->"dog"': "RT306",
    'model "stroybook"\ninvert ddim "cat"->"dog"': "RT412",
    'invert ddim "cat"->"dog" | save "../../elsewhere.png"': "RT403",
    'invert ddim "cat"->"dog" | save "cat.png"': "RT407",
    'open "https://example.org/cat.png" | invert ddim "cat"->"dog"': "RT413",
    'mask file "nothing.png" | invert ddim "cat"->"dog"': "RT402",
    "invert ddim |": "RT105",
}


@pytest.mark.parametrize(("recipe", "code"), RECIPES.items())
def test_a_bad_recipe_is_refused_before_anything_loads(recipe, code, cat, light):
    before = set(cat.parent.iterdir())
    ran = light("run", "-e", recipe, "cat.png", folder=cat.parent)
    assert ran.code == 1, ran.out + ran.err
    assert f"error[{code}]" in ran.err + ran.out
    assert set(cat.parent.iterdir()) == before


@pytest.mark.thorough
def test_so_it_is_in_a_process_of_its_own(cat):
    (site := cat.parent / "site").mkdir()
    (site / "sitecustomize.py").write_text(WATCH)
    recipe = 'invert nulltext "cat"->"dog"'
    ran = in_process("run", "-e", recipe, "cat.png", folder=cat.parent, env={"PYTHONPATH": str(site)})
    assert ran.code == 1
    assert ran.err.startswith("error[RT202]")
    assert "loaded torch: False" in ran.err


def test_a_picture_of_somebody_elses_is_not_overwritten(cat):
    mine = cat.with_name("mine.png")
    Image.new("RGB", (8, 8), "red").save(mine)
    bytes_before = mine.read_bytes()
    ran = retouch("run", "-e", EDIT, "cat.png", "-o", "mine.png", folder=cat.parent)
    assert ran.code == 1
    assert "RT415" in ran.err + ran.out
    assert mine.read_bytes() == bytes_before


def test_a_mask_of_another_size_is_refused_with_both_sizes(cat):
    Image.new("L", (32, 16), 255).save(cat.with_name("mask.png"))
    ran = retouch(
        "run", "-e", f'{EDIT} | mask file "mask.png" | blend latent', "cat.png", "-o", "o.png", folder=cat.parent
    )
    assert ran.code != 0
    assert "32×16" in ran.err + ran.out
    assert "64×64" in ran.err + ran.out
    assert not cat.with_name("o.png").exists()


@pytest.fixture
def model(tmp_path):
    """A copy of the embedded model, to be broken."""
    return shutil.copytree(catalog.find("storybook").folder, tmp_path / "model")


def corrupt_config(model):
    (model / "unet" / "config.json").write_text("{ not json")


def drop_weights(model):
    (model / "vae" / "diffusion_pytorch_model.safetensors").unlink()


def cut_weights(model):
    weights = model / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])


@pytest.mark.parametrize("break_", [corrupt_config, drop_weights, cut_weights])
def test_an_unreadable_model_is_refused_with_a_sentence(break_, model, cat):
    break_(model)
    ran = retouch("run", "-e", EDIT, "cat.png", "-o", "o.png", "--model", model, folder=cat.parent)
    assert ran.code in (1, 4), ran.out + ran.err
    assert "RT4" in ran.err + ran.out
    assert "Traceback" not in ran.err
    assert not cat.with_name("o.png").exists()


def test_a_wrong_command_line_is_exit_code_two(tmp_path):
    assert retouch("run", folder=tmp_path).code == 2
    assert retouch("rnu", folder=tmp_path).code == 2


def test_compiling_for_a_device_that_does_not_is_refused_before_anything_is_read(tmp_path):
    ran = retouch("run", "-e", "invert ddim", "nothere.png", "--compile", "--device", "cpu", folder=tmp_path)
    assert ran.code == 2
    assert "--compile is for cuda, and this would run on cpu" in ran.err


@pytest.mark.parametrize(
    "text",
    [
        'open "{outside}/*.png" | invert ddim | save "x.png"',
        'open "{outside}/**/*.png" | invert ddim | save "x.png"',
        'open "../*/*.png" | invert ddim | save "x.png"',
        'open "*/../../*/*.png" | invert ddim | save "x.png"',
        'open "{outside}/not-*.png" | invert ddim | save "x.png"',
        'open "link/*.png" | invert ddim | save "x.png"',
        'model "{outside}/model"\ninvert ddim',
        'model "../outside/none"\ninvert ddim',
        'model "link/secret.png"\ninvert ddim',
        'model "storybook" vae="{outside}/vae.safetensors"\ninvert ddim',
        'model "storybook" lora=["{outside}/secret.safetensors*0.5"]\ninvert ddim',
    ],
)
def test_a_recipe_learns_nothing_of_folders_that_it_was_not_given(tmp_path, text):
    """Neither what is there, nor that nothing is: it is told alike of files that are there and that are not."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    told: list[str] = []
    for filled in (False, True):
        for folder in (inside, outside):
            folder.mkdir(exist_ok=True)
        draw(inside / "cat.png")
        if filled:
            draw(outside / "secret.png")
            (outside / "notes.xyz").write_text("x")
            (outside / "model").mkdir()
        else:
            (inside / "link").symlink_to(outside)
        done = retouch("check", "-e", text.format(outside=outside), "cat.png", folder=inside)
        assert done.code == 1, done.out
        told.append(done.err)
    assert told[0] == told[1]
    assert "error[RT403]" in told[0]
    assert "secret.png" not in told[0].replace('"link/secret.png"', "").replace("'link/secret.png'", "")
    assert "xyz" not in told[0]


def test_what_links_lead_out_to_is_no_match_of_a_pattern(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside / "pictures", outside):
        folder.mkdir(parents=True)
    draw(inside / "pictures" / "cat.png")
    draw(outside / "secret.png")
    (inside / "pictures" / "lost.png").symlink_to(outside / "secret.png")
    (inside / "pictures" / "deep").symlink_to(outside)
    text = 'open "pictures/**/*.png" | invert ddim steps=1 | save "out/{name}.png"'
    done = retouch("plan", "--json", "-e", text, folder=inside)
    assert done.code == 0, done.err
    assert "cat.png" in done.out
    assert "secret" not in done.out
    assert "lost" not in done.out
