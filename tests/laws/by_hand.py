"""Methods written out for tests, each as short as its paper: controls, guidance, a blend; and an edit by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from retouch.api import (
    Asking,
    AttentionControl,
    AttentionMaps,
    Blend,
    Denoiser,
    Guidance,
    Level,
    Prediction,
    Prompt,
    SiteCall,
    Step,
    Touch,
    together,
)
from retouch.run.executor import run
from retouch.testing.worlds import World
from retouch_methods.invert.ddim import ddim
from retouch_methods.sample.sample import sample


def at_once(stage: Callable[..., Any]) -> Callable[..., Any]:
    """A stage that waits for nothing but numbers of its own, as a plain function."""
    return lambda *ports, **options: run(stage(*ports, **options))[0]


def p2p(*, cross: float = 0.8, self_: float = 0.4) -> AttentionControl:
    """Give the target the source's cross-attention maps, and its queries and keys of self-attention."""

    def words(attn: SiteCall) -> None:
        for source, target in attn.pairs("source", "target", role="cond"):
            attn.probs[target] = attn.probs[source]

    def layout(attn: SiteCall) -> None:
        for source, target in attn.pairs("source", "target", role="cond"):
            attn.q[target], attn.k[target] = attn.q[source], attn.k[source]

    return AttentionControl(
        (
            (Touch("cross", "replace", "probs", until=cross), words),
            (Touch("self", "replace", "qk", until=self_), layout),
        )
    )


def masactrl(*, start: float = 0.1, place="up") -> AttentionControl:
    """Let the target read the source's keys and values.  Cao et al. 2023."""

    def share(attn: SiteCall) -> None:
        for source, target in attn.pairs("source", "target"):
            attn.k[target], attn.v[target] = attn.k[source], attn.v[source]

    return AttentionControl(((Touch("self", "replace", "kv", rows="*", start=start, place=place), share),))


def pnp(*, features: float = 0.8, attention: float = 0.5) -> AttentionControl:
    """Inject the source's features, queries and keys in the decoder.  Tumanyan et al. 2023."""

    def inject(attn: SiteCall) -> None:
        for source, target in attn.pairs("source", "target"):
            attn.features[target] = attn.features[source]

    def layout(attn: SiteCall) -> None:
        for source, target in attn.pairs("source", "target"):
            attn.q[target], attn.k[target] = attn.q[source], attn.k[source]

    return AttentionControl(
        (
            (Touch("resnet", "replace", "features", rows="*", until=features, place="up"), inject),
            (Touch("self", "replace", "qk", rows="*", until=attention, place="up"), layout),
        )
    )


PERTURBED = Touch("self", "replace", "out", rows="perturbed")


def pag(scale: float = 3.0) -> Guidance:
    """Away from a row whose self-attention is the identity.  Ahn et al. 2024."""

    def identity(attn: SiteCall) -> None:
        for row in attn.rows("perturbed"):
            attn.out[row] = attn.v[row]

    perturb = AttentionControl(((PERTURBED, identity),))

    async def guide(model: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        pred = await together(
            attention=(perturb,),
            cond=model(x, level, prompt),
            perturbed=model(x, level, prompt, role="perturbed"),
        )
        return pred["perturbed"].toward(pred["cond"], 1 + scale)

    return guide


def two_models(tuned: Denoiser, *, share: float = 0.5, scale: float = 3.0) -> Guidance:
    """Two models' predictions in one guidance.  SINE, Zhang et al. 2023."""

    async def guide(model: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        pred = await together(
            uncond=model(x, level, negative, role="uncond"),
            cond=model(x, level, prompt),
            tuned=tuned(x, level, prompt),
        )
        return pred["uncond"].toward(pred["cond"].toward(pred["tuned"], share), scale)

    return guide


MAPS = Touch("cross", "read", "maps", scale=(1, 1))


def by_words(*, threshold: float = 0.97) -> Blend:
    """Keep the source where neither branch attends to its first word.  P2P's LocalBlend, without its pooling."""

    def apply(state: Tensor, source: Tensor, step: Step, maps: AttentionMaps) -> Tensor:
        heat = torch.maximum(maps.of("source")[:, 1], maps.of("target")[:, 1]).unflatten(0, state.shape[-2:])
        return torch.where(heat > threshold * heat.max(), state, source.to(state))

    return Blend(apply, MAPS)


async def edited(world: World, attend=(), blend=(), guidance=None):
    """A picture inverted and edited, in one task."""
    here = replace(world, guidance=guidance or world.guidance)
    made = await here.call(ddim, pinned="always")
    return await here.call(sample, trajectory=made, attend=attend, blend=blend)
