"""A field edited by gradients of a score into its voxels.  Sella et al. 2023, "Vox-E", arXiv:2303.12048.

Its steps are (1) a grid fitted to photographs, (2) a copy of it that goes down a score of its renderings, through the
codec, while its densities are held to the first grid's by correlation, and (3) a mask in space within which the copy
counts.  The first is `fit field`.  The authors get the third from two more grids, optimised to maps of cross-attention
and cut by a graph; here it is what `mask lift` makes.

A stage for measuring alone, which no recipe has and `ways.stages` brings: what ships is better (recipes/RESULTS.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import (
    Adam,
    Codec,
    Denoiser,
    Edit,
    Guidance,
    NoiseSource,
    Range,
    Schedule,
    Step,
    call,
    gather,
    hookimpl,
    predictor,
    stage,
    together,
    value_and_grad,
)
from retouch_methods.distil.descent import between
from retouch_scenes.field import Field, seen
from retouch_scenes.fitting import FALL
from retouch_scenes.lifting import shadow
from retouch_scenes.rendering import image_of
from retouch_scenes.views import Views
from retouch_scenes.volume import Volume

# The authors' annealing: at each 7.5 % of the rounds from the seventh on the noisiest level that is drawn falls to
# three quarters, down to 22 %.
STAGE, STAGES, LOWER, LOWEST = 0.075, 6, 0.75, 0.22
CLEANEST, NOISIEST = 0.02, 0.98  # of what is drawn before, as shares of the walk


@hookimpl
def retouch_stages():
    """Bring this stage alone."""
    return [vox_e]


@stage(
    "revise",
    "vox_e",
    paper="arXiv:2303.12048",
    rows="(2 if score == 'dds' else 1) * guide * rounds * at_once",
    facts={"numbers": "numbers", "frustum": "frustum"},
)
async def vox_e(
    field: Field,
    views: Views,
    edit: Edit,
    model: Denoiser,
    codec: Codec,
    schedule: Schedule,
    guidance: Guidance,
    noise: NoiseSource,
    volume: Volume | None = None,
    *,
    score: Literal["sds", "dds"] = "sds",
    rounds: Annotated[int, Range(1, 100_000, "rounds")] = 1000,
    at_once: Annotated[int, Range(1, 1000, "views")] = 1,
    lr: Annotated[float, Range(0, 10)] = 0.03,
    correlation: Annotated[float, Range(0, 1e6)] = 200.0,
) -> Field:
    """Move a field's voxels to where the denoiser finds what it shows likely, under the target prompt.

    Of a lifted part its own voxels move, and rays that pass it are traced; the others keep their bits.  The authors let
    all move and take those outside back in the end, which renders whole pictures for the same result.

    score: "sds", as the paper: the noise that is predicted beside the noise that was added; "dds" takes away what is
        predicted, under the source prompt, of what the field showed before.
    rounds: gradient steps.
    at_once: views in each, each with a level and a noise of its own.
    lr: of the first step of Adam; it falls to a tenth.
    correlation: weight of 1 - the correlation of both fields' densities; 0 leaves them free.
    """
    views = views.about(field.space.centre)
    was, now = (predictor(guidance, model, prompt, edit.negative) for prompt in (edit.source, edit.target))
    sides = [_Side.of(field, views, i, volume) for i in range(len(views))]
    before = await gather(call(codec.encode, side.showing(field)) for side in sides) if score == "dds" else []
    draws = replace(noise, key=f"{noise.key}/draws").normal(rounds, like=torch.zeros(2, at_once, dtype=torch.float64))
    even = torch.special.ndtr(draws)  # [rounds, 2, at_once] in [0, 1]
    start = grid = field.grid
    adam = Adam(lr)

    for k in range(rounds):

        async def pulled(grid: Tensor, k: int, n: int) -> Tensor:
            """What leads from what a view shows to what it should, as a loss.  []"""
            i = min(int(even[k, 0, n] * len(views)), len(views) - 1)
            level = _drawn(schedule, k / rounds, float(even[k, 1, n])).noisy
            shown = await call(codec.encode, sides[i].showing(field.with_grid(grid)))
            x = shown.detach()  # the network's own Jacobian is left out
            eps = replace(noise, key=f"{noise.key}/{k}/{n}").normal(1, like=x)[0]
            if score == "sds":
                pull = ((await now(level.mix(x, eps), level)).eps - eps) * level.sigma**2
            else:
                said = await together(was=was(level.mix(before[i], eps), level), now=now(level.mix(x, eps), level))
                pull = said["now"].eps - said["was"].eps
            return (shown * pull.detach()).sum()

        async def loss(grid: Tensor, k: int = k) -> Tensor:
            pulls = await gather(pulled(grid, k, n) for n in range(at_once))
            return torch.stack(pulls).mean() + correlation * (1 - correlated(grid[0], start[0]))

        found = await value_and_grad(loss, grid)
        adam.lr = lr * FALL ** (k / rounds)
        moved = adam.step(grid, found.grads[0])
        grid = moved if volume is None else torch.where(volume.data, moved, start)
    return replace(field.with_grid(grid), changed=None if volume is None else volume.data)


@dataclass(frozen=True, slots=True)
class _Side:
    """A view of a field of which a part may change.

    picture: Tensor  # [3, H, W], before
    pixels: Tensor  # [K], those whose rays pass the part, counted row by row
    origins, directions: Tensor  # [K, 3], these rays
    """

    picture: Tensor
    pixels: Tensor
    origins: Tensor
    directions: Tensor

    @classmethod
    def of(cls, field: Field, views: Views, i: int, volume: Volume | None) -> _Side:
        picture = image_of(field, views, i).data
        passing = torch.ones_like(picture[0], dtype=torch.bool)
        pixels = (passing if volume is None else shadow(field, views, i, volume.data)).flatten().nonzero()[:, 0]
        origins, directions = views.rays(i)
        return cls(picture, pixels, origins[pixels], directions[pixels])

    def showing(self, field: Field) -> Tensor:
        """The picture of the field as it is now, differentiable in its grid; over white, as `image_of` has it."""
        met = seen(field, self.origins, self.directions)
        colour = (met.colour + (1 - met.opacity) if field.open else met.colour).clamp(0, 1)
        return self.picture.flatten(1).index_copy(1, self.pixels, colour).reshape(self.picture.shape)


def _drawn(schedule: Schedule, share: float, draw: float) -> Step:
    """A step of the schedule, any as likely as another, below a level that falls in the second half of all rounds."""
    high = max(LOWEST, NOISIEST * LOWER ** max(0, int(share / STAGE) - STAGES))
    steps = between(schedule, CLEANEST, high)
    return steps[min(int(draw * len(steps)), len(steps) - 1)]


def correlated(one: Tensor, other: Tensor) -> Tensor:
    """The correlation of two grids' raw densities [D, H, W], over all voxels; from -1 to 1.  []"""
    one, other = one - one.mean(), other - other.mean()
    return (one * other).mean() / ((one.square().mean() * other.square().mean()).sqrt() + 1e-7)
