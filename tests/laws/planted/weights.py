"""Tunings that tune nothing."""

from __future__ import annotations

import torch

from retouch.api import Denoiser, ModelDelta, stage
from tests.laws.planted.faults import planted


@planted("the tuned model predicts just what the plain one does")
@stage("tune", "a")
def tunes_nothing(model: Denoiser) -> Denoiser:
    return model.tuned(ModelDelta())


@planted("the network has no parameter 'unet.attn'")
@stage("tune", "a")
def names_no_parameter(model: Denoiser) -> Denoiser:
    return model.tuned(ModelDelta(low_rank={"unet.attn": (torch.ones(2, 1), torch.ones(1, 2))}))
