"""Each family as its own pipeline of diffusers has it, around the very modules that the engine has loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import torch
from torch import Tensor

from retouch.core.values import Prompt
from tests.families.family_models import FamilyModel

Said = tuple[Tensor, dict[str, Tensor]]


def pipeline(model: FamilyModel) -> Any:
    """The pipeline that model_index.json names, with the folder's scheduler."""
    kind: Any = getattr(diffusers, model.info.pipeline)
    parts: dict[str, Any] = {"vae": model.vae}
    parts["transformer" if (model.folder / "transformer").is_dir() else "unet"] = model.module
    for number, (text_encoder, tokenizer) in zip(("", "_2", "_3"), model.encoders, strict=False):
        parts[f"text_encoder{number}"], parts[f"tokenizer{number}"] = text_encoder, tokenizer
    scheduler = diffusers.DDIMScheduler if "unet" in parts else diffusers.FlowMatchEulerDiscreteScheduler
    parts["scheduler"] = scheduler.from_pretrained(model.folder / "scheduler")
    if model.name == "stable_diffusion":
        parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    made = kind(**parts)
    made.set_progress_bar_config(disable=True)
    return made


def said(model: FamilyModel, text: str) -> Said:
    """What the pipeline's own `encode_prompt` makes of a text: its embeddings, and what it pools."""
    return _SAID[model.name](model, pipeline(model), text)


def _stable_diffusion_said(model: FamilyModel, its: Any, text: str) -> Said:
    return its.encode_prompt(text, "cpu", 1, do_classifier_free_guidance=False)[0][0], {}


def _sdxl_said(model: FamilyModel, its: Any, text: str) -> Said:
    embeds, _, pooled, _ = its.encode_prompt(text, do_classifier_free_guidance=False)
    return embeds[0], {"pooled": pooled[0]}


def _sd3_said(model: FamilyModel, its: Any, text: str) -> Said:
    long = {"do_classifier_free_guidance": False, "max_sequence_length": model.known.tokens - 77}
    embeds, _, pooled, _ = its.encode_prompt(text, text, text, **long)
    return embeds[0], {"pooled": pooled[0]}


def _flux_said(model: FamilyModel, its: Any, text: str) -> Said:
    embeds, pooled, _ = its.encode_prompt(text, None, max_sequence_length=model.known.tokens)
    return embeds[0], {"pooled": pooled[0]}


def _flux2_said(model: FamilyModel, its: Any, text: str) -> Said:
    inner = tuple(model.encoders[0][0].config.num_hidden_layers * part // 4 for part in (1, 2, 3))  # 9, 18, 27 of 36
    return its.encode_prompt(text, text_encoder_out_layers=inner)[0][0], {}


def _qwen_image_said(model: FamilyModel, its: Any, text: str) -> Said:
    return its.encode_prompt(text)[0][0], {}


def _z_image_said(model: FamilyModel, its: Any, text: str) -> Said:
    return its.encode_prompt([text], do_classifier_free_guidance=False)[0][0], {}


_SAID: dict[str, Callable[[FamilyModel, Any, str], Said]] = {
    "stable_diffusion": _stable_diffusion_said,
    "sdxl": _sdxl_said,
    "sd3": _sd3_said,
    "flux_dev": _flux_said,
    "flux_schnell": _flux_said,
    "flux2_klein": _flux2_said,
    "qwen_image": _qwen_image_said,
    "z_image": _z_image_said,
}


@torch.no_grad()
def answered(model: FamilyModel, x: Tensor, timestep: float, prompts: list[Prompt], guidance: float) -> Tensor:
    """What the module says when it is called as its pipeline calls it.  [B, C, h, w]"""
    time = torch.full((len(x),), timestep)
    return _ANSWERED[model.name](model, x, time, prompts, torch.full((len(x),), guidance))


def _embeds(prompts: list[Prompt]) -> Tensor:
    return torch.stack([prompt.embeds for prompt in prompts])


def _pooled(prompts: list[Prompt]) -> Tensor:
    return torch.stack([prompt.extra["pooled"] for prompt in prompts])


def _stable_diffusion(model: FamilyModel, x: Tensor, time: Tensor, prompts: list[Prompt], _: Tensor) -> Tensor:
    return model.module(x, time, encoder_hidden_states=_embeds(prompts), return_dict=False)[0]


def _sdxl(model: FamilyModel, x: Tensor, time: Tensor, prompts: list[Prompt], _: Tensor) -> Tensor:
    size = [side * model.known.scale for side in x.shape[-2:]]
    more = {"text_embeds": _pooled(prompts), "time_ids": torch.tensor([[*size, 0, 0, *size]] * len(x), dtype=x.dtype)}
    told = {"encoder_hidden_states": _embeds(prompts), "added_cond_kwargs": more}
    return model.module(x, time, **told, return_dict=False)[0]


def _sd3(model: FamilyModel, x: Tensor, time: Tensor, prompts: list[Prompt], _: Tensor) -> Tensor:
    return model.module(x, _embeds(prompts), _pooled(prompts), time, return_dict=False)[0]


def _flux(model: FamilyModel, x: Tensor, time: Tensor, prompts: list[Prompt], guidance: Tensor) -> Tensor:
    its, (height, width), embeds = diffusers.FluxPipeline, x.shape[-2:], _embeds(prompts)
    out = model.module(
        hidden_states=its._pack_latents(x, *x.shape),
        timestep=time / 1000,
        guidance=guidance if model.known.told else None,
        pooled_projections=_pooled(prompts),
        encoder_hidden_states=embeds,
        txt_ids=torch.zeros(embeds.shape[1], 3),
        img_ids=its._prepare_latent_image_ids(1, height // 2, width // 2, torch.device("cpu"), x.dtype),
        return_dict=False,
    )[0]
    return its._unpack_latents(out, height, width, 1)


def _flux2(model: FamilyModel, x: Tensor, time: Tensor, prompts: list[Prompt], _: Tensor) -> Tensor:
    its, embeds = diffusers.Flux2KleinPipeline, _embeds(prompts)
    places = its._prepare_latent_ids(x)
    out = model.module(
        hidden_states=its._pack_latents(x),
        timestep=time / 1000,
        encoder_hidden_states=embeds,
        txt_ids=its._prepare_text_ids(embeds),
        img_ids=places,
        return_dict=False,
    )[0]
    return its._unpack_latents_with_ids(out, places)


def _qwen_image(model: FamilyModel, x: Tensor, time: Tensor, prompts: list[Prompt], _: Tensor) -> Tensor:
    its, (height, width) = diffusers.QwenImagePipeline, x.shape[-2:]
    out = model.module(
        hidden_states=its._pack_latents(x[:, :, None], *x.shape),
        timestep=time / 1000,
        encoder_hidden_states_mask=torch.stack([prompt.extra["mask"] for prompt in prompts]),
        encoder_hidden_states=_embeds(prompts),
        img_shapes=[[(1, height // 2, width // 2)]] * len(x),
        return_dict=False,
    )[0]
    return its._unpack_latents(out, height, width, 1)[:, :, 0]


def _z_image(model: FamilyModel, x: Tensor, time: Tensor, prompts: list[Prompt], _: Tensor) -> Tensor:
    words = [prompt.embeds[: int(prompt.extra["count"])] for prompt in prompts]
    out = model.module(list(x[:, :, None].unbind()), (1000 - time) / 1000, words, return_dict=False)[0]
    return -torch.stack(list(out))[:, :, 0]


_ANSWERED: dict[str, Callable[[FamilyModel, Tensor, Tensor, list[Prompt], Tensor], Tensor]] = {
    "stable_diffusion": _stable_diffusion,
    "sdxl": _sdxl,
    "sd3": _sd3,
    "flux_dev": _flux,
    "flux_schnell": _flux,
    "flux2_klein": _flux2,
    "qwen_image": _qwen_image,
    "z_image": _z_image,
}
