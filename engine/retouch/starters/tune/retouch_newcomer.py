"""A tuned model: weights that stand in for some of the network's, for one turn."""

from typing import Annotated

from retouch.api import Denoiser, ModelDelta, Range, hookimpl, stage


@stage("tune", "newcomer")
def newcomer(model: Denoiser, *, strength: Annotated[float, Range(0, 4)] = 1.5) -> Denoiser:
    """Let the text count for more, or for less: scale what cross-attention gives to the picture.

    strength: 0 leaves the text out, 1 changes nothing, 2 doubles it.
    """
    values = (name for name in model.core.base if name.endswith("attn2.to_v.weight"))  # as diffusers names them
    scaled = {
        name: model.core.base[name] * strength for name in values
    }  # new tensors: the model's own are others', too
    return model.tuned(ModelDelta(weights=scaled))


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
