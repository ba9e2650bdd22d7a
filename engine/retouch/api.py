"""Everything a plugin may import.  Nothing else of retouch is promised to stay."""

from __future__ import annotations

from retouch.core.attention import AttentionControl, MapRows, SiteCall
from retouch.core.denoiser import Denoiser, ModelDelta
from retouch.core.errors import NothingMasked, Unmet
from retouch.core.guidance import predictor, remembering, unguided
from retouch.core.ops import Asks, Gradient, call, gather, together, value_and_grad
from retouch.core.optim import Adam
from retouch.core.resampling import resized
from retouch.core.resources import Codec, Figures, Frame, Outbox, Pictures, Sheet, TextEncoder
from retouch.core.rules import Ddim, DpmPlusPlus2M, Edict, Heun, Injected, Negatives, Offset, Renoise, hold
from retouch.core.schedule import Level, Prediction, Schedule, Step
from retouch.core.touches import Range, Site, Touch
from retouch.core.values import (
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
from retouch.core.window import Rectangle, Window
from retouch.plugins.discovery import stages_in
from retouch.plugins.hooks import hookimpl
from retouch.plugins.stage import stage

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
    "Frame",
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
    "NothingMasked",
    "Offset",
    "Outbox",
    "Pictures",
    "Predict",
    "Prediction",
    "Prompt",
    "Range",
    "Rectangle",
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
    "Window",
    "call",
    "gather",
    "hold",
    "hookimpl",
    "predictor",
    "remembering",
    "resized",
    "stage",
    "stages_in",
    "together",
    "unguided",
    "value_and_grad",
]
