"""LEDITS++ against the pipeline that diffusers ships: what its scheduler is given at every step of a live run."""

from __future__ import annotations

import re
import warnings

import pytest
import torch

from retouch.core.denoiser import Denoiser
from retouch.core.schedule import Schedule
from retouch.core.values import Edit, Prompt
from retouch.models.kit.unet import UNet
from retouch.models.kit.unet_sites import attention_sites
from retouch.models.network.core import NetworkCore
from retouch.run.executor import run
from retouch_methods.guide.semantic import semantic
from tests.models.tiny_folder import pipeline, unet

STEPS, CELLS = 5, 16
WIDTHS = (32, 32, 32, 32)
SHAPE = {
    "sample_size": CELLS,
    "block_out_channels": WIDTHS,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}


class Texts:
    """The pipeline's own text encoder."""

    def __init__(self, pipe) -> None:
        self.pipe = pipe

    async def prompt(self, text: str) -> Prompt:
        length = self.pipe.tokenizer.model_max_length
        ids = self.pipe.tokenizer(text, padding="max_length", max_length=length, return_tensors="pt").input_ids
        with torch.no_grad():
            embeds = self.pipe.text_encoder(ids)[0][0]
        spans = [(0, 0), *(match.span() for match in re.finditer(r"\S", text))]
        return Prompt(text, embeds, tuple(spans + [(0, 0)] * (length - len(spans))))


@pytest.fixture(scope="module")
def live():
    """A pipeline whose scheduler writes down (timestep, latents, noise prediction) of each step."""
    from diffusers import DDIMScheduler, LEditsPPPipelineStableDiffusion

    class Recording(DDIMScheduler):
        def step(self, model_output, timestep, sample, eta=0.0, variance_noise=None):
            self.seen.append((int(timestep), sample[0].clone(), model_output[0].clone()))
            return super().step(model_output, timestep, sample, eta, variance_noise=variance_noise)

    parts = pipeline(prediction="epsilon")
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = unet(**SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LEditsPPPipelineStableDiffusion(
            vae=parts.vae,
            text_encoder=parts.text_encoder,
            tokenizer=parts.tokenizer,
            unet=network.eval(),
            scheduler=Recording.from_config(parts.scheduler.config),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )


def ran(pipe, **options):
    """What the scheduler saw, from noise that no picture gave."""
    draws = torch.Generator().manual_seed(4)
    pipe.scheduler.seen = []
    pipe.scheduler.set_timesteps(STEPS)
    pipe.inversion_steps, pipe.batch_size, pipe.eta = pipe.scheduler.timesteps, 1, 1.0
    pipe.init_latents = torch.randn(1, 4, CELLS, CELLS, generator=draws)
    pipe.zs = torch.randn(STEPS, 1, 4, CELLS, CELLS, generator=draws)
    pipe.set_progress_bar_config(disable=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe(output_type="latent", **options)
    return pipe.scheduler.seen


def word_tokens(pipe, monkeypatch) -> None:
    """Count the words of each concept: newer tokenizers report the padded length, which the pipeline takes for it."""
    encode = pipe.encode_prompt

    def counted(**given):
        concepts, empty, _ = encode(**given)
        return concepts, empty, [len(text.replace(" ", "")) for text in given["editing_prompt"]]

    monkeypatch.setattr(pipe, "encode_prompt", counted)


@pytest.mark.parametrize(
    ("mask", "theirs"),
    [
        ("both", {}),
        ("attention", {"use_cross_attn_mask": True, "use_intersect_mask": False}),
        ("noise", {"use_intersect_mask": False}),
    ],
)
def test_each_prediction_is_the_live_pipelines(live, monkeypatch, mask, theirs):
    word_tokens(live, monkeypatch)
    seen = ran(
        live,
        editing_prompt=["a hat", "snow"],
        reverse_editing_direction=[False, True],
        edit_guidance_scale=4.0,
        edit_threshold=0.8,
        **theirs,
    )
    config = dict(live.unet.config)
    network = unet(**SHAPE)
    network.load_state_dict(live.unet.state_dict())
    model = Denoiser(NetworkCore(UNet(network), "epsilon", attention_sites(config)))
    schedule = Schedule.ddim(live.scheduler.alphas_cumprod.double().tolist(), STEPS, to_one=True)
    texts = Texts(live)
    source, target, empty = run(*map(texts.prompt, ("a cat", "a dog", "")))
    options = {"guidance": 4.0, "add": ("a hat",), "remove": ("snow",), "quantile": 0.8, "mask": mask}
    (guide,) = run(semantic(Edit(source, target, empty), texts, **options))
    assert [t for t, _, _ in seen] == [step.noisy.timestep for step in schedule]
    assert seen[0][0] > 800 > seen[-1][0], "the mask of noise begins on the way"
    for step, (_, x, wanted) in zip(schedule, seen, strict=True):
        (found,) = run(guide(model, x, step.noisy, target, empty))
        scale = float(wanted.abs().max())
        torch.testing.assert_close(found.eps, wanted, rtol=0, atol=1e-5 * scale, msg=f"step {step.index}")
