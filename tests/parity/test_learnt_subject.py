"""`tune lora` and `tune dreambooth` against a plain loop over peft's own layers and torch's own Adam, in float64.

Transcribed is DreamBooth's loss (Ruiz et al. 2023, eq. 2): what the network misses of its target on the subject, and as
much of its kind, which it made itself before.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import LoraConfig
from torch import Tensor

from retouch.api import Image, NegativePrompt, NoiseSource, TrainingPictures
from retouch.core.schedule import PredictionKind
from retouch.run.checkpoints import RunCheckpoints
from retouch.run.executor import run
from retouch.testing.tiny import Draws, TinyTexts
from retouch.testing.worlds import Keeping, World, tiny_world
from retouch_methods.picture.codec import encode
from retouch_methods.tune.denoising import Practice
from retouch_methods.tune.dreambooth import dreambooth
from retouch_methods.tune.lora import lora
from retouch_methods.tune.tensors import Narrow, lora_layers

KINDS: tuple[PredictionKind, ...] = ("epsilon", "v_prediction", "flow")
STEPS, LR, PRIOR, RANK, ALPHA = 3, 1e-2, 0.5, 2, 3.0
TEXTS = TinyTexts(torch.float64, torch.device("cpu"))
NOISE = NoiseSource(4, "parity")


def pictures() -> list[Image]:
    draws = Draws(3, torch.float64)
    return [Image(draws.tensor(3, 32, 32).sigmoid()) for _ in range(2)]


def ports(world: World) -> dict[str, Any]:
    return {
        "model": world.model,
        "training": TrainingPictures(tuple(pictures())),
        "schedule": world.schedule,
        "codec": world.codec,
        "texts": TEXTS,
        "negative": world.edit.negative.of(NegativePrompt),
        "noise": NOISE,
        "log": Keeping(),
        "checkpoints": RunCheckpoints(None),
    }


def by_hand(world: World, module: Any, moved: list[Tensor], lr: float) -> None:
    """The loop, on a module of its own: what its parameters are afterwards is what was learnt."""
    kind, adam = world.model.predicts, torch.optim.Adam(moved, lr)
    subject, of_kind = (run(TEXTS.prompt(text))[0].embeds for text in ("a sks cat", "a cat"))
    clean = [each.data for each in run(*(encode(picture, world.codec) for picture in pictures()))]
    noise = list(NOISE.normal(2, clean[0]))

    def ask(x: Tensor, time: float, embeds: Tensor) -> Tensor:
        return module(x[None], torch.tensor([time]), encoder_hidden_states=embeds[None]).sample[0]

    imagined: list[Tensor] = []
    with torch.no_grad():
        for start in noise:
            x = start
            for step in world.schedule:
                out = ask(x, step.noisy.timestep, of_kind)
                a, s = step.noisy.alpha, step.noisy.sigma
                x0, eps = {
                    "epsilon": ((x - s * out) / a if a else x, out),
                    "v_prediction": (a * x - s * out, a * out + s * x),
                    "flow": (x - s * out, x + a * out),
                }[kind]
                x = step.clean.alpha * x0 + step.clean.sigma * eps
            imagined.append(x)
    practice = Practice.of(world.schedule, NOISE)
    for i in range(STEPS):
        losses = []
        for copy, (x0, embeds) in enumerate(((clean[i % 2], subject), (imagined[i % 2], of_kind))):
            level, eps = practice.at(i, x0, copy)
            a, s = level.alpha, level.sigma
            target = {"epsilon": eps, "v_prediction": a * eps - s * x0, "flow": eps - x0}[kind]
            losses.append((ask(a * x0 + s * eps, level.timestep, embeds) - target).square().mean())
        adam.zero_grad()
        (losses[0] + PRIOR * losses[1]).backward()
        adam.step()


OPTIONS: dict[str, Any] = {
    "prompt": "a sks cat",
    "class_prompt": "a cat",
    "iterations": STEPS,
    "lr": LR,
    "prior": PRIOR,
    "class_pictures": 2,
    "class_guidance": 1.0,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_lora_is_what_peft_and_torch_make_of_it(kind: PredictionKind) -> None:
    world = tiny_world(kind, steps=3, dtype=torch.float64)
    (made,) = run(lora(**ports(world), adapters=None, layers="attention", rank=RANK, alpha=ALPHA, **OPTIONS))

    names = lora_layers(world.model, "attention")
    layers = [name.removesuffix(".weight") for name in names]
    module = deepcopy(world.model.core.module)
    module.add_adapter(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=layers, init_lora_weights=False))
    begun = Narrow(world.model, names, RANK, replace(NOISE)).first()
    pairs = [
        (layer.lora_B["default"].weight, layer.lora_A["default"].weight)
        for layer in (module.get_submodule(each) for each in layers)
    ]
    with torch.no_grad():
        for (up, down), first_up, first_down in zip(pairs, begun[::2], begun[1::2], strict=True):
            up.copy_(first_up)
            down.copy_(first_down)
    by_hand(world, module.double().eval(), [each for pair in pairs for each in pair], LR)

    assert made.delta.low_rank.keys() == set(names)
    for name, (up, down) in zip(names, pairs, strict=True):
        ours = made.delta.low_rank[name]
        torch.testing.assert_close(ours[0], ALPHA / RANK * up, atol=1e-7, rtol=1e-5)
        torch.testing.assert_close(ours[1], down.detach(), atol=1e-7, rtol=1e-5)
    assert max(float(up.abs().max()) for up, _ in made.delta.low_rank.values()) > 1e-3


@pytest.mark.parametrize("weights", ["all", "attention", "cross"])
def test_weights_are_what_torch_makes_of_them(weights: str) -> None:
    world = tiny_world("epsilon", steps=3, dtype=torch.float64)
    (made,) = run(dreambooth(**ports(world), weights=weights, **OPTIONS | {"lr": 1e-4}))
    module = deepcopy(world.model.core.module)
    moved = {name: weight for name, weight in module.named_parameters() if name in made.delta.weights}
    for weight in moved.values():
        weight.requires_grad_()
    by_hand(world, module, list(moved.values()), 1e-4)
    some = {"all": "conv_in.weight", "attention": "attn1.to_q.weight", "cross": "attn2.to_q.weight"}
    assert any(name.endswith(some[weights]) for name in moved)
    assert weights == "all" or not any("conv_in" in name for name in moved)
    assert weights != "cross" or not any("attn1" in name for name in moved)
    for name, weight in moved.items():
        torch.testing.assert_close(made.delta.weights[name], weight.detach(), atol=1e-8, rtol=1e-6)
        assert (made.delta.weights[name] - world.model.core.base[name]).abs().max() > 1e-5
