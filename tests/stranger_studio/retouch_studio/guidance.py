"""Guidance by a loss on the picture: the gradient goes through the decoder."""

from typing import Annotated

from torch import Tensor

from retouch.api import Asking, Codec, Guidance, Level, Prediction, Prompt, Range, call, stage, together, value_and_grad


@stage("guide", "bright", facts={"guide": 2})
def bright(
    codec: Codec,
    *,
    guidance: Annotated[float, Range(0, 100)] = 3.0,
    mean: Annotated[float, Range(0, 1)] = 0.8,
    push: Annotated[float, Range(0, 100)] = 20.0,
) -> Guidance:
    """Classifier-free guidance whose picture is pushed towards a brightness.

    guidance: 1 is the prompt alone.
    mean: the brightness that is wanted.
    push: how far the predicted latent moves along the gradient; 0 is plain guidance.
    """

    async def miss(x0: Tensor) -> Tensor:
        return ((await call(codec.decode, x0)).mean() - mean).square()

    async def guide(model: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        pred = await together(uncond=model(x, level, negative, role="uncond"), cond=model(x, level, prompt))
        both = pred["uncond"].toward(pred["cond"], guidance)
        if not push or not level.sigma:
            return both
        x0 = both.x0.to(x.dtype)
        found = await value_and_grad(miss, x0.float())
        moved = x0 - push * found.grads[0].to(x0)
        return level.seen_as(x, (x - level.alpha * moved) / level.sigma) if level.alpha else both

    return guide
