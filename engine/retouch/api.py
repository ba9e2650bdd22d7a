"""Everything a plugin may import.  Nothing else of retouch is promised to stay."""

from __future__ import annotations

from retouch.attention import AttentionControl, MapRows, SiteCall
from retouch.denoiser import Denoiser, ModelDelta
from retouch.hookspecs import hookimpl
from retouch.ops import Asks, Gradient, call, gather, together, value_and_grad
from retouch.optim import Adam
from retouch.plugins import stages_in
from retouch.predict import predictor, remembering, unguided
from retouch.requirement import Unmet
from retouch.rules import Ddim, DpmPlusPlus2M, Edict, Heun, Injected, Negatives, Offset, Renoise, hold
from retouch.schedule import Level, Prediction, Schedule, Step
from retouch.stage import stage
from retouch.supplies import Codec, Figures, Outbox, Pictures, Sheet, TextEncoder
from retouch.touches import Range, Site, Touch
from retouch.values import (
    Asking,
    AttentionMaps,
    Blend,
    Canvas,
    Edit,
    Guidance,
    Image,
    Latents,
    Mask,
    NegativePrompt,
    NoiseSource,
    Predict,
    Prompt,
    Rule,
    SourceImage,
    SourcePrompt,
    TargetPrompt,
    Trajectory,
)

VERSION = 1

__all__ = [
    "VERSION",
    "Adam",
    "Asking",
    "Asks",
    "AttentionControl",
    "AttentionMaps",
    "Blend",
    "Canvas",
    "Codec",
    "Ddim",
    "Denoiser",
    "DpmPlusPlus2M",
    "Edict",
    "Edit",
    "Figures",
    "Gradient",
    "Guidance",
    "Heun",
    "Image",
    "Injected",
    "Latents",
    "Level",
    "MapRows",
    "Mask",
    "ModelDelta",
    "NegativePrompt",
    "Negatives",
    "NoiseSource",
    "Offset",
    "Outbox",
    "Pictures",
    "Predict",
    "Prediction",
    "Prompt",
    "Range",
    "Renoise",
    "Rule",
    "Schedule",
    "Sheet",
    "Site",
    "SiteCall",
    "SourceImage",
    "SourcePrompt",
    "Step",
    "TargetPrompt",
    "TextEncoder",
    "Touch",
    "Trajectory",
    "Unmet",
    "call",
    "gather",
    "hold",
    "hookimpl",
    "predictor",
    "remembering",
    "stage",
    "stages_in",
    "together",
    "unguided",
    "value_and_grad",
]
