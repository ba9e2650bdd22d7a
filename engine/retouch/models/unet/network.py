"""The network behind `await model(...)`: packs groups into one forward pass of a diffusers UNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from threading import Lock

import torch
from torch import Tensor, nn
from torch.func import functional_call

from retouch.core.ops import Group, Reply, Row
from retouch.core.schedule import Prediction, PredictionKind, split
from retouch.core.touches import Site
from retouch.models.unet.acceleration import EAGER, Acceleration
from retouch.models.unet.attention_processor import Pass, PresentPass, SiteProcessor


class UNetCore:
    """One UNet2DConditionModel, whose weights are never written to.

    Every attention module gets a processor of ours, every residual block a hook; both see only the present pass.
    """

    def __init__(
        self, unet: nn.Module, kind: PredictionKind, sites: Sequence[Site], acceleration: Acceleration = EAGER
    ) -> None:
        self.acceleration = acceleration
        self.unet, self._sites = unet.requires_grad_(False).eval(), tuple(sites)
        self.kind: PredictionKind = kind
        self._base = dict(unet.named_parameters())
        first = next(unet.parameters())
        self.device, self.dtype = first.device, first.dtype
        self.present, self._passing = PresentPass(), Lock()
        self._install()

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where controls may act."""
        return self._sites

    @property
    def base(self) -> Mapping[str, Tensor]:
        """The base weights by parameter name; read-only."""
        return self._base

    def _install(self) -> None:
        by_name = {site.name: site for site in self._sites}
        names: list[str] = [name.removesuffix(".processor") for name in self.unet.attn_processors]  # pyright: ignore[reportGeneralTypeIssues, reportCallIssue, reportArgumentType]
        if missing := [name for name in names if name not in by_name]:
            raise ValueError(f"the table of sites lacks {missing[0]}")
        processors = {f"{name}.processor": SiteProcessor(by_name[name], self.present) for name in names}
        self.unet.set_attn_processor(processors)  # pyright: ignore[reportCallIssue]
        for name, module in self.unet.named_modules():
            if name in by_name and by_name[name].kind == "resnet":
                module.conv2.register_forward_hook(self.present.hook(by_name[name]))  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]

    def forward(self, groups: Sequence[Group], bucket: int) -> list[Reply]:
        """Evaluate these groups, of one model and shape, in one pass padded to `bucket` rows."""
        rows = [row for group in groups for row in group.rows]
        with self._passing:  # runs of several threads may share this network
            self.present.now = Pass.of(groups)
            try:
                with torch.set_grad_enabled(groups[0].wants_grad):
                    out = self._evaluate(rows, bucket)
                    predictions = iter(self._split(rows, out))
                recorded = self.present.now.recorded()
            finally:
                self.present.now = Pass([])
        return [
            Reply(tuple(islice(predictions, len(group.rows))), maps)
            for group, maps in zip(groups, recorded, strict=True)
        ]

    def _evaluate(self, rows: Sequence[Row], bucket: int) -> Tensor:
        x = torch.stack([row.x.to(self.device, self.dtype) for row in rows])
        context = torch.stack([row.prompt.embeds.to(self.device, self.dtype) for row in rows])
        timesteps = torch.tensor([row.timestep for row in rows], device=self.device)
        args = (padded(x, bucket), padded(timesteps, bucket))
        kwargs = {"encoder_hidden_states": padded(context, bucket), "return_dict": False}
        weights = rows[0].model.delta.over(self._base)
        answer = functional_call(self.unet, weights, args, kwargs) if weights else self.unet(*args, **kwargs)
        return answer[0][: len(rows)]

    def _split(self, rows: Sequence[Row], out: Tensor) -> list[Prediction]:
        """Once per precision: EDICT's float64 rows share the network with the others, not the arithmetic after it."""
        answers: dict[int, Prediction] = {}
        for dtype in dict.fromkeys(row.x.dtype for row in rows):
            which = [i for i, row in enumerate(rows) if row.x.dtype == dtype]
            x = torch.stack([rows[i].x for i in which])
            raw = (out if len(which) == len(rows) else out[which]).to(dtype)
            levels = [(rows[i].level.alpha, rows[i].level.sigma) for i in which]
            scales = torch.tensor(levels, dtype=dtype, device=x.device)[:, :, None, None, None]
            pairs = split(self.kind, x, raw, scales[:, 0], scales[:, 1])
            answers.update(zip(which, map(Prediction, pairs.unbind(0)), strict=True))
        return [answers[i] for i in range(len(rows))]


def padded(batch: Tensor, bucket: int) -> Tensor:
    """The batch made `bucket` rows long by repeating its last row."""
    extra = bucket - len(batch)
    return batch if extra <= 0 else torch.cat((batch, batch[-1:].expand(extra, *batch.shape[1:])))
