"""Recipes of files, drawn by a number: several pictures, masks and LoRA files beside them, names, defs, any family."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image

from retouch.models.catalog import find
from retouch.run.loaded.loaded_model import Machine
from retouch_storybook.world import Scene, render
from tests.e2e import random_recipes as drawn
from tests.families.lora_files import peft, some
from tests.families.tiny_families import PIXELS, build
from tests.models.tiny_folder import three_levels
from tests.scenes.cube import cube_views, write

CAPTION = "an orange cat in a meadow"
SIZES = {"p1": (32, 32), "p2": (40, 28), "p3": (27, 33), "p4": (32, 24)}
ODD = {
    "p5.jpg": (30, 23),
    "p6.png": (17, 41),
    "p7.webp": (32, 36),
    "p8.png": (5, 61),
    "p9.png": (3, 2),
}  # of other kinds
WORDLESS, FLOW = set(PIXELS), {"sd3", "flux_dev", "flux_schnell", "flux2_klein", "qwen_image", "z_image"}
MASKS = [
    "mask box right=60%",
    'mask file "{name}_mask.png"',
    'mask color "#e08030" tolerance=0.4',
    "mask diffedit maps=1",
    'mask attention words=["cat"] levels=1',
]
TUNINGS = [
    'tune lora "style.safetensors" scale={scale}',
    'tune lora "style.safetensors" | tune lora "style.safetensors" scale={scale}',
    "tune unitune training_steps=1 batch=1",
    "tune imagic embedding_steps=1 training_steps=1 batch=1",
    "tune sine training_steps=1 batch=1",
    'tune textual_inversion word="xq" init="cat" iterations=1 batch=1',
]
GANS = [
    'gan invert method="encoder" | gan paint',
    "gan invert iterations=1 tuning=1 | gan paint",
    "gan invert iterations=1 tuning=1 | gan edit {edit} iterations=1",
    'gan invert method="encoder" | gan edit {edit} method="nada" iterations=1',
]
# The GAN paints pictures of 64 by 64 pixels; around it stand flows that give it one of that size.
ROUND_64 = [
    "{}",
    "{}",
    "upscale factor=1.5 | mask box right=60% | crop size=64 | {} | narrow | paste",
    "{} | {turn}",
    "{turn} | {}",
]
FITS = ["iterations=2 resolution=8 planes=4 rays=64", 'iterations=1 resolution=8 rays=64 space="box"']
REVISIONS = ["", "rounds=2", 'order="one_by_one"', "share=1", "at_once=1"]
SCENE_ENDS = [
    'save field "f{axes}.safetensors"',
    'save turntable "t{axes}.webp" frames=2',
    'render views | save views "v{axes}/transforms.json"',
    'save mesh "m{axes}.glb"',
]
RANKS = ["rank change", "rank denoiser looks=1", "rank change keep=2"]
ROUND = [
    *["{}"] * 4,
    "tiles multidiffusion size=16 | {}",
    "tiles ({}) size=16",
    "mask box right=60% | repaint ({}) times=2",
    "draw ({}) seeds=2 | {rank}",
    'mask file "{name}_mask.png" | crop size=16 | {} | surround | narrow | paste',
    "mask box left=10% right=60% | crop size=16 | upscale factor={factor} | {} | paste",
    "mask box left=20% right=70% | crop size=16 | upscale | mask window | tiles ({}) | narrow | paste",
    "upscale factor=1.5 | {}",
]
# Of all that puts back what is outside of a mask, whatever was done inside.
OUTSIDE = [
    "{} | blend pixel{seam}",
    "{} | blend latent | blend pixel{seam}",
    "{} | match lowpass | blend pixel",
    "{} | {} | blend pixel{seam}",
    "tiles ({}) size=16 | blend pixel{seam}",
    "tiles multidiffusion size=16 | {} | blend pixel",
    "draw ({}) seeds=2 | rank change | blend pixel{seam}",
    "repaint ({}) times=1 | blend pixel",
    "crop{window} | {} | paste{put}",
    "crop{window} | {} | surround | narrow | paste{put}",
    "crop{window} | upscale factor=1.5 | {} | paste{put}",
    "crop{window} | upscale | mask window | tiles ({}) size=16 | narrow | paste{put}",
    "draw (crop{window} | {} | paste{put}) seeds=2 | rank change",
]
WINDOWS = ["", " size=16", " context=0", ' shape="mask" size=16', " context=2 size=24", " least=20 size=16"]
SEAMS = ["", " feather=3", ' seam="poisson"', " feather=40"]
ENDS = [
    "",
    ' | save "{name}{axes}.png"',
    ' | save "{name}{axes}.webp" size=20',
    ' | save "{name}{axes}.tif"',
    ' | save latents "{name}{axes}.safetensors"',
    ' | sheet "sheet.png"',
    ' | measure "figures.csv"',
]


def world(family: str, home: Path) -> Path:
    """A folder with a tiny model, and pictures of four sizes and kinds with captions and masks beside them."""
    if family == "tiny":
        three_levels().save_pretrained(home / "m")
    else:
        (home / "m").mkdir()
        build(family, home / "m")
    base = Machine(find(str(home / "m")), "cpu", torch.float32).denoiser.core.base
    peft(some(base), "unet." if any("down_blocks" in name for name in base) else "transformer.").to(
        home / "style.safetensors"
    )
    write(home / "cube", cube_views(3, side=16, around=False, alpha=False))
    whole = render(Scene("cat", "orange", "in a meadow", seed=4), 64)
    for seed in (1, 2, 3):
        shown = render(Scene("cat", "orange", "in a meadow", seed=seed), 64)
        shown.save(home / f"q{seed}.png")
        _save_mask(shown, home / f"q{seed}_mask.png")
        (home / f"q{seed}.txt").write_text(CAPTION)
    for name, size in SIZES.items():
        shown = whole.resize(size)
        _save_mask(shown, home / f"{name}_mask.png")
        if name == "p2":
            shown.putalpha(Image.linear_gradient("L").resize(size))
        elif name == "p3":
            shown = shown.convert("L")
        elif name == "p4":
            shown = Image.fromarray(np.asarray(shown.convert("L")).astype(np.uint16) * 257)
        shown.save(home / f"{name}.png")
        (home / f"{name}.txt").write_text(CAPTION)
    for named, size in ODD.items():
        shown, name = whole.resize(size), named.partition(".")[0]
        _save_mask(shown, home / f"{name}_mask.png")
        if named.endswith(".jpg"):
            shown, turned = shown.transpose(Image.Transpose.ROTATE_90), Image.Exif()
            turned[0x112] = 6
            shown.save(home / named, exif=turned, quality=95)
        elif named.endswith(".webp"):
            shown.putalpha(Image.linear_gradient("L").resize(size))
            shown.save(home / named, lossless=True)
        else:
            shown.convert("P", palette=Image.Palette.ADAPTIVE, colors=8).save(home / named, transparency=0)
        (home / f"{name}.txt").write_text(CAPTION)
    return home


def _save_mask(shown: Image.Image, place: Path) -> None:
    Image.fromarray((np.asarray(shown.convert("L")) < 150).astype(np.uint8) * 255).save(place)


def wide(seed: int, family: str) -> tuple[str, list[str]]:
    """A recipe that can be read, and the pictures that the command line names for it."""
    chance = Random(f"{family} {seed}")
    words = family not in WORDLESS
    head, axes = ['model "m"', f"defaults steps={chance.choice([2, 3])}"], ""
    if chance.random() < 0.2:
        head.append("seed [1, 2]")
        axes += "-{seed}"
    pictures = chance.sample([*(f"{name}.png" for name in SIZES), *ODD], chance.choice([1, 1, 2, 3]))
    other = "area = open | " + chance.choice(MASKS[:3])
    edit = chance.choice([*drawn.EDITS, '"cat"->["dog", "fox"]']) if words else ""
    if "[" in edit:
        axes += "-{edit}"
    around, turn = chance.choice(ROUND), _turn(chance, edit, family)
    for name, value in (("{rank}", chance.choice(RANKS)), ("{factor}", chance.choice(["1.5", "3.3"]))):
        around = around.replace(name, value)
    if "area" in turn:
        head.append(other)
    way = chance.random()
    flow = around.replace("{}", turn)
    if way < 0.15 and "[" not in edit:
        head.append(f"def swap() = {turn}")
        flow = around.replace("{}", "swap()")
    elif way < 0.3:
        head.append(f"one = open | {turn}")
        return "\n".join([*head, 'one | save "a-{name}' + axes + '.png"', f"open | {flow}", ""]), pictures
    return "\n".join([*head, f"open | {flow}{chance.choice(ENDS)}".replace("{axes}", axes), ""]), pictures


def outside(seed: int, family: str) -> tuple[str, list[str]]:
    """A recipe that saves a mask, and a picture that may be another inside of it alone."""
    chance = Random(f"outside {family} {seed}")
    edit = "" if family in WORDLESS else chance.choice(drawn.EDITS)
    masks = [chance.choice(MASKS[:3]), *(drawn.stage(chance, chance.choice(drawn.SHAPES)) for _ in range(seed % 3))]
    flow = chance.choice(OUTSIDE)
    while "{}" in flow:
        turn = _inversion(chance, edit, family)
        flow = flow.replace("{}", " | ".join(turn), 1)
    for name, values in (("seam", SEAMS), ("window", WINDOWS), ("put", ["", " feather=0", " feather=9"])):
        flow = flow.replace(f"{{{name}}}", chance.choice(values))
    if family in FLOW:  # whose windows are else as large as the published models were trained on
        flow = re.sub(r"crop(?![^|)]*size=)", "crop size=16", flow)
    lines = ['model "m"', "defaults steps=2", f"area = open | {' | '.join(masks)}", 'area | save mask "{name}_in.png"']
    pictures = chance.sample([*(f"{name}.png" for name in SIZES), *ODD], 2)
    return "\n".join([*lines, f'area | {flow} | save "{{name}}.{chance.choice(["png", "tif", "webp"])}"', ""]), pictures


def gan(seed: int) -> tuple[str, list[str]]:
    """A recipe of the GAN, by itself or beside turns of the embedded model, whose eyes it looks with."""
    chance = Random(f"gan {seed}")
    painted = chance.choice(GANS).replace("{edit}", chance.choice(drawn.EDITS))
    flow = chance.choice(ROUND_64).replace("{turn}", _turn(chance, chance.choice(drawn.EDITS), "tiny"))
    pictures = chance.sample(["q1.png", "q2.png", "q3.png"], chance.choice([1, 2, 3]))
    head = ["defaults steps=2"] if "invert" in flow.replace("gan invert", "") else []
    head += ["area = open | mask box right=60%"] if "area" in flow else []
    return "\n".join([*head, f"open | {flow.replace('{}', painted)}{chance.choice(ENDS)}", ""]).replace(
        "{axes}", ""
    ), pictures


def scene(seed: int) -> tuple[str, list[str]]:
    """A recipe of a scene, which opens its own photographs: fitted, revised by turns, shown in one way or several."""
    chance = Random(f"scene {seed}")
    axes = "-{seed}" if chance.random() < 0.2 else ""
    stages = [f"fit field {chance.choice(FITS)}"]
    if chance.random() < 0.3:
        stages.append(f"mask lift ({chance.choice(MASKS[:1] + MASKS[3:])})")
    for _ in range(chance.choice([0, 1, 1, 2])):
        turn = "area"
        while "area" in turn or "{name}" in turn:  # other files than the photographs
            turn = _turn(chance, chance.choice(drawn.EDITS), "tiny")
        stages.append(f"revise ({turn}) iterations=1 rays=64 {chance.choice(REVISIONS)}".rstrip())
    ends = [f"done | {end}".replace("{axes}", axes) for end in chance.sample(SCENE_ENDS, chance.choice([1, 2]))]
    opened = 'open views "cube/" caption="an orange cat in a meadow"'
    head = ['model "m"', *(["defaults steps=2"] if "invert" in str(stages) else []), *(["seed [1, 2]"] if axes else [])]
    return "\n".join([*head, f"done = {' | '.join([opened, *stages])}", *ends, ""]), []


def _turn(chance: Random, edit: str, family: str) -> str:
    stages: list[str] = []
    words = family not in WORDLESS
    if words and chance.random() < 0.15:
        stages.append(chance.choice(TUNINGS).replace("{scale}", chance.choice(["0", "0.5", "-1"])))
    masked = chance.random() < 0.6
    if masked:
        stages.append(chance.choice(MASKS if words else MASKS[:3]))
        if chance.random() < 0.2:
            stages.append(f"mask {chance.choice(['union', 'intersect', 'subtract'])} other=area")
        if chance.random() < 0.3:
            stages.append(drawn.stage(chance, chance.choice(drawn.SHAPES)))
    if words and chance.random() < 0.15:
        stages.append(f"{chance.choice(['distil dds', 'distil pds', 'distil sds'])} {edit} rounds=2")
        return " | ".join([*stages, *(["blend pixel"] if masked else [])])
    stages += _inversion(chance, edit, family)
    stages += [drawn.stage(chance, "blend latent")] if masked and chance.random() < 0.7 else []
    stages += [drawn.stage(chance, "blend pixel")] if masked and chance.random() < 0.3 else []
    return " | ".join(stages)


def _inversion(chance: Random, edit: str, family: str) -> list[str]:
    """An inversion, and what may stand behind it that reads no mask."""
    pool = [*drawn.NOISE, *drawn.FLOW] if family in FLOW else drawn.NOISE
    words, stages = family not in WORDLESS, [drawn.stage(chance, chance.choice(pool), edit)]
    if words:
        stages += [drawn.stage(chance, each) for each in chance.sample(drawn.CONTROLS, chance.choice([0, 1, 1, 2]))]
        stages += [drawn.stage(chance, chance.choice(drawn.GUIDES))] if chance.random() < 0.3 else []
        stages += [drawn.stage(chance, "blend local")] if chance.random() < 0.2 else []
    return [*stages, *([drawn.stage(chance, chance.choice(drawn.SOLVERS))] if chance.random() < 0.2 else [])]
