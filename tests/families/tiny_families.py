"""Tiny random models of every family, as folders in the diffusers layout: every part that a published one has.

They prove structure and arithmetic, not pictures.  Layers that are trained from zero are random here, or every network
would be a constant.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    DDIMScheduler,
    DDPMScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2Transformer2DModel,
    FluxTransformer2DModel,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    UNet2DModel,
    ZImageTransformer2DModel,
)
from torch import nn

from tests.families.tiny_parts import (
    clip_text,
    clip_words,
    ddim,
    qwen3_text,
    qwen_vl_text,
    qwen_words,
    randomised,
    t5_text,
    t5_words,
    unet,
    vae,
)

TIMES = 4  # blocks of a transformer


def build(name: str, folder: Path) -> Path:
    """Make one of `FAMILIES` in this folder."""
    pipeline, parts = (FAMILIES | PIXELS)[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = parts()
        index = {"_class_name": pipeline, **made.pop("index", {})}
        for part, value in made.items():
            if isinstance(value, nn.Module):
                randomised(value).save_pretrained(folder / part)
            else:
                value.save_pretrained(folder / part)
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def stable_diffusion() -> dict[str, Any]:
    """Version 1."""
    return {
        "scheduler": ddim(),
        "tokenizer": clip_words(),
        "text_encoder": clip_text(),
        "vae": vae(0.18215),
        "unet": unet(
            block_out_channels=(32, 64),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=32,
            attention_head_dim=8,
        ),
    }


def sdxl() -> dict[str, Any]:
    """No attention where cells are finest, two transformer blocks where they are not."""
    return {
        "index": {"force_zeros_for_empty_prompt": True},
        "scheduler": ddim(),
        "tokenizer": clip_words(),
        "tokenizer_2": clip_words(),
        "text_encoder": clip_text(),
        "text_encoder_2": clip_text(projects=True),
        "vae": vae(0.13025),
        "unet": unet(
            block_out_channels=(32, 64),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2),
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            cross_attention_dim=64,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=8 * 6 + 32,
        ),
    }


def sd3() -> dict[str, Any]:
    """As 3.5 medium, whose first blocks attend twice."""
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0),
        "tokenizer": clip_words(),
        "tokenizer_2": clip_words(),
        "tokenizer_3": t5_words(),
        "text_encoder": clip_text(projects=True),
        "text_encoder_2": clip_text(projects=True),
        "text_encoder_3": t5_text(96),
        "vae": vae(1.5305, 0.0609),
        "transformer": SD3Transformer2DModel(
            sample_size=16,
            pos_embed_max_size=16,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=TIMES,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=96,
            caption_projection_dim=32,
            pooled_projection_dim=64,
            qk_norm="rms_norm",
            dual_attention_layers=(0,),
        ),
    }


def flux(*, dev: bool) -> dict[str, Any]:
    """[dev] is told its guidance, and its schedule depends on the size; [schnell] neither."""
    dynamic = {"use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, **dynamic) if dev else FlowMatchEulerDiscreteScheduler()
    return {
        "scheduler": scheduler,
        "tokenizer": clip_words(),
        "tokenizer_2": t5_words(),
        "text_encoder": clip_text(),
        "text_encoder_2": t5_text(64),
        "vae": vae(0.3611, 0.1159),
        "transformer": FluxTransformer2DModel(
            in_channels=16,
            num_layers=TIMES // 2,
            num_single_layers=TIMES // 2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=64,
            pooled_projection_dim=32,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=dev,
        ),
    }


def flux2() -> dict[str, Any]:
    """[klein] as it is before it is distilled, so that guidance has something to do."""
    folded = AutoencoderKLFlux2(
        block_out_channels=(16, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
    )
    nn.init.normal_(folded.bn.running_mean)
    nn.init.uniform_(folded.bn.running_var, 0.5, 2.0)
    return {
        "index": {"is_distilled": False},
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        "tokenizer": qwen_words(thinks=True),
        "text_encoder": qwen3_text(),
        "vae": folded,
        "transformer": Flux2Transformer2DModel(
            in_channels=16,
            num_layers=TIMES // 2,
            num_single_layers=TIMES // 2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=96,
            timestep_guidance_channels=16,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
    }


def qwen_image() -> dict[str, Any]:
    """With a VAE of videos whose channels have means and spreads of their own."""
    shift = {"base_shift": 0.5, "max_shift": 0.9, "max_image_seq_len": 8192, "shift_terminal": 0.02}
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, **shift),
        "tokenizer": qwen_words(),
        "text_encoder": qwen_vl_text(),
        "vae": AutoencoderKLQwenImage(
            base_dim=16,
            z_dim=4,
            dim_mult=[1, 2],
            num_res_blocks=1,
            attn_scales=[],
            temperal_downsample=[False],
            latents_mean=[0.1, -0.2, 0.0, 0.3],
            latents_std=[1.2, 0.9, 1.1, 1.0],
        ),
        "transformer": QwenImageTransformer2DModel(
            in_channels=16,
            out_channels=4,
            num_layers=TIMES,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            axes_dims_rope=(8, 4, 4),
        ),
    }


def z_image() -> dict[str, Any]:
    """One refiner of the picture, one of the text, then one stream."""
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0),
        "tokenizer": qwen_words(thinks=True),
        "text_encoder": qwen3_text(),
        "vae": vae(0.3611, 0.1159),
        "transformer": ZImageTransformer2DModel(
            in_channels=4,
            dim=32,
            n_layers=TIMES,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=32,
            axes_dims=[4, 6, 6],
            axes_lens=[256, 64, 64],
        ),
    }


def pixels(**unet: Any) -> dict[str, Any]:
    """A UNet of pictures: three levels, of which the second and the middle attend."""
    levels = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear", "clip_sample": False}
    kinds = {"clip_sample_range": 1.0, "prediction_type": unet.pop("prediction_type", "epsilon")}
    scheduler = unet.pop("scheduler", DDPMScheduler)(**levels, **kinds)
    shape = {
        "sample_size": 16,
        "block_out_channels": (32, 32, 64),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        "norm_num_groups": 16,
        "attention_head_dim": 16,
    }
    return {"scheduler": scheduler, "unet": UNet2DModel(**(shape | unet))}


def guided(**unet: Any) -> dict[str, Any]:
    """As Dhariwal & Nichol have it: blocks that are told by scales, halve and double themselves, and say a variance."""
    return pixels(
        down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D"),
        up_block_types=("ResnetUpsampleBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"),
        downsample_type="resnet",
        upsample_type="resnet",
        resnet_time_scale_shift="scale_shift",
        attn_norm_num_groups=16,
        out_channels=6,
        scheduler=DDIMScheduler,
        **unet,
    )


# Those without a text, which have tests of their own.
PIXELS: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "ddpm": ("DDPMPipeline", lambda: pixels(attention_head_dim=None, downsample_padding=0, freq_shift=1)),
    "velocity": ("DDIMPipeline", lambda: pixels(prediction_type="v_prediction", scheduler=DDIMScheduler)),
    "guided": ("DDIMPipeline", guided),
    "classes": ("DDIMPipeline", lambda: guided(num_class_embeds=5)),
}
FAMILIES: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "stable_diffusion": ("StableDiffusionPipeline", stable_diffusion),
    "sdxl": ("StableDiffusionXLPipeline", sdxl),
    "sd3": ("StableDiffusion3Pipeline", sd3),
    "flux_dev": ("FluxPipeline", lambda: flux(dev=True)),
    "flux_schnell": ("FluxPipeline", lambda: flux(dev=False)),
    "flux2_klein": ("Flux2KleinPipeline", flux2),
    "qwen_image": ("QwenImagePipeline", qwen_image),
    "z_image": ("ZImagePipeline", z_image),
}
