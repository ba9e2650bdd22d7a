"""Editing by a GAN, as it was done before diffusion models: invert a picture, then move its code or the generator."""

from retouch.api import hookimpl, stages_in


@hookimpl
def retouch_stages():
    """Every stage of this package."""
    return stages_in(__name__)


@hookimpl
def retouch_port_types():
    """A picture as the generator has it."""
    from retouch_gan.code import GanCode

    return [GanCode]


@hookimpl
def retouch_weights():
    """The GAN's own, and those of the embedded model that it works with."""
    return {
        "generator": "weights/generator.safetensors",
        "encoder": "weights/encoder.safetensors",
        "vae": "retouch_storybook:weights/vae/diffusion_pytorch_model.safetensors",
    }
