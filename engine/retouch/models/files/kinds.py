"""Kinds of weight files, told by names and shapes of tensors: one table, first match wins.

The names are those of the files' makers: facts of the formats, which neither torch nor diffusers is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from retouch.models.files.headers import Stored

# What people call the families, wherever one is named.
TITLES = {
    "sd1": "Stable Diffusion 1",
    "sd2": "Stable Diffusion 2",
    "sdxl": "Stable Diffusion XL",
    "sd3": "Stable Diffusion 3",
    "flux": "FLUX.1",
    "flux2": "FLUX.2",
    "qwen-image": "Qwen-Image",
    "z-image": "Z-Image",
}
Role = Literal["model", "network", "lora", "vae", "text encoder", "controlnet", "embedding", "upscaler"]


class Clue(NamedTuple):
    """A tensor that must be there: a pattern of its whole name, and what one of its sides must be."""

    name: str
    axis: int | None = None
    sizes: tuple[int, ...] = ()

    def holds(self, tensors: Mapping[str, Stored]) -> bool:
        """Whether one of these tensors fits."""
        pattern = _compiled(self.name)
        return any(self._fits(stored) for name, stored in tensors.items() if pattern.fullmatch(name))

    def _fits(self, stored: Stored) -> bool:
        if self.axis is None:
            return True
        sides = stored.shape
        return -len(sides) <= self.axis < len(sides) and sides[self.axis] in self.sizes


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@dataclass(frozen=True, slots=True)
class WeightsKind:
    """One row: what it is, and the clues that all must hold."""

    role: Role
    family: str  # "sd1", "sdxl", …; "" where any
    title: str
    clues: tuple[Clue, ...]
    format: str = ""  # whose names its tensors have: "ldm", "diffusers", "kohya", …
    notes: tuple[str, ...] = ()
    version: str = ""

    @property
    def configs(self) -> str:
        """Under which name configs ship for a file of this kind."""
        return self.version or self.family


_LDM = r"(?:model\.diffusion_model\.)?"
_ADD = r"(?:unet\.|transformer\.|diffusion_model\.|base_model\.model\.|lora_unet_|lora_transformer_|lycoris_)?"
_SD2_NOTE = "a file of Stable Diffusion 2 does not say whether it predicts noise or velocity"


def _ldm(
    role: Role, family: str, title: str, *clues: Clue, notes: tuple[str, ...] = (), version: str = ""
) -> WeightsKind:
    return WeightsKind(role, family, title, clues, "ldm", notes, version)


def _diffusers(role: Role, family: str, title: str, *clues: Clue) -> WeightsKind:
    return WeightsKind(role, family, title, clues, "diffusers")


_LDM_ATTN2 = _LDM + r"input_blocks\.[24]\.1\.transformer_blocks\.0\.attn2\.to_k\.weight"
_LDM_IN = _LDM + r"input_blocks\.0\.0\.weight"
_ATTN2 = r"down_blocks\.[01]\.attentions\.0\.transformer_blocks\.0\.attn2\.to_k\.weight"
_VAE_IN = r"(?:first_stage_model\.|vae\.)?decoder\.conv_in\.weight"
_VAE_UP = Clue(r".*decoder\.up(?:_blocks)?\.0\..*")
_FLUX = Clue(_LDM + r"double_blocks\.0\.img_attn\.qkv\.weight")


_GUIDED = Clue(r"middle_block\.1\.qkv\.weight")
_GUIDED_IN = r"input_blocks\.0\.0\.weight"
_CLASSES = Clue(r"label_emb\.weight", 0, (1000,))


def _guided(version: str, title: str, *clues: Clue) -> WeightsKind:
    """Of Dhariwal & Nichol's networks: their width, the last of their blocks, and whether they are told a class."""
    return WeightsKind("network", "guided-diffusion", title, (_GUIDED, *clues), "guided-diffusion", version=version)


def _deepest(block: int) -> Clue:
    return Clue(rf"input_blocks\.{block}\.0\.in_layers\.2\.weight")


def _upscaler(family: str, title: str, *clues: Clue) -> WeightsKind:
    return WeightsKind("upscaler", family, f"an upscaler ({title})", clues, family)


def _embedding(family: str, clue: Clue) -> WeightsKind:
    title = f"an embedding (textual inversion) for {TITLES[family]}"
    return WeightsKind("embedding", family, title, (clue,), "kohya")


MODELS = (
    _ldm("controlnet", "", "a ControlNet", Clue(r"control_model\.time_embed\.0\.weight")),
    _diffusers("controlnet", "", "a ControlNet", Clue(r"controlnet_cond_embedding\.conv_in\.weight")),
    _ldm("model", "sdxl-refiner", "the refiner of Stable Diffusion XL", Clue(_LDM_ATTN2, 1, (1280,))),
    _ldm(
        "model",
        "sdxl-inpaint",
        "Stable Diffusion XL for inpainting",
        Clue(_LDM_ATTN2, 1, (2048,)),
        Clue(_LDM_IN, 1, (9,)),
    ),
    _ldm("model", "sdxl", TITLES["sdxl"], Clue(_LDM_ATTN2, 1, (2048,))),
    _ldm("model", "sd-inpaint", "Stable Diffusion for inpainting", Clue(_LDM_IN, 1, (9,))),
    _ldm("model", "sd-upscale", "the latent upscaler of Stable Diffusion", Clue(_LDM_IN, 1, (7,))),
    _ldm("model", "instruct-pix2pix", "InstructPix2Pix", Clue(_LDM_IN, 1, (8,))),
    _ldm("model", "sd2", TITLES["sd2"], Clue(_LDM_ATTN2, 1, (1024,)), notes=(_SD2_NOTE,)),
    _ldm("model", "sd1", TITLES["sd1"], Clue(_LDM_ATTN2, 1, (768,))),
    _ldm(
        "model",
        "sd3",
        "Stable Diffusion 3.5 large",
        Clue(_LDM + r"joint_blocks\.37\.x_block\.attn\.qkv\.weight"),
        version="sd3.5-large",
    ),
    _ldm(
        "model",
        "sd3",
        "Stable Diffusion 3.5 medium",
        Clue(_LDM + r"joint_blocks\.0\.x_block\.attn2\.qkv\.weight"),
        version="sd3.5-medium",
    ),
    _ldm(
        "model",
        "sd3",
        "Stable Diffusion 3 medium",
        Clue(_LDM + r"joint_blocks\.0\.x_block\.attn\.qkv\.weight"),
        version="sd3-medium",
    ),
    _ldm("model", "flux2", TITLES["flux2"], Clue(_LDM + r"double_stream_modulation_img\.lin\.weight")),
    _ldm("model", "flux-fill", "FLUX.1 Fill", _FLUX, Clue(_LDM + r"img_in\.weight", 1, (384,))),
    _ldm("model", "flux-control", "FLUX.1 with a control picture", _FLUX, Clue(_LDM + r"img_in\.weight", 1, (128,))),
    _ldm("model", "flux-dev", "FLUX.1 dev", _FLUX, Clue(_LDM + r"guidance_in\.in_layer\.weight")),
    _ldm("model", "flux-schnell", "FLUX.1 schnell", _FLUX),
    _ldm(
        "network",
        "qwen-image",
        "the network of " + TITLES["qwen-image"],
        Clue(_LDM + r"transformer_blocks\.0\.img_mlp\.net\.0\.proj\.weight"),
        Clue(_LDM + r"txt_norm\.weight"),
    ),
    _ldm(
        "network",
        "z-image",
        "the network of " + TITLES["z-image"],
        Clue(_LDM + r"noise_refiner\.0\.attention\.(?:qkv|to_q)\.weight"),
        Clue(_LDM + r"cap_embedder\.1\.weight"),
    ),
    _guided(
        "guided-512-classes",
        "the guided-diffusion network of 512 pixels with classes",
        Clue(_GUIDED_IN, 0, (128,)),
        _deepest(20),
        _CLASSES,
    ),
    _guided("guided-512", "the guided-diffusion network of 512 pixels", Clue(_GUIDED_IN, 0, (128,)), _deepest(20)),
    _guided(
        "guided-256-classes",
        "the guided-diffusion network of 256 pixels with classes",
        Clue(_GUIDED_IN, 0, (256,)),
        _deepest(17),
        _CLASSES,
    ),
    _guided("guided-256", "the guided-diffusion network of 256 pixels", Clue(_GUIDED_IN, 0, (256,)), _deepest(17)),
    _guided(
        "guided-64-classes",
        "the guided-diffusion network of 64 pixels with classes",
        Clue(_GUIDED_IN, 0, (192,)),
        _deepest(15),
        _CLASSES,
    ),
    _guided("", "a guided-diffusion network of another size"),
    _diffusers("network", "sdxl", "the network of " + TITLES["sdxl"], Clue(_ATTN2, 1, (2048,))),
    _diffusers("network", "sd2", "the network of " + TITLES["sd2"], Clue(_ATTN2, 1, (1024,))),
    _diffusers("network", "sd1", "the network of " + TITLES["sd1"], Clue(_ATTN2, 1, (768,))),
    _diffusers("network", "unet", "a UNet in the way of Stable Diffusion", Clue(_ATTN2)),
    _diffusers(
        "network",
        "pixels",
        "a UNet that works on pixels",
        Clue(r"down_blocks\.0\.resnets\.0\.conv1\.weight"),
        Clue(r"conv_in\.weight", 1, (3,)),
    ),
    _diffusers(
        "network", "flux", "the network of " + TITLES["flux"], Clue(r"single_transformer_blocks\.0\.proj_mlp\.weight")
    ),
    _diffusers(
        "network",
        "flux2",
        "the network of " + TITLES["flux2"],
        Clue(r"single_transformer_blocks\.0\.attn\.to_qkv_mlp_proj\.weight"),
    ),
    _diffusers(
        "network",
        "sd3",
        "the network of " + TITLES["sd3"],
        Clue(r"transformer_blocks\.0\.attn\.add_k_proj\.weight"),
        Clue(r"pos_embed\.proj\.weight"),
    ),
    _ldm("vae", "16 channels", "a VAE of Stable Diffusion 3 or FLUX.1", Clue(_VAE_IN, 1, (16,)), _VAE_UP),
    _ldm("vae", "32 channels", "a VAE of FLUX.2", Clue(_VAE_IN, 1, (32,)), _VAE_UP),
    _ldm(
        "vae",
        "4 channels",
        "a VAE of Stable Diffusion",
        Clue(_VAE_IN, 1, (4,)),
        notes=("Stable Diffusion 1, 2 and XL have VAEs of the same shapes, and the file does not say whose this is",),
    ),
    _ldm("vae", "", "a VAE", Clue(_VAE_IN), _VAE_UP),
    _diffusers(
        "text encoder", "clip", "a CLIP text encoder", Clue(r"(?:text_model\.)?embeddings\.token_embedding\.weight")
    ),
    _diffusers(
        "text encoder", "t5", "a T5 text encoder", Clue(r"encoder\.block\.0\.layer\.0\.SelfAttention\.q\.weight")
    ),
    _upscaler("esrgan", "ESRGAN", Clue(r"model\.1\.sub\.0\.RDB1\.conv1\.0\.weight")),
    _upscaler("esrgan", "Real-ESRGAN", Clue(r"(?:params(?:_ema)?\.)?body\.0\.rdb1\.conv1\.weight")),
    _upscaler("compact", "compact Real-ESRGAN", Clue(r"body\.0\.weight", 1, (3,)), Clue(r"body\.1\.weight")),
    _upscaler(
        "swin", "SwinIR, HAT", Clue(r"layers\.0\.residual_group\.blocks\.0\.norm1\.weight"), Clue(r"conv_first\.weight")
    ),
    _embedding("sdxl", Clue(r"clip_g", 1, (1280,))),
    _embedding("sd1", Clue(r"emb_params|clip_l", 1, (768,))),
    _embedding("sd2", Clue(r"emb_params", 1, (1024,))),
)

# How an adapter is written, by the leaves of its names.  DoRA comes first: its files hold a LoRA as well.
ADAPTERS = (
    ("dora", "DoRA", re.compile(r".*(?:\.dora_scale|\.lora_magnitude_vector(?:\..*)?)")),
    ("loha", "LoHa", re.compile(r".*\.hada_w[12]_[ab]")),
    ("lokr", "LoKr", re.compile(r".*\.lokr_w[12](?:_[ab])?")),
    ("oft", "OFT", re.compile(r".*\.(?:oft_blocks|oft_diag)")),
    ("kohya", "LoRA", re.compile(r"lora_(?:unet|te\d?|transformer)_.*\.lora_(?:down|up)\.weight")),
    ("diffusers", "LoRA", re.compile(r".*\.lora_[AB](?:\.default)?\.weight")),
    ("diffusers", "LoRA", re.compile(r".*(?:\.lora\.|_lora\.)(?:down|up)\.weight")),
    ("xlabs", "LoRA", re.compile(r".*\.processor\..*lora\d?\.(?:down|up)\.weight")),
    ("kohya", "LoRA", re.compile(r".*\.lora_(?:down|up)\.weight")),
)

# Whose adapter it is: layers that one family alone has, then how wide a text its cross-attention reads.
ADAPTED = (
    ("flux2", re.compile(_ADD + r".*(?:double_stream_modulation|to_qkv_mlp_proj).*")),
    ("flux", re.compile(_ADD + r".*(?:double_blocks|single_blocks|single_transformer_blocks)[._]\d+.*")),
    ("qwen-image", re.compile(_ADD + r".*transformer_blocks[._]\d+[._](?:img|txt)_m(?:lp|od).*")),
    ("z-image", re.compile(_ADD + r".*(?:noise_refiner|context_refiner)[._]\d+.*")),
    ("sd3", re.compile(_ADD + r".*(?:joint_blocks[._]\d+|attn[._]add_[kqv]_proj).*")),
)
WIDTHS = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
_TEXT_SIDE = re.compile(
    r".*attn2[._]to_[kv][._](?:lora_down\.weight|lora_A(?:\.default)?\.weight|lora\.down\.weight|hada_w1_b)"
)


def kind_of(tensors: Mapping[str, Stored]) -> WeightsKind | None:
    """What a file with these tensors is; None if the table has no row for it."""
    for format_, title, pattern in ADAPTERS:
        if any(pattern.fullmatch(name) for name in tensors):
            family = _adapted(tensors)
            whose = TITLES[family] if family else "a model that it does not name"
            return WeightsKind("lora", family, f"a {title} for {whose}", (), format_)
    return next((kind for kind in MODELS if all(clue.holds(tensors) for clue in kind.clues)), None)


def _adapted(tensors: Mapping[str, Stored]) -> str:
    """The family that an adapter is for; empty if its names and shapes do not tell."""
    for family, pattern in ADAPTED:
        if any(pattern.fullmatch(name) for name in tensors):
            return family
    for name, stored in tensors.items():
        if _TEXT_SIDE.fullmatch(name) and len(stored.shape) == 2 and stored.shape[-1] in WIDTHS:
            return WIDTHS[stored.shape[-1]]
    # Of files that move text encoders alone: XL is the only family here with a second CLIP.
    return "sdxl" if any(name.startswith("lora_te2_") for name in tensors) else ""
