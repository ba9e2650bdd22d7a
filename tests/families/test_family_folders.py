"""Folders as people have them: configs that do not belong together, and other spellings of those that do."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retouch.models.catalog import BrokenModel, find
from tests.families.family_models import FamilyModel, far

WRONG: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "inpainting xl": ("sdxl", "unet/config.json", {"in_channels": 9}, "takes 9 channels .* not text-to-image models"),
    "another width": ("sdxl", "unet/config.json", {"cross_attention_dim": 32}, "of width 32, .* writes width 64"),
    "sizes untold": ("sdxl", "unet/config.json", {"addition_embed_type": "text"}, "is told 'text' of a text"),
    "pooled xl": ("sdxl", "text_encoder_2/config.json", {"projection_dim": 16}, "a pooled text of width 32, .* 16"),
    "t5": ("sd3", "text_encoder_3/config.json", {"d_model": 64}, "text of width 96, .* writes width 64"),
    "pooled sd3": ("sd3", "transformer/config.json", {"pooled_projection_dim": 32}, "a pooled text of width 32, .* 64"),
    "vae of 16": ("sd3", "vae/config.json", {"latent_channels": 16}, "takes 4 channels and gives 4, a latent has 16"),
    "fill": ("flux_dev", "transformer/config.json", {"in_channels": 96, "out_channels": 16}, "takes 24 .* gives 4"),
    "patches": ("flux_dev", "transformer/config.json", {"patch_size": 2}, "into patches of 2"),
    "pooled flux": ("flux_dev", "text_encoder/config.json", {"hidden_size": 16}, "a pooled text of width 32, .* 16"),
    "dev": ("flux2_klein", "transformer/config.json", {"guidance_embeds": True}, "told a guidance, and"),
    "qwen3": ("flux2_klein", "text_encoder/config.json", {"hidden_size": 64}, "text of width 96, .* writes width 192"),
    "layered": ("qwen_image", "transformer/config.json", {"use_layer3d_rope": True}, "wants more than a text"),
    "edit plus": ("qwen_image", "transformer/config.json", {"zero_cond_t": True}, r"more than a text \(zero_cond_t"),
    "means": ("qwen_image", "vae/config.json", {"latents_mean": [0.0]}, "latents of 4 channels, and 1 of latents_mean"),
    "frames": ("z_image", "transformer/config.json", {"all_f_patch_size": [2]}, "cuts videos into patches"),
    "caption": ("z_image", "transformer/config.json", {"cap_feat_dim": 64}, "text of width 64, .* writes width 32"),
    "karras": ("flux_dev", "scheduler/scheduler_config.json", {"use_karras_sigmas": True}, "use_karras_sigmas makes"),
    "heun": ("sd3", "scheduler/scheduler_config.json", {"_class_name": "HeunScheduler"}, "its scheduler is 'HeunSch"),
    "a flow unet": ("sdxl", "scheduler/scheduler_config.json", {"prediction_type": "sample"}, "it predicts 'sample'"),
    "lacking": ("z_image", "transformer/config.json", {"dim": None, "n_layers": None}, "lacks or misstates"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_configs_that_do_not_belong_together_are_refused_in_words(
    case: str, folder_of: Callable[[str], Path], tmp_path: Path
):
    """Before anything loads, by the name of the folder and the two numbers that disagree."""
    family, file, change, words = WRONG[case]
    folder = shutil.copytree(folder_of(family), tmp_path / "tiny", copy_function=os.link)
    changed(folder / file, change)
    with pytest.raises(BrokenModel, match=words) as caught:
        find(str(folder))
    assert str(folder) in str(caught.value)


def changed(path: Path, change: dict[str, Any]) -> None:
    """Write a config anew with these options; None leaves one out."""
    config = json.loads(path.read_text()) | change
    path.unlink()
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))


def test_older_spellings_of_a_text_encoder_are_the_same_model(model_of: Callable[[str], FamilyModel], tmp_path: Path):
    """Rotary options that stand alone, as before transformers 5, for both language models."""
    for name in ("qwen_image", "flux2_klein", "z_image"):
        model = model_of(name)
        folder = shutil.copytree(model.folder, tmp_path / name)
        config = json.loads((folder / "text_encoder/config.json").read_text())
        inner = config.get("text_config", config)
        rope = inner.pop("rope_parameters")
        inner["rope_theta"] = rope.pop("rope_theta")
        inner["rope_scaling"] = {"type": "default", **rope} if name == "qwen_image" else None
        inner.pop("layer_types", None)
        (folder / "text_encoder/config.json").write_text(json.dumps(config))
        old = FamilyModel(name, folder)
        assert far(old.prompt("a white cat").embeds, model.prompt("a white cat").embeds) == 0


def test_a_flat_config_of_qwen_vl_is_the_same_model(model_of: Callable[[str], FamilyModel], tmp_path: Path):
    """The options of its language model beside those of its eyes, as first published."""
    model = model_of("qwen_image")
    folder = shutil.copytree(model.folder, tmp_path / "flat")
    config = json.loads((folder / "text_encoder/config.json").read_text())
    inner = config.pop("text_config")
    config |= {name: value for name, value in inner.items() if name != "model_type"}
    (folder / "text_encoder/config.json").write_text(json.dumps(config))
    flat = FamilyModel("qwen_image", folder)
    assert far(flat.prompt("a white cat").embeds, model.prompt("a white cat").embeds) == 0


def test_a_network_may_state_what_its_class_never_read(model_of: Callable[[str], FamilyModel], tmp_path: Path):
    """Qwen-Image's published config has the width of a pooled text, which it does not read."""
    folder = shutil.copytree(model_of("qwen_image").folder, tmp_path / "published")
    changed(folder / "transformer/config.json", {"pooled_projection_dim": 768})
    assert FamilyModel("qwen_image", folder).module


@pytest.mark.parametrize("part", ["tokenizer", "tokenizer_2"])
def test_a_folder_without_a_vocabulary_is_refused(part: str, folder_of: Callable[[str], Path], tmp_path: Path):
    """Each of a family's tokenizers is looked for before anything loads."""
    folder = shutil.copytree(folder_of("flux_dev"), tmp_path / "tiny")
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        (folder / part / name).unlink(missing_ok=True)
    with pytest.raises(BrokenModel, match=f"neither {part}/tokenizer.json"):
        find(str(folder))
