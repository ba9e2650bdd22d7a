"""What a family of models is, for plugins that add one.  Loads no torch: recipes are checked with it.

`retouch.api.kit` has what their `load` is made of.
"""

from __future__ import annotations

from retouch.core.declared.touches import Site, with_depth
from retouch.models.errors import BrokenModel
from retouch.models.family import (
    Ask,
    Described,
    Loaded,
    Loading,
    ModelFamily,
    Names,
    Net,
    Read,
    Rows,
    Spans,
    WorkingMemory,
)
from retouch.models.kit.agreement import known_flow, same_channels, same_width, wants_no_more
from retouch.models.kit.levels import NoiseLevels, noise_levels
from retouch.models.kit.templates import qwen_chat
from retouch.models.kit.transformers import flow_schedule, joint_sites
from retouch.models.kit.unet2d_sites import unet2d_sites
from retouch.models.kit.unet_sites import attention_sites as unet_sites
from retouch.models.kit.unet_sites import levels_of as unet_levels
from retouch.models.kit.working_memory import token_memory, unet_memory, vae_memory
from retouch.models.prompts.tokens import PromptReading

__all__ = [
    "Ask",
    "BrokenModel",
    "Described",
    "Loaded",
    "Loading",
    "ModelFamily",
    "Names",
    "Net",
    "NoiseLevels",
    "PromptReading",
    "Read",
    "Rows",
    "Site",
    "Spans",
    "WorkingMemory",
    "flow_schedule",
    "joint_sites",
    "known_flow",
    "noise_levels",
    "qwen_chat",
    "same_channels",
    "same_width",
    "token_memory",
    "unet2d_sites",
    "unet_levels",
    "unet_memory",
    "unet_sites",
    "vae_memory",
    "wants_no_more",
    "with_depth",
]
