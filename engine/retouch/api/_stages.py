"""What stages are made of: the names of `retouch.api`, which loads them when the first is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from retouch.core.attention import AttentionControl, MapRows, SiteCall
from retouch.core.awaited.combinators import Gradient, call, gather, on_host, together, value_and_grad
from retouch.core.awaited.requests import Asks
from retouch.core.awaited.resources import (
    Adapters,
    Checkpoint,
    Checkpoints,
    Codec,
    Figures,
    Folder,
    Frame,
    Notices,
    Outbox,
    Pictures,
    Pretrained,
    Sheet,
    TensorFiles,
    TextEncoder,
    TrainingLog,
    TunableCodec,
    TunedWeights,
    Weights,
)
from retouch.core.declared.demands import Moot, Need, WordsOf
from retouch.core.declared.endings import Ending
from retouch.core.declared.storable import storable
from retouch.core.declared.touches import Pattern, Range, Site, Touch
from retouch.core.denoiser import Denoiser
from retouch.core.device.ordered import bilinear, reflected
from retouch.core.device.transfer import upload, upload_numbers
from retouch.core.errors import Diverged, NothingLifted, NothingMasked, NothingOpaque, SameToTheModel, Unmet
from retouch.core.eyes import ImageText, Perceptual, VisionTokens
from retouch.core.gradient_guidance import GradientGuidance, Loss, Predicted, Restart, leading, with_loss
from retouch.core.guidance import predictor, remembering, unguided
from retouch.core.large.resampling import resized
from retouch.core.large.stored import box_mask
from retouch.core.large.window import Window
from retouch.core.large.windowed import mixed, seen_through
from retouch.core.levels import KnownLevels
from retouch.core.looking import (
    copies,
    cosine_apart,
    direction_apart,
    inside,
    looked_at,
    places_apart,
    text_apart,
    text_direction,
)
from retouch.core.panes import Windows
from retouch.core.recorded import Injected, Negatives, Offset, Renoise, hold, walked_by
from retouch.core.rectangle import Rectangle
from retouch.core.schedule import Level, Prediction, Schedule, Step
from retouch.core.solvers import Ddim, DpmPlusPlus2M, Fresh, Heun
from retouch.core.tiling import tile_grid, tile_ramp
from retouch.core.tuned.embedding_file import word_tensors
from retouch.core.tuned.lora_file import lora_tensors
from retouch.core.tuned.mixing import MixedDenoiser
from retouch.core.tuned.optim import Adam, masters, step_all
from retouch.core.tuned.weights_file import safetensors_file, tuned_tensors
from retouch.core.tuning import LearntWords, ModelDelta, Patch
from retouch.core.turn import Candidates, Ranked, Turn, Turned
from retouch.core.values import (
    AttentionMaps,
    Canvas,
    Edit,
    Image,
    Latents,
    Mask,
    NegativePrompt,
    NoiseSource,
    Prompt,
    SourceImage,
    SourceLatents,
    SourcePrompt,
    TargetPrompt,
    TrainingPictures,
)
from retouch.core.walk import Asking, Blend, Guidance, Predict, Rule, Trajectory
from retouch.plugins.discovery import stages_in
from retouch.plugins.hooks import hookimpl
from retouch.plugins.stage import stage

Edict: type[Any]
_IN_METHODS = {"Edict": "invert.edict"}  # names that have moved into our methods, and the module there; kept until 1.0

VERSION = 1

__all__ = [
    "VERSION",
    "Adam",
    "Adapters",
    "Asking",
    "Asks",
    "AttentionControl",
    "AttentionMaps",
    "Blend",
    "Candidates",
    "Canvas",
    "Checkpoint",
    "Checkpoints",
    "Codec",
    "Ddim",
    "Denoiser",
    "Diverged",
    "DpmPlusPlus2M",
    "Edict",
    "Edit",
    "Ending",
    "Figures",
    "Folder",
    "Frame",
    "Fresh",
    "Gradient",
    "GradientGuidance",
    "Guidance",
    "Heun",
    "Image",
    "ImageText",
    "Injected",
    "KnownLevels",
    "Latents",
    "LearntWords",
    "Level",
    "Loss",
    "MapRows",
    "Mask",
    "MixedDenoiser",
    "ModelDelta",
    "Moot",
    "Need",
    "NegativePrompt",
    "Negatives",
    "NoiseSource",
    "NothingLifted",
    "NothingMasked",
    "NothingOpaque",
    "Notices",
    "Offset",
    "Outbox",
    "Patch",
    "Pattern",
    "Perceptual",
    "Pictures",
    "Predict",
    "Predicted",
    "Prediction",
    "Pretrained",
    "Prompt",
    "Range",
    "Ranked",
    "Rectangle",
    "Renoise",
    "Restart",
    "Rule",
    "SameToTheModel",
    "Schedule",
    "Sheet",
    "Site",
    "SiteCall",
    "SourceImage",
    "SourceLatents",
    "SourcePrompt",
    "Step",
    "TargetPrompt",
    "TensorFiles",
    "TextEncoder",
    "Touch",
    "TrainingLog",
    "TrainingPictures",
    "Trajectory",
    "TunableCodec",
    "TunedWeights",
    "Turn",
    "Turned",
    "Unmet",
    "VisionTokens",
    "Weights",
    "Window",
    "Windows",
    "WordsOf",
    "bilinear",
    "box_mask",
    "call",
    "copies",
    "cosine_apart",
    "direction_apart",
    "gather",
    "hold",
    "hookimpl",
    "inside",
    "leading",
    "looked_at",
    "lora_tensors",
    "masters",
    "mixed",
    "on_host",
    "places_apart",
    "predictor",
    "reflected",
    "remembering",
    "resized",
    "safetensors_file",
    "seen_through",
    "stage",
    "stages_in",
    "step_all",
    "storable",
    "text_apart",
    "text_direction",
    "tile_grid",
    "tile_ramp",
    "together",
    "tuned_tensors",
    "unguided",
    "upload",
    "upload_numbers",
    "value_and_grad",
    "walked_by",
    "with_loss",
    "word_tensors",
]


def __getattr__(name: str) -> Any:
    """Load what has moved into a plugin only where it is asked for."""
    if name not in _IN_METHODS:
        raise AttributeError(f"module 'retouch.api' has no attribute '{name}'")
    return getattr(import_module(f"retouch_methods.{_IN_METHODS[name]}"), name)
