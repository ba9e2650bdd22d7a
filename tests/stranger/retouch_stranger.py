"""DDPM inversion by independent noise.  Huberman-Spiegelglas et al. 2023, arXiv:2304.06140, alg. 1."""

import torch

from retouch import api
from retouch.api import Ddim, hold, hookimpl, predictor, stage


@stage(
    "invert", "independent", paper="arXiv:2304.06140", rows="guide * steps", facts={"evaluations": 1, "pinned": True}
)
async def independent(
    latents: api.Latents,
    prompt: api.SourcePrompt,
    negative: api.NegativePrompt,
    model: api.Denoiser,
    schedule: api.Schedule,
    guidance: api.Guidance,
    noise: api.NoiseSource,
) -> api.Trajectory:
    """Noise every level independently; what the DDPM step then misses is the recorded noise."""
    rule, draws = Ddim(eta=1.0), noise.normal(len(schedule), latents.data)
    noised = [step.noisy.mix(latents.data, draw) for step, draw in zip(schedule, draws, strict=True)]
    states = torch.stack([rule.begin(x) for x in (*noised, latents.data)])
    held = await hold(rule, states, schedule, predictor(guidance, model, prompt, negative))
    return api.Trajectory(schedule, states, held, pinned=True)


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [independent]
