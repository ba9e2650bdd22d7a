"""Shapes of the published models: numbers of their configs, which are facts.  No weights, and no torch.

UNets: as the papers and diffusers' conversion scripts for them have them.  Transformers: the defaults of diffusers'
classes, and what their docstrings and the published configs say that the sizes differ in.
"""

from __future__ import annotations

from typing import Any

_FOUR = {"down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"]}
_FOUR |= {"up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3}
_UNET = {"in_channels": 4, "out_channels": 4, "layers_per_block": 2}
_CLIP_L = {"hidden_size": 768, "projection_dim": 768, "max_position_embeddings": 77}
_CLIP_G = {"hidden_size": 1280, "projection_dim": 1280, "max_position_embeddings": 77}
_CLIP_H = {"hidden_size": 1024, "projection_dim": 512, "max_position_embeddings": 77}
_T5_XXL = {"d_model": 4096}
_LEVELS = {"block_out_channels": [128, 256, 512, 512]}
_VAE4, _VAE16, _VAE32 = ({"latent_channels": channels, **_LEVELS} for channels in (4, 16, 32))
_T5_LENGTH = {"model_max_length": 512}


def _sd(text: dict[str, Any], **unet: Any) -> dict[str, dict[str, Any]]:
    levels = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    configs = {"unet": _UNET | unet, "vae": _VAE4, "text_encoder": text}
    return _files(configs) | {"scheduler/scheduler_config.json": levels}


def _flow(shift: dict[str, Any], **parts: Any) -> dict[str, dict[str, Any]]:
    lengths = {f"tokenizer_{n}/tokenizer_config.json": _T5_LENGTH for n in (2, 3)}
    return _files(parts) | lengths | {"scheduler/scheduler_config.json": shift, "model_index.json": {}}


def _files(parts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{part}/config.json": config for part, config in parts.items()}


def _sd3(**network: Any) -> dict[str, dict[str, Any]]:
    shape = {"sample_size": 128, "patch_size": 2, "in_channels": 16, "out_channels": 16, "attention_head_dim": 64}
    shape |= {"joint_attention_dim": 4096, "pooled_projection_dim": 2048, "pos_embed_max_size": 192}
    texts = {"text_encoder": _CLIP_L, "text_encoder_2": _CLIP_G, "text_encoder_3": _T5_XXL}
    return _flow({"shift": 3.0}, transformer=shape | network, vae=_VAE16, **texts)


def _flux(*, dev: bool) -> dict[str, dict[str, Any]]:
    shape = {"patch_size": 1, "in_channels": 64, "num_layers": 19, "num_single_layers": 38, "attention_head_dim": 128}
    shape |= {"num_attention_heads": 24, "joint_attention_dim": 4096, "pooled_projection_dim": 768}
    shift = {"shift": 3.0, "use_dynamic_shifting": True} if dev else {"shift": 1.0}
    texts = {"text_encoder": _CLIP_L, "text_encoder_2": _T5_XXL}
    return _flow(shift, transformer=shape | {"guidance_embeds": dev}, vae=_VAE16, **texts)


def _klein(double: int, single: int, heads: int, text: int) -> dict[str, dict[str, Any]]:
    shape = {"in_channels": 128, "num_layers": double, "num_single_layers": single, "num_attention_heads": heads}
    shape |= {"attention_head_dim": 128, "joint_attention_dim": 3 * text, "guidance_embeds": False}
    made = _flow(
        {"shift": 3.0, "use_dynamic_shifting": True}, transformer=shape, vae=_VAE32, text_encoder={"hidden_size": text}
    )
    return made | {"model_index.json": {"is_distilled": True}}


def _pixels(levels: dict[str, Any], **unet: Any) -> dict[str, dict[str, Any]]:
    return _files({"unet": {"in_channels": 3, "out_channels": 3} | unet}) | {"scheduler/scheduler_config.json": levels}


_SDXL = {
    "sample_size": 128,
    "block_out_channels": [320, 640, 1280],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 2, 10],
    "attention_head_dim": [5, 10, 20],
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
_SD1 = {"sample_size": 64, "block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768, **_FOUR}
_SD2 = {**_SD1, "sample_size": 96, "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20]}
_QWEN = {"patch_size": 2, "in_channels": 64, "out_channels": 16, "num_layers": 60, "attention_head_dim": 128}
_QWEN |= {"num_attention_heads": 24, "joint_attention_dim": 3584, "pooled_projection_dim": 768}
_QWEN_VAE = {"base_dim": 96, "dim_mult": [1, 2, 4, 4], "z_dim": 16, "temperal_downsample": [False, True, True]}
_QWEN_VAE |= {"latents_mean": [0.0] * 16, "latents_std": [1.0] * 16}
_QWEN_SHIFT = {"use_dynamic_shifting": True, "max_shift": 0.9, "max_image_seq_len": 8192, "shift_terminal": 0.02}
_Z = {"all_patch_size": [2], "all_f_patch_size": [1], "in_channels": 16, "dim": 3840, "n_layers": 30, "n_heads": 30}
_Z |= {"n_refiner_layers": 2, "n_kv_heads": 30, "cap_feat_dim": 2560}

# Ho et al.'s, of 256 pixels: one head at 16 pixels and in the middle.
_LINEAR = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"}
_DDPM = {
    "sample_size": 256,
    "block_out_channels": [128, 128, 256, 256, 512, 512],
    "layers_per_block": 2,
    "down_block_types": ["DownBlock2D"] * 4 + ["AttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "AttnUpBlock2D"] + ["UpBlock2D"] * 4,
    "attention_head_dim": None,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "norm_eps": 1e-6,
}
# Dhariwal & Nichol's, of 256 pixels and without classes: heads of 64 channels at 32, 16 and 8 pixels, and a variance.
_GUIDED = {
    "sample_size": 256,
    "out_channels": 6,
    "block_out_channels": [256, 256, 512, 512, 1024, 1024],
    "layers_per_block": 2,
    "down_block_types": ["ResnetDownsampleBlock2D"] * 3 + ["AttnDownBlock2D"] * 3,
    "up_block_types": ["AttnUpBlock2D"] * 3 + ["ResnetUpsampleBlock2D"] * 3,
    "downsample_type": "resnet",
    "upsample_type": "resnet",
    "resnet_time_scale_shift": "scale_shift",
    "attention_head_dim": 64,
    "attn_norm_num_groups": 32,
}
PUBLISHED: dict[str, dict[str, dict[str, dict[str, Any]]]] = {
    "StableDiffusionPipeline": {
        "Stable Diffusion 1.5": _sd(_CLIP_L, **_SD1, attention_head_dim=8),
        "Stable Diffusion 2.1": _sd(_CLIP_H, **_SD2, use_linear_projection=True),
    },
    "StableDiffusionXLPipeline": {
        "Stable Diffusion XL": _sd(_CLIP_L, **_SDXL) | {"text_encoder_2/config.json": _CLIP_G},
    },
    "StableDiffusion3Pipeline": {
        "Stable Diffusion 3 medium": _sd3(num_layers=24, num_attention_heads=24, caption_projection_dim=1536),
        "Stable Diffusion 3.5 medium": _sd3(
            num_layers=24,
            num_attention_heads=24,
            caption_projection_dim=1536,
            qk_norm="rms_norm",
            dual_attention_layers=list(range(13)),
            pos_embed_max_size=384,
        ),
        "Stable Diffusion 3.5 large": _sd3(
            num_layers=38, num_attention_heads=38, caption_projection_dim=2432, qk_norm="rms_norm"
        ),
    },
    "FluxPipeline": {
        "FLUX.1 dev": _flux(dev=True),
        "FLUX.1 schnell": _flux(dev=False),
    },
    "Flux2KleinPipeline": {
        "FLUX.2 klein 4B": _klein(5, 20, 24, 2560),
        "FLUX.2 klein 9B": _klein(8, 24, 32, 4096),
    },
    "QwenImagePipeline": {
        "Qwen-Image": _flow(_QWEN_SHIFT, transformer=_QWEN, vae=_QWEN_VAE, text_encoder={"hidden_size": 3584}),
    },
    "ZImagePipeline": {
        "Z-Image": _flow({"shift": 3.0}, transformer=_Z, vae=_VAE16, text_encoder={"hidden_size": 2560}),
    },
    "DDPMPipeline": {"DDPM 256": _pixels(_LINEAR, **_DDPM)},
    "DDIMPipeline": {"guided diffusion 256": _pixels(_LINEAR, **_GUIDED)},
}
"""class of pipeline -> name of a model -> file of its folder -> what is in it"""
