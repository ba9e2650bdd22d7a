"""SINE: a model that has learnt the picture guides the model that was there before.

Zhang et al. 2023, arXiv:2212.04489, eq. 6; numbers are the authors' example for one picture.
"""

from __future__ import annotations

from typing import Annotated

from retouch.api import Denoiser, Guidance, Need, Range, SourcePrompt, stage
from retouch_methods.guide.voices import ONE_MORE, Voice, with_voice

Share = Annotated[float, Range(0, 1)]


@stage(
    "guide",
    "sine",
    paper="arXiv:2212.04489",
    facts=ONE_MORE,
    words="needed",
    needs=(
        Need(
            "networks",
            "is guidance by a tuned model, and nothing before it tunes one",
            "write tune sine, or tune weights with what it saved, before it",
        ),
    ),
)
def sine(
    guidance: Guidance,
    model: Denoiser,
    prompt: SourcePrompt,
    *,
    share: Annotated[float, Range(0, 2)] = 0.6,
    start: Share = 0.0,
    until: Share = 0.5,
) -> Guidance:
    """Let the tuned model say what the picture is and the model as it was what the prompt asks, one sum of both.

    Choose it where a tuned model alone draws nothing but its picture: what the base knows is not lost.  Guidance leads
    away from the negative prompt as the base sees it; the authors have it at 10.

    share: how much the tuned model's prediction of the source prompt counts beside the base's of the target's.
    start: fraction of the steps that are taken before it counts.
    until: fraction of the steps that are taken when it ends to; the rest is the base's alone.
    """
    return with_voice(guidance, Voice(model, prompt, share, start, until), model.untuned())
