"""A LoRA learnt here, in every family: the loader of diffusers gives what we give, and the base keeps its bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from retouch.api import Denoiser, Image, NegativePrompt, NoiseSource, TrainingPictures, lora_tensors
from retouch.run.checkpoints import RunCheckpoints
from retouch.run.executor import run
from retouch.testing.worlds import Keeping
from retouch_methods.tune.lora import lora
from tests.families.family_models import FamilyModel, far
from tests.families.pipelines import pipeline
from tests.families.test_family_schedules import its_sample, sampled


def learnt(model: FamilyModel, **options: object) -> Denoiser:
    """A LoRA of attention after three steps on one random picture, at a rate that is felt."""
    side = 8 * model.known.scale
    picture = Image(torch.rand(3, side, side, generator=torch.Generator().manual_seed(3)))
    ports = (
        model.model,
        model.machine,
        TrainingPictures((picture,)),
        model.schedule(2),
        model.codec,
        model.texts,
        model.prompt("").of(NegativePrompt),
        NoiseSource(0),
        Keeping(),
        RunCheckpoints(None),
    )
    given = {"prompt": "a sks cat", "layers": "attention", "iterations": 3, "lr": 0.02, "rank": 2, **options}
    (made,) = run(lora(*ports, **given))
    return made


@pytest.mark.filterwarnings("ignore")  # of peft's own
def test_diffusers_makes_the_same_pictures_of_what_was_learnt(model: FamilyModel, tmp_path: Path) -> None:
    """The loader of diffusers, and its pipeline's whole walk with guidance; read here again, the same bits."""
    before = {name: weight.clone() for name, weight in model.model.core.base.items()}
    made = learnt(model, alpha=1.0)
    assert all(torch.equal(weight, before[name]) for name, weight in model.model.core.base.items())
    save_file(lora_tensors(made), tmp_path / "sks.safetensors")

    level, prompt, x = model.schedule(4).steps[1].noisy, model.prompt("a sks cat"), model.latents(5)
    read = model.model.tuned(model.machine.lora(str(tmp_path / "sks.safetensors"), 1.0))
    ours, again, plain = run(*(each(x[0], level, prompt) for each in (made, read, model.model)))
    assert torch.equal(again.pair, ours.pair)
    assert far(ours.pair, plain.pair) > 1e-4

    fresh = FamilyModel(model.name, model.folder)
    pipe = pipeline(fresh)
    pipe.load_lora_weights(tmp_path, weight_name="sks.safetensors")
    theirs = its_sample(fresh, pipe, x, "a sks cat", 3, 3.0)
    vars(fresh.machine)["denoiser"] = made
    own = sampled(fresh, x[0], "a sks cat", 3, 3.0)
    assert far(own, theirs) <= 2e-5
    assert far(fresh.codec.decode(own[None]), fresh.codec.decode(theirs[None])) <= 1e-5
    assert far(sampled(model, x[0], "a sks cat", 3, 3.0), own) > 1e-3


def test_one_that_was_made_is_read_under_a_weight(model_of: Callable[[str], FamilyModel], tmp_path: Path) -> None:
    """What `scale` says while it is learnt is in the file."""
    model = model_of("stable_diffusion")
    whole, half = (lora_tensors(learnt(model, scale=scale)) for scale in (1.0, 0.5))
    assert all(torch.equal(half[name], tensor * (0.5 if "lora_B" in name else 1)) for name, tensor in whole.items())
    assert {name.rpartition(".lora_")[0].rpartition(".")[2] for name in whole} == {"to_q", "to_k", "to_v", "0"}
    cross = lora_tensors(learnt(model, layers="cross"))
    assert all(".attn2." in name for name in cross)
    assert any(".attn1." in name for name in whole)
