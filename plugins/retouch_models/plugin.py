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
    }
