"""A random Stable Diffusion as pipelines of diffusers take it, and the ports of a stage made of the same parts."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler

from retouch.core.denoiser import Denoiser
from retouch.core.values import Canvas, Edit, Latents, Prompt
from retouch.models.kit.unet import UNet
from retouch.models.kit.unet_sites import attention_sites
from retouch.models.network.core import NetworkCore
from retouch.testing.tiny import Draws, schedule
from retouch.testing.worlds import World
from tests.models.tiny_folder import pipeline


def tiny_pipeline_world(pipe, steps, source, target) -> World:
    """The ports of a stage, made of a pipeline's own parts."""
    core = NetworkCore(UNet(pipe.unet), pipe.scheduler.config.prediction_type, attention_sites(pipe.unet.config))

    def prompt(text):
        ids = pipe.tokenizer(text, padding="max_length", max_length=24, truncation=True, return_tensors="pt").input_ids
        with torch.no_grad():
            return Prompt(text, pipe.text_encoder(ids)[0][0])

    latents = Latents(Draws(0).tensor(4, 8, 8), Canvas(32, 32, 4))
    return World(Denoiser(core), latents, Edit(prompt(source), prompt(target), prompt("")), schedule(steps))


class Scheduler(DDIMScheduler):
    """LEDITS++ tells timesteps as floats, which this scheduler does not take."""

    def add_noise(self, original_samples, noise, timesteps):
        return super().add_noise(original_samples, noise, timesteps.long())


def tiny_pipeline(kind="epsilon"):
    """A random Stable Diffusion whose schedule is that of `retouch.testing.tiny`."""
    pipe = pipeline(prediction=kind)
    pipe.scheduler = Scheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=kind,
        steps_offset=1,
        set_alpha_to_one=False,
        clip_sample=False,
    )
    return pipe
