"""Prompt-to-Prompt's LocalBlend.  Hertz et al. 2022, arXiv:2208.01626, section 3.2 ("Local editing")."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    AttentionMaps,
    Blend,
    Denoiser,
    Edit,
    Latents,
    Range,
    SameToTheModel,
    Step,
    Touch,
    WordsOf,
    stage,
    upload,
)
from retouch_methods.attend.alignment import alignment, spelt


@stage(
    "blend",
    "local",
    paper="arXiv:2208.01626",
    reads=(Touch("cross", "read", "maps"),),
    facts={"readers": 1, "during": "(start, 1)", "unheard": "threshold == 1"},
    instead="blend latent",
)
def local(
    edit: Edit,
    latents: Latents,
    model: Denoiser,
    *,
    words: tuple[Annotated[str, WordsOf("either")], ...] = (),
    keep: tuple[Annotated[str, WordsOf("either")], ...] = (),
    threshold: Annotated[float, Range(0, 1)] = 0.3,
    start: Annotated[float, Range(0, 1)] = 0.2,
    side: Annotated[int, Range(1, 1024, "tokens")] = 16,
) -> Blend:
    """Keep the source wherever neither branch attends to the words that change, while the edit takes shape.

    Choose it with `attend p2p`, which says where words look: the mask follows the edit from step to step, so that a
    new shape has room that no mask found beforehand would give it.  Maps are blurred; a thing that touches its
    surroundings takes some of them along.

    words: words of either prompt that are edited; none means those that the edit changes.
    keep: words of either prompt that are not edited even where the others are.
    threshold: fraction of a map's maximum above which a cell is edited; 0 edits all, 1 nothing.
    start: fraction of the steps that are taken before the first blend, while maps say little; 0 blends from the first.
    side: tokens on a side of the attention maps that are read, of those that the network has the nearest.
    """
    places = _named(words, edit) if words else _changed(edit)
    if not any(places.values()):
        raise SameToTheModel(", word by word, so that all would be kept", "name the words that are edited: words=[…]")
    changing, kept = _marked(edit, places), _marked(edit, _named(keep, edit))
    scale = _scale(model, latents, side)
    size = latents.data.shape[-2:]

    def area(maps: AttentionMaps, chosen: dict[str, Tensor], grow: int) -> Tensor:
        """Where either branch attends to its words.  [h, w], bool"""
        either = torch.zeros(size, dtype=torch.bool, device=latents.data.device)
        for branch, tokens in chosen.items():
            seen = maps.of(branch)  # [queries, keys]
            # The words' share of each query, laid out as the picture: [1, 1, h / scale, w / scale], then [h, w].
            heat = (seen @ tokens.to(seen)).unflatten(0, (size[0] // scale, size[1] // scale))[None, None]
            heat = F.interpolate(F.max_pool2d(heat, 2 * grow + 1, 1, grow), size=size)[0, 0]
            either = either | (heat > threshold * heat.max())
        return either

    def apply(state: Tensor, source: Tensor, step: Step, maps: AttentionMaps) -> Tensor:
        # [h, w], against states [k, C, h, w]
        edited = area(maps, changing, grow=1) & ~area(maps, kept, grow=0)
        return torch.where(edited, state, source.to(state))

    return Blend(apply, Touch("cross", "read", "maps", scale=(scale, scale)), start=start)


def _named(words: tuple[str, ...], edit: Edit) -> dict[str, list[int]]:
    """The tokens of each branch's prompt that spell these words."""
    prompts = {"source": edit.source, "target": edit.target}
    for word in words:
        if not any(prompt.positions(word) for prompt in prompts.values()):
            raise ValueError(f"the model reads no '{word}' in '{edit.source.text}' and '{edit.target.text}'")
    return {branch: [at for word in words for at in prompt.positions(word)] for branch, prompt in prompts.items()}


def _changed(edit: Edit) -> dict[str, list[int]]:
    """The tokens that only one of the prompts has, and those whose weight changes."""
    matrix, aligned = alignment(edit.source, edit.target, "refine")
    gone = [i for i in spelt(edit.source) if not matrix[i].any()]
    new = [i for i in spelt(edit.target) if not aligned[i]]
    new += [i for weighed, _ in edit.weights for i in edit.target.positions(weighed)]
    return {"source": gone, "target": new}


def _marked(edit: Edit, places: dict[str, list[int]]) -> dict[str, Tensor]:
    """These tokens of each branch's prompt.  Each [tokens], 1 or 0"""
    marked: dict[str, Tensor] = {}
    for branch, prompt in (("source", edit.source), ("target", edit.target)):
        ones = torch.zeros(len(prompt.spans))
        ones[places[branch]] = 1
        marked[branch] = upload(ones, prompt.embeds.device)
    return marked


def _scale(model: Denoiser, latents: Latents, side: int) -> int:
    """Of the cells per token that the network attends to words at, those whose maps have about this side."""
    scales = {site.scale for site in model.core.sites if site.kind == "cross"}
    return min(scales, key=lambda scale: (abs(math.log(min(latents.data.shape[-2:]) / scale / side)), scale))
