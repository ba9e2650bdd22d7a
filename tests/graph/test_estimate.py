"""What a plan says of memory and time: exact weights, measured formulas, gradients."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from retouch.api.families import Described, unet_memory, vae_memory
from retouch.cli.main import main
from retouch.graph import estimate
from retouch.graph.estimate import KEPT, PROCESS, TILED_PIXEL
from retouch.models import families, rates
from retouch.models.catalog import find
from retouch.models.recognise import look_into
from retouch.models.vae_tiles import VaeTiles
from retouch.run.loaded.loaded_model import Machine
from retouch.testing.laws.memory import living
from retouch_bench.speed.shapes import SHAPES
from retouch_models.published import PUBLISHED
from tests.graph.planned import planned, rate


def unet(*channels: int, layers: int = 2, attends: tuple[int, ...] = (0, 1, 2)) -> dict[str, Any]:
    blocks = [f"{'CrossAttn' if i in attends else ''}DownBlock2D" for i in range(len(channels))]
    return {"block_out_channels": channels, "layers_per_block": layers, "down_block_types": blocks}


SD15, XL = unet(320, 640, 1280, 1280), unet(320, 640, 1280, attends=(1, 2))


@pytest.mark.parametrize(
    ("config", "cells", "megabytes"),
    # Tensors that live at once in one row of an eager pass, counted without memory: engine/README.md says how.
    [(SD15, 64, 136.6), (SD15, 128, 545.5), (XL, 64, 83.2), (XL, 128, 330.9), (unet(64, 96, 128, layers=1), 16, 1.62),
     (unet(320, 640, layers=1, attends=(0,)), 64, 131.2), (unet(320, 640, layers=1, attends=(1,)), 64, 72.2),
     (unet(128, 256, 512, 512, attends=(3,)), 64, 29.4)],
)  # fmt: skip
def test_a_row_of_a_unet_is_a_quarter_more_than_its_tensors(config, cells, megabytes) -> None:
    told = 4 * unet_memory(config, pixel=0).row((cells, cells), 77) / 1e6
    assert told == pytest.approx(1.25 * megabytes, rel=0.06)


@pytest.mark.parametrize(
    ("config", "megabytes"),
    # Of the process, at its peak over that before, for eight rows; a single one takes 50 MB more, which `KEPT` covers.
    [(unet(320, 640, layers=1, attends=(0,)), 1308.5), (unet(320, 640, layers=1, attends=(1,)), 737.3)],
)
def test_eight_rows_of_a_unet_are_what_a_process_takes(config, megabytes) -> None:
    told = 8 * 4 * unet_memory(config, pixel=0).row((64, 64), 77) / 1e6
    assert told == pytest.approx(megabytes, rel=0.1)


@pytest.mark.parametrize(
    ("model", "megabytes"),
    # Tensors that live at once in one row at 512 and at 1,024 pixels, on networks of full size without memory.
    [("Stable Diffusion 1.5", (136.6, 545.5)), ("Stable Diffusion 2.1", (136.6, 545.6)),
     ("Stable Diffusion XL", (83.2, 330.9)), ("Stable Diffusion 3 medium", (93.4, 338.8)),
     ("Stable Diffusion 3.5 medium", (99.8, 364.0)), ("Stable Diffusion 3.5 large", (144.7, 533.2)),
     ("FLUX.1 dev", (293.7, 864.7)), ("FLUX.1 schnell", (242.0, 813.1)), ("FLUX.2 klein 4B", (422.3, 1222.9)),
     ("FLUX.2 klein 9B", (566.0, 1630.9)), ("Qwen-Image", (295.3, 828.5)), ("Z-Image", (377.2, 1120.1))],
)  # fmt: skip
def test_a_row_of_a_published_model_covers_its_tensors_at_full_size(model, megabytes) -> None:
    known = described(model)
    assert known.working
    for side, live in zip((512, 1024), megabytes, strict=True):
        told = 4 * known.working.row((side // known.scale, side // known.scale), known.tokens) / 1e6
        assert live <= told <= 1.32 * live, side


def test_the_law_measures_at_full_size_what_these_tables_say() -> None:
    """One of them, again: the network has no memory, and its attention is one kernel."""
    network = SHAPES["sd15"].denoiser("meta", torch.float32)
    with torch.device("meta"):
        x, time, text = torch.empty(1, 4, 64, 64), torch.empty(1), torch.empty(1, 77, 768)
    assert 4 * living(lambda: network(x, time, text)) / 1e6 == pytest.approx(136.6, rel=0.01)


def test_a_large_picture_is_priced_in_the_codec_as_it_is_coded(cache, capsys) -> None:
    """In tiles, one at a time, as a run has it, under a gradient too; whole where a run has it whole."""
    Image.new("RGB", (1600, 1600)).save("cat.png")
    Image.new("RGB", (1600, 1600)).save("dog.png")

    def told(*words: str, recipe: str = "tiles multidiffusion | invert ddim") -> tuple[int, int]:
        assert main(["plan", "--json", "-e", f'{recipe} "cat"->"dog" steps=2', "cat.png", "dog.png", *words]) == 0
        found = json.loads(capsys.readouterr().out)["estimates"][0]["bytes"]
        return found["picture"], found["pictures_at_once"]

    working = find("storybook").known.working
    assert working
    tile, result = (4 * working.picture(512 * 512), 4 * TILED_PIXEL * 1600 * 1600)
    assert told() == (round(tile) + result, 1)
    assert told("--exact") == told()
    assert told("--vae-tiling", "off") == (round(4 * working.picture(1600 * 1600)), 2)
    led = "tiles multidiffusion | guide image_text looks=1 | invert ddim"
    assert told(recipe=led) == told()


@pytest.mark.parametrize(
    ("turn", "width", "seen"),
    [('tiles multidiffusion | invert ddim "cat"->"dog" steps=2', 384, [(16, 16)]),
     ('tiles multidiffusion size=96 | invert ddim "cat"->"dog" steps=2', 128, [(16, 24)]),
     ('mask diffedit "cat"->"dog" | tiles multidiffusion | invert ddim | blend latent', 96, [(16, 16), (16, 24)]),
     ('invert ddim "cat"->"dog" steps=2', 96, [(16, 24)])],
)  # fmt: skip
def test_a_row_is_priced_at_the_window_through_which_it_is_seen(
    cache: Path, capsys, turn: str, width: int, seen: list[tuple[int, int]]
) -> None:
    """In memory and in time; where some rows see the whole picture, at that."""
    Image.new("RGB", (width, 64)).save("wide.png")
    model = find("storybook")
    assert model.known.working
    for cells, pace in ((16, 10.0), (24, 5.0), (width // 4, 2.5)):
        rates.keep(rate(5.0 if cells == 24 else pace, height=16, width=cells))
    assert main(["plan", "--json", "-e", turn, "wide.png"]) == 0
    told = json.loads(capsys.readouterr().out)["estimates"][0]
    assert told["bytes"]["row"] == round(4 * model.known.working.row(max(seen), model.tokens))
    assert told["rows_per_second"] == ({(16, 16): 10.0, (16, 24): 5.0}[seen[0]] if len(seen) == 1 else None)
    assert tuple(told["cells"]) == (16, width // 4)


def test_a_run_through_windows_keeps_its_pace_at_the_window(cache: Path, capsys) -> None:
    Image.new("RGB", (96, 64)).save("wide.png")
    turn = 'tiles multidiffusion | invert sdedit "cat"->"dog" steps=8'
    assert main(["run", "-e", turn, "wide.png", "-o", "out.png"]) == 0
    assert [(kept.height, kept.width) for kept in rates.known()] == [(16, 16)]


@pytest.mark.thorough
def test_what_a_picture_in_tiles_holds_is_what_is_priced() -> None:
    """Numbers that live at once while the embedded VAE decodes in tiles."""
    codec, working = Machine(find("storybook"), "cpu", torch.float32).codec, find("storybook").known.working
    assert working
    seen = replace(codec, tiles=VaeTiles(128, 64, "on"))
    latents = torch.zeros(1, 4, 140, 140)
    held = living(lambda: seen.decode(latents))
    priced = working.picture(128 * 128) + TILED_PIXEL * 560 * 560
    assert held / 2 < priced < 2 * held


def described(model: str) -> Described:
    pipeline, configs = next((name, each[model]) for name, each in PUBLISHED.items() if model in each)
    return families.describe(pipeline, lambda file: configs[file])


@pytest.mark.parametrize(
    ("model", "megabytes"),
    # A row of four in a process: 4,096 tokens of a picture, 256 of a text, two blocks of each kind, 1,024 wide.
    [("Stable Diffusion 3 medium", 224), ("FLUX.1 dev", 267), ("FLUX.2 klein 4B", 388), ("Qwen-Image", 293),
     ("Z-Image", 305)],
)  # fmt: skip
def test_a_row_of_a_transformer_is_within_15_percent_of_what_a_process_took(model, megabytes) -> None:
    known = described(model)
    assert known.working
    side = 64 * known.multiple // known.scale
    wide = {"Stable Diffusion 3 medium": 1536, "Z-Image": 3840}.get(model, 3072)
    assert 4 * known.working.row((side, side), 256) / 1e6 * 1024 / wide == pytest.approx(megabytes, rel=0.15)


@pytest.mark.parametrize(
    ("weights", "row", "picture", "megabytes"),
    # Full-size folders with random float16 weights, two steps at 512 pixels: bytes of the process at their peak.
    [(4267, 171 * 2, 1007, 6516), (2134, 86, 503, 3618), (13_870, 104, 1007, 15_594), (25, 2 * 2, 4.4, 448)],
    ids=["SD 1.5 float32, guided", "SD 1.5 bfloat16", "SDXL float32", "embedded"],
)
def test_a_whole_run_is_within_15_percent_of_what_was_measured(weights, row, picture, megabytes) -> None:
    process = (PROCESS + min(KEPT, weights * 10**6)) / 1e6
    assert process + weights + max(row, picture) == pytest.approx(megabytes, rel=0.15)


@pytest.mark.parametrize(
    ("channels", "states", "side", "megabytes"),
    # Of a process, one picture decoded; Qwen-Image's convolutions in time hold three times as much.
    [([128, 256, 512, 512], 3, 512, 1007), ([128, 256, 512, 512], 3, 512, 1118), ([96, 192, 384, 384], 9, 512, 2271)],
)
def test_a_picture_is_within_15_percent_of_what_was_measured(channels, states, side, megabytes) -> None:
    assert 4 * side**2 * vae_memory(channels, states) / 1e6 == pytest.approx(megabytes, rel=0.15)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('invert ddim "cat"->"dog"', 2),
        ('invert ddim "cat"->"dog" strength=50%', 2),
        ('invert ddim "cat"->"dog" | sample guidance=1', 1),
        ('let g = [2, 3]\ninvert ddim "cat"->"dog" | guide cfg guidance=g | save "{g}.png"', 4),
        ('invert ddim | mask diffedit "cat"->"dog" maps=5 | blend latent', 11),
    ],
)
def test_rows_at_once_are_those_of_one_step(cache: Path, capsys, text: str, rows: int) -> None:
    assert main(["plan", "--json", "-e", text, "cat.png"]) == 0
    assert json.loads(capsys.readouterr().out)["estimates"][0]["bytes"]["rows_at_once"] == rows


def test_weights_are_counted_from_headers(cache: Path, capsys) -> None:
    told = planned(capsys, "cat.png")
    assert told["cells"] == [16, 16]
    assert set(told["bytes"]["weights"]) == {"unet", "vae", "text_encoder"}
    assert told["bytes"]["weights"]["unet"] == 4 * look_into(find("storybook").folder).parts["unet"].numbers
    assert told["bytes"]["peak"] > sum(told["bytes"]["weights"].values())


def test_half_precision_is_planned_with_half_the_bytes_and_exact_mode_with_its_rows(cache: Path, capsys) -> None:
    whole, half = planned(capsys)["bytes"], planned(capsys, "--dtype", "float16")["bytes"]
    assert all(2 * half["weights"][part] == count for part, count in whole["weights"].items())
    assert 2 * half["row"] == pytest.approx(whole["row"], abs=2)
    exact = planned(capsys, "--exact")["bytes"]
    assert (
        (exact["rows_at_once"], exact["pictures_at_once"])
        == (8, 8)
        != (whole["rows_at_once"], whole["pictures_at_once"])
    )


EYED = 'invert sdedit "cat"->"dog" steps=10 strength=50% | eye clip "storybook" | guide {}'


@pytest.mark.parametrize(
    ("text", "glances"),
    [
        (EYED.format("image_text looks=3"), 5 * 3),
        (EYED.format("direction looks=3"), 5 * 6),
        (EYED.format('image_text looks=3 | eye vit "storybook" | guide structure | guide identity likeness=1'), 30),
        (f"draw ({EYED.format('image_text looks=3')}) seeds=4 | rank looks=2", 4 * 5 * 3 + 4 * 2),
        ('invert sdedit "cat"->"dog" steps=10', 0),
    ],
)
def test_pictures_that_eyes_are_shown_are_counted_and_priced(cache: Path, capsys, text: str, glances: int) -> None:
    rates.keep(rate(10.0))
    assert main(["plan", "--json", "-e", text, "cat.png"]) == 0
    told = json.loads(capsys.readouterr().out)["estimates"][0]
    assert told["eyes"]["pictures"] == glances
    assert (told["eyes"]["as_rows"] > 0) == bool(glances)
    assert told["with_gradient"]["rows"] >= 0
    assert main(["plan", "-e", text, "cat.png"]) == 0
    assert ("eyes: " in capsys.readouterr().out) == bool(glances)


TUNINGS = {
    "imagic": 'tune imagic embedding_steps=3 training_steps=5 batch=2 weights="all"',
    "dreambooth": 'tune dreambooth prompt="a sks cat" class_prompt="a cat" class_pictures=2 iterations=5',
}


@pytest.mark.parametrize(("name", "led", "at_once"), [("imagic", 16, 2), ("dreambooth", 10, 2)])
def test_the_gradient_of_a_tuning_is_priced_as_it_is_taken(
    cache: Path, capsys, monkeypatch: pytest.MonkeyPatch, name: str, led: int, at_once: int
) -> None:
    """Rows of one step with all that they keep, of a large network with what blocks are given; states in float32."""
    network = look_into(find("storybook").folder).parts["unet"].numbers
    rates.keep(rate(10.0))

    def told(*words: str) -> dict[str, Any]:
        recipe = f'{TUNINGS[name]} | invert sdedit "cat"->"dog" strength=50% steps=4'
        assert main(["plan", "--json", "-e", recipe, "cat.png", *words]) == 0
        return json.loads(capsys.readouterr().out)["estimates"][0]

    whole = told()
    assert (whole["with_gradient"]["rows"], whole["with_gradient"]["tuned_at_once"]) == (led, at_once)
    assert whole["bytes"]["weights"][f"tune {name}"] == 4 * 4 * network
    assert told("--dtype", "float16")["bytes"]["weights"][f"tune {name}"] == 4 * (4 + 0.5) * network
    beside = whole["bytes"]["process"] + sum(whole["bytes"]["weights"].values())
    assert whole["bytes"]["peak"] - beside == pytest.approx(13 * at_once * whole["bytes"]["row"], abs=1)
    monkeypatch.setattr(estimate, "LARGE", network)
    again = told()
    assert again["bytes"]["peak"] < whole["bytes"]["peak"]
    assert again["seconds"][1] - whole["seconds"][1] == pytest.approx(led * 0.7 / 10)


def test_gradients_in_brackets_are_counted_as_often_as_the_flow_runs(cache: Path, capsys) -> None:
    led: list[int] = []
    for text in (EYED.format("image_text looks=1"), f"draw ({EYED.format('image_text looks=1')}) seeds=4 | rank"):
        assert main(["plan", "--json", "-e", text, "cat.png"]) == 0
        led.append(json.loads(capsys.readouterr().out)["estimates"][0]["with_gradient"]["rows"])
    assert led[1] == 4 * led[0] > 0


@pytest.mark.parametrize("flow", ["draw ({}) seeds=4 | rank", "draw (draw ({}) seeds=2 | rank) seeds=2 | rank"])
def test_what_depends_on_no_picture_is_paid_once_however_often_its_flow_runs(cache: Path, capsys, flow: str) -> None:
    """A tuning in brackets that learns from pictures of its own: its rows, and those whose gradient it asks."""
    text = flow.format(f'{TUNINGS["dreambooth"]} pictures="cat.png" | invert sdedit "cat"->"dog" steps=4')
    once, walk, led = 5 * 2 + 2 * 4 * 2, 4, 5 * 2
    assert main(["plan", "--json", "-e", text, "cat.png"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == [once + 4 * walk] * 2
    assert told["estimates"][0]["with_gradient"] == {"rows": led, "pictures": 0, "tuned_at_once": 2}
    assert main(["plan", "-e", text, "cat.png"]) == 0
    assert f"{walk} rows each time, and {once} once" in capsys.readouterr().out


@pytest.mark.parametrize("flow", ["{}", "draw ({}) seeds=4 | rank"])
def test_what_each_worker_learns_for_itself_is_told(
    cache: Path, capsys, monkeypatch: pytest.MonkeyPatch, flow: str
) -> None:
    text = flow.format(f'{TUNINGS["dreambooth"]} pictures="cat.png" | invert sdedit "cat"->"dog" steps=4')
    Image.open("cat.png").save("other.png")
    once = 5 * 2 + 2 * 4 * 2
    for words, anew in (
        (("cat.png", "other.png", "--workers", "3"), {"tune dreambooth": once}),
        (("cat.png", "--workers", "3"), {}),
        (("cat.png", "other.png", "--workers", "1"), {}),
    ):
        assert main(["plan", "--json", "-e", text, *words]) == 0
        assert json.loads(capsys.readouterr().out)["workers"]["anew"] == anew
        assert main(["plan", "-e", text, *words]) == 0
        assert ("by each worker for itself" in capsys.readouterr().out) == bool(anew)
