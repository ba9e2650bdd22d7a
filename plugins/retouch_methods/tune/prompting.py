"""Prompts that name what a tuning has learnt.

Kawar et al. 2023 (Imagic), arXiv:2210.09276, eq. 3: between two embeddings; Valevski et al. 2023 (UniTune),
arXiv:2210.09477: a token that no language has, before the prompt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch

from retouch.api import Denoiser, Edit, LearntWords, Prompt, Range, TextEncoder, gather, stage
from retouch_methods.lengths import as_long


@stage("tune", "prompts", paper="arXiv:2210.09276")
async def prompts(
    model: Denoiser, edit: Edit, encoder: TextEncoder, *, alpha: Annotated[float, Range(-4, 4)] = 0.8
) -> Edit:
    """Let the source be what was learnt of the picture, and the target lie between that and its own prompt.

    Behind `tune unitune` both prompts begin with its token instead.  It is put in behind either, with the `alpha` of
    the command line or of the model; write it to sweep that.

    alpha: how far from the learnt embedding, 0, towards the target prompt's, 1, and beyond; the paper finds 0.6 to 0.8.
    """
    words = model.delta.words or LearntWords()
    source, target = edit.source, edit.target
    if words.token:
        said = (f"{words.token} {each.text}".strip() for each in (source, target))
        source, target = await gather(encoder.prompt(text) for text in said)
    if words.embeds is not None:
        target, learnt = between(words.embeds, target.embeds, alpha)
        # Both are near the target prompt, token by token: its words can be named.
        source, target = (replace(edit.target.of(Prompt), embeds=each) for each in (learnt, target))
    return Edit(source, target, edit.negative, edit.weights, edit.texts)


def between(learnt: torch.Tensor, wanted: torch.Tensor, alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The embedding at `alpha` of the way, and the learnt one, both as long as the longer.  [tokens, dim] each

    Where a prompt is shorter than what was learnt, its last token goes on.
    """
    learnt, to = as_long(learnt.float(), wanted.float())
    return torch.lerp(learnt, to, alpha).to(wanted.dtype), learnt.to(wanted.dtype)
