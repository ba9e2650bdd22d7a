"""Register the families of models that ship with retouch."""

from retouch import hookimpl


@hookimpl
def retouch_families():
    """Register a family for each class of pipeline that model_index.json may state."""
    return {
        "StableDiffusionPipeline": "retouch_models.stable_diffusion:FAMILY",
        "StableDiffusionXLPipeline": "retouch_models.sdxl:FAMILY",
        "StableDiffusion3Pipeline": "retouch_models.sd3:FAMILY",
        "FluxPipeline": "retouch_models.flux:FAMILY",
        "Flux2KleinPipeline": "retouch_models.flux2:FAMILY",
        "QwenImagePipeline": "retouch_models.qwen_image:FAMILY",
        "ZImagePipeline": "retouch_models.z_image:FAMILY",
        "DDPMPipeline": "retouch_models.pixels:DDPM",
        "DDIMPipeline": "retouch_models.pixels:DDIM",
    }


@hookimpl
def retouch_configs():
    """Register the configs of single files, which state none: kind of file to folder."""
    return {
        "sd1": "configs/sd1",
        "sd2-noise": "configs/sd2-noise",
        "sd2-velocity": "configs/sd2-velocity",
        "sdxl": "configs/sdxl",
        "sd3-medium": "configs/sd3-medium",
        "sd3.5-medium": "configs/sd3.5-medium",
        "sd3.5-large": "configs/sd3.5-large",
        "flux-dev": "configs/flux-dev",
        "flux-schnell": "configs/flux-schnell",
        "guided-64-classes": "configs/guided-64-classes",
        "guided-256": "configs/guided-256",
        "guided-256-classes": "configs/guided-256-classes",
        "guided-512": "configs/guided-512",
        "guided-512-classes": "configs/guided-512-classes",
    }
