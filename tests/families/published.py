"""How large the published models are."""

from __future__ import annotations

UNET, SD3 = "UNet2DConditionModel", "SD3Transformer2DModel"
PIXELS = "UNet2DModel"
FLUX, KLEIN = "FluxTransformer2DModel", "Flux2Transformer2DModel"
SIZES: dict[str, tuple[str, float, float]] = {
    "Stable Diffusion 1.5": (UNET, 0.8595, 0.01),
    "Stable Diffusion 2.1": (UNET, 0.8659, 0.01),
    "Stable Diffusion XL": (UNET, 2.5675, 0.01),
    "Stable Diffusion 3 medium": (SD3, 2.085, 0.01),
    "Stable Diffusion 3.5 medium": (SD3, 2.47, 0.01),
    "Stable Diffusion 3.5 large": (SD3, 8.1, 0.02),
    "FLUX.1 dev": (FLUX, 11.901, 0.01),
    "FLUX.1 schnell": (FLUX, 11.891, 0.01),
    "FLUX.2 klein 4B": (KLEIN, 4.0, 0.04),
    "FLUX.2 klein 9B": (KLEIN, 9.0, 0.01),
    "Qwen-Image": ("QwenImageTransformer2DModel", 20.43, 0.01),
    "DDPM 256": (PIXELS, 0.113673, 0.0001),
    "guided diffusion 256": (PIXELS, 0.552814, 0.0001),
    "Z-Image": ("ZImageTransformer2DModel", 6.15, 0.01),
}
"""name -> class of the network, numbers that its file holds in billions, tables of positions too, and how far that is
known: where no more is known than what a page rounds to, to less than 1 %"""
