"""One stage of every family, by somebody who knows `retouch.api` alone."""

from retouch.api import hookimpl, stages_in


@hookimpl
def retouch_stages():
    """Every stage of this package."""
    return stages_in(__name__)


@hookimpl
def retouch_weights():
    """What they are filled with."""
    return {
        "edges": "weights/edges.safetensors",
        "elsewhere": "retouch_storybook:weights/vae/diffusion_pytorch_model.safetensors",
        "gone": "nobody/nothing@0123456789abcdef0123456789abcdef01234567:gone.safetensors",
    }
