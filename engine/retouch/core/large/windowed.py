"""A denoiser for latents of any size.  Bar-Tal et al. 2023, "MultiDiffusion", arXiv:2302.08113, eq. 5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor
from torch.nn import functional as F

from retouch.core.awaited.combinators import through_panes
from retouch.core.denoiser import Denoiser
from retouch.core.panes import Pane, Windows
from retouch.core.schedule import Level, Prediction
from retouch.core.tuned.mixing import MixedDenoiser
from retouch.core.tuning import ModelDelta
from retouch.core.values import Prompt


@dataclass(frozen=True, slots=True, eq=False)
class WindowedDenoiser(Denoiser):
    """What it says of latents is the mean of what the network says of windows of them, weighted by ramps.

    Where one window holds all, it is the network's own answer, bit for bit.

    inner: what is asked of each window, which may be a mix of networks.
    """

    inner: Denoiser = field(kw_only=True)
    windows: Windows = field(kw_only=True)

    def tuned(self, delta: ModelDelta) -> Denoiser:
        """The same windows, of the network under other weights."""
        return seen_through(self.inner.tuned(delta), self.windows)

    def changed(self, change: ModelDelta, ratio: float) -> Denoiser:
        """The same windows, of the network under changed weights."""
        return seen_through(self.inner.changed(change, ratio), self.windows)

    def untuned(self) -> Denoiser:
        """The same windows, of the network under its own weights."""
        return seen_through(self.inner.untuned(), self.windows)

    async def __call__(
        self,
        x: Tensor,
        level: Level,
        prompt: Prompt,
        *,
        timestep: float | None = None,
        role: str = "cond",
        told: Mapping[str, float] | None = None,
    ) -> Prediction:
        """What the windows of x [C, h, w] come to; all are asked at once."""
        inner, panes = self.inner, self.windows.panes(x)
        if len(panes) == 1:
            return await inner(x, level, prompt, timestep=timestep, role=role, told=told)
        said = await through_panes(
            panes,
            [inner(pane.box.of(x), level, prompt, timestep=timestep, role=role, told=told) for pane in panes],
        )
        pair = said[0].pair.new_zeros(2, *x.shape)  # [2, C, h, w]
        for pane, each in zip(panes, said, strict=True):
            pair = _added(pair, each.pair * pane.share, pane)
        return Prediction(pair)


def seen_through(model: Denoiser, windows: Windows) -> Denoiser:
    """The same denoiser for latents of any size, which it sees through these windows, in place of any that it had."""
    plain = _plain(model)
    return WindowedDenoiser(plain.core, plain.delta, inner=plain, windows=windows)


def mixed(
    newer: Denoiser,
    before: Denoiser,
    ratio: float,
    start: float = 0.0,
    until: float = 1.0,
    base: Denoiser | None = None,
) -> Denoiser:
    """A denoiser beside what there was before: see `MixedDenoiser`.  Through windows, where either has them."""
    mix = MixedDenoiser(newer.core, newer.delta, _plain(before), ratio, start, until, base and _plain(base))
    windows = next((each.windows for each in (newer, before) if isinstance(each, WindowedDenoiser)), None)
    return seen_through(mix, windows) if windows else mix


def _plain(model: Denoiser) -> Denoiser:
    return model.inner if isinstance(model, WindowedDenoiser) else model


def _added(whole: Tensor, part: Tensor, pane: Pane) -> Tensor:
    """The sum of both, [C, h, w] and [C, part's h, w]; where a gradient is asked nothing is written in place."""
    if not (whole.requires_grad or part.requires_grad):
        pane.box.of(whole).add_(part)
        return whole
    (height, width), box = pane.size, pane.box
    around = (box.left, width - box.right, box.top, height - box.bottom)
    return whole + F.pad(part, around)
