"""What the package ships: weights that load as they are, and pictures that are what their captions say."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMPipeline, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer

import retouch
import retouch_storybook
from retouch.graph.ports import GUIDANCE, options
from retouch.models import catalog
from retouch.paths import folder
from retouch.plugins import registry
from retouch_storybook.judge import load_judge
from retouch_storybook.train.base import forget_origin
from retouch_storybook.world import Scene, render

FOLDER = Path(retouch_storybook.__file__).parent
WEIGHTS = FOLDER / "weights"
MODELS = {"storybook": (WEIGHTS, 64, 26.0), "storybook128": (FOLDER / "weights128", 128, 34.0)}  # pixels, dB of the VAE
PICTURES = {
    "cat_meadow": Scene("cat", "orange", "in a meadow", seed=4),
    "cat_meadow_128": Scene("cat", "orange", "in a meadow", seed=4),
    "dog_beach": Scene("dog", "brown", "on a beach", seed=11),
    "bear_snow_hat": Scene("bear", "green", "in the snow", "hat", seed=11),
    "car_desert": Scene("car", "yellow", "in a desert", seed=7),
}


@pytest.mark.parametrize(("name", "scene"), PICTURES.items())
def test_a_sample_picture_is_the_scene_of_its_caption(name, scene):
    picture = folder("recipes") / "pictures" / f"{name}.png"
    assert picture.with_suffix(".txt").read_text().strip() == scene.caption()
    assert np.array_equal(np.asarray(Image.open(picture)), np.asarray(render(scene, 128 if "128" in name else 64)))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("model", "part"),
    [(AutoencoderKL, "vae"), (UNet2DConditionModel, "unet"), (CLIPTextModel, "text_encoder")],
)
def test_weights_fit_their_model_exactly(model, part, name):
    _, info = model.from_pretrained(MODELS[name][0] / part, torch_dtype=torch.float32, output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"))


@pytest.mark.parametrize("name", MODELS)
def test_the_vae_gives_back_a_held_out_picture(name):
    weights, side, floor = MODELS[name]
    vae = AutoencoderKL.from_pretrained(weights / "vae", torch_dtype=torch.float32).eval()
    pixels = torch.from_numpy(np.array(render(PICTURES["cat_meadow"], side))).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        again = vae.decode(vae.encode(pixels).latent_dist.mode()).sample.clamp(-1, 1)
    assert 10 * torch.log10(4 / (again - pixels).square().mean()) > floor


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_its_licence_and_its_files_can_be_carried(name):
    weights = MODELS[name][0]
    card = json.loads((weights / "card.json").read_text())
    assert (card["license"], card["name"], card["trained_size"]) == ("Apache-2.0", name, MODELS[name][1])
    assert all(file.stat().st_size < 16_000_000 for file in weights.rglob("*"))


@pytest.mark.thorough
def test_at_128_pixels_a_subject_becomes_another_and_the_background_stays():
    source = Scene("cat", "white", "on a beach", seed=9001)
    picture, target = render(source, 128), Scene("dog", "white", "on a beach", seed=9001)
    edit = retouch.recipe('model "storybook128"\ninvert edit_friendly "cat"->"dog" steps=12')
    made = edit(picture, caption=source.caption()).image
    pixels = torch.from_numpy(np.array(made)).permute(2, 0, 1)[None] / 255
    assert load_judge()(pixels)[0].subject == target.subject
    apart = np.abs(np.asarray(made).astype(float) - np.asarray(picture))[:40].mean()  # the sky above it
    assert apart < 6


def test_the_pixel_space_model_takes_most_noise_out_of_a_held_out_picture():
    pipeline = DDIMPipeline.from_pretrained(WEIGHTS / "pixel", torch_dtype=torch.float32)
    clean = torch.from_numpy(np.array(render(PICTURES["cat_meadow"]))).permute(2, 0, 1)[None] / 127.5 - 1
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    timestep = torch.tensor([400])
    noised = pipeline.scheduler.add_noise(clean, noise, timestep)
    with torch.no_grad():
        v = pipeline.unet(noised, timestep).sample
    alpha = pipeline.scheduler.alphas_cumprod[timestep].sqrt()
    found = alpha * noised - (1 - alpha**2).sqrt() * v
    assert (found - clean).square().mean() < 0.05 * (noised / alpha - clean).square().mean()


@pytest.mark.bench
def test_what_the_pixel_space_model_makes_of_pure_noise_has_a_setting_and_things_in_it():
    pipeline = DDIMPipeline.from_pretrained(WEIGHTS / "pixel", torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(8, torch.Generator().manual_seed(0), num_inference_steps=25, output_type="np").images
    judge, pictures = load_judge(), torch.from_numpy(made).permute(0, 3, 1, 2)
    certainty = judge.certainty(pictures)
    assert (certainty["setting"] > 0.9).sum() >= 7
    assert (certainty["subject"] > 0.9).sum() >= 4
    assert len({reading.setting for reading in judge(pictures)}) >= 4


def test_no_part_says_where_it_was_trained():
    configs = list(WEIGHTS.rglob("*.json"))
    assert configs
    assert not [path for path in configs if "_name_or_path" in path.read_text()]


def test_an_exported_config_forgets_its_folder(tmp_path):
    config = tmp_path / "config.json"
    config.write_text('{"width": 8, "_name_or_path": "/somewhere"}')
    forget_origin(tmp_path)
    assert json.loads(config.read_text()) == {"width": 8}


def test_every_caption_fits_the_tokenizer():
    tokenizer = CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer")
    longest = Scene("rabbit", "orange", "in a meadow", "glasses", "sketch").caption()
    ids = tokenizer(longest).input_ids
    assert len(ids) <= tokenizer.model_max_length
    assert tokenizer.decode(ids, skip_special_tokens=True) == longest


def test_the_card_says_what_a_user_needs():
    card = json.loads((WEIGHTS / "card.json").read_text())
    assert card["name"] == "storybook"
    assert card["license"] == "Apache-2.0"
    assert card["trained_size"] <= card["largest_side"]
    assert set(card["defaults"]) == {"steps", "guidance"}
    assert card["measured"]


def test_what_the_card_says_of_a_stage_is_an_option_that_it_has():
    stages = registry.load()
    for name, suits in catalog.find("storybook").stages.items():
        card = stages.find(*name.split())
        assert card, name
        known = {**options(card), "guidance": GUIDANCE}
        assert all(known[option].kind.takes(value) for option, value in suits.items()), name


def test_the_weights_stay_small():
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    measuring = [path for path in files if {"judge", "image_text", "pixel"} & set(path.parts)]
    assert len(measuring) >= 5
    assert sum(path.stat().st_size for path in files) < 60 * 2**20
    assert sum(path.stat().st_size for path in files if path not in measuring) < 30 * 2**20
    assert {path.suffix for path in files} <= {".json", ".safetensors"}
