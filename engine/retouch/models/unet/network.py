"""The network behind `await model(...)`: packs groups into one forward pass of a diffusers UNet."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from retouch.core.requests import Group, Reply, Row
from retouch.core.schedule import Prediction, PredictionKind, split
from retouch.core.touches import Site
from retouch.core.transfer import upload_numbers
from retouch.models.unet.acceleration import EAGER, Acceleration
from retouch.models.unet.attention_processor import Pass, PresentPass, SiteProcessor
from retouch.models.unet.captured import CapturedNetwork, Network
from retouch.models.unet.fusing import prepare

_CUDNN_FIRST = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]


class UNetCore:
    """One UNet2DConditionModel, whose weights are never written to.

    Every attention module gets a processor of ours, every residual block a hook; both see only the present pass.
    """

    def __init__(
        self, unet: nn.Module, kind: PredictionKind, sites: Sequence[Site], acceleration: Acceleration = EAGER
    ) -> None:
        self.acceleration = acceleration
        self.unet, self._sites = unet.requires_grad_(False).eval(), tuple(sites)
        prepare(self.unet, acceleration)
        self.kind: PredictionKind = kind
        self._base = dict(unet.named_parameters())
        first = next(unet.parameters())
        self.device, self.dtype = first.device, first.dtype
        self.present, self._passing = PresentPass(), Lock()
        self._install()
        self._fast = self._accelerated()

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

    def _accelerated(self) -> Network:
        """The network as rows that no control joins are evaluated."""
        network: Any = torch.compile(self.unet, dynamic=False) if self.acceleration.compiled else self.unet

        def plain(x: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
            return network(x, timesteps, encoder_hidden_states=context, return_dict=False)[0]

        return CapturedNetwork(plain) if self.acceleration.graphs and self.device.type == "cuda" else plain

    def kernels(self, group: Group) -> Hashable:
        """Compiled kernels round differently, and controls cannot enter them: such groups never share a pass."""
        return self.acceleration.compiled and bool(group.scopes)

    def forward(self, groups: Sequence[Group], bucket: int) -> list[Reply]:
        """Evaluate these groups, of one model and shape, in one pass padded to `bucket` rows."""
        rows = [row for group in groups for row in group.rows]
        with self._passing:  # runs of several threads may share this network
            self.present.now = now = Pass.of(groups) if any(group.scopes for group in groups) else None
            try:
                with torch.set_grad_enabled(groups[0].wants_grad), self._attention():
                    out = self._evaluate(rows, bucket)
                    predictions = iter(self._split(rows, out))
                recorded = now.recorded() if now else [()] * len(groups)
            finally:
                self.present.now = None
        return [
            Reply(tuple(islice(predictions, len(group.rows))), maps)
            for group, maps in zip(groups, recorded, strict=True)
        ]

    def _attention(self) -> Any:
        if self.acceleration.attention == "cudnn":
            return sdpa_kernel(_CUDNN_FIRST, set_priority=True)
        return nullcontext()

    def _evaluate(self, rows: Sequence[Row], bucket: int) -> Tensor:
        x = padded(torch.stack([row.x.to(self.device, self.dtype) for row in rows]), bucket)
        context = padded(torch.stack([row.prompt.embeds.to(self.device, self.dtype) for row in rows]), bucket)
        timesteps = padded(upload_numbers([row.timestep for row in rows], torch.float32, self.device), bucket)
        if self.acceleration.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        weights = rows[0].model.delta.over(self._base)
        if not weights and self.present.now is None:
            return self._fast(x, timesteps, context)[: len(rows)]
        told = {"encoder_hidden_states": context, "return_dict": False}
        if weights:
            return functional_call(self.unet, weights, (x, timesteps), told)[0][: len(rows)]
        return self.unet(x, timesteps, **told)[0][: len(rows)]

    def _split(self, rows: Sequence[Row], out: Tensor) -> list[Prediction]:
        """Once per precision: EDICT's float64 rows share the network with the others, not the arithmetic after it."""
        answers: dict[int, Prediction] = {}
        for dtype in dict.fromkeys(row.x.dtype for row in rows):
            which = [i for i, row in enumerate(rows) if row.x.dtype == dtype]
            x = torch.stack([rows[i].x for i in which])
            raw = (out if len(which) == len(rows) else torch.stack([out[i] for i in which])).to(dtype)
            levels = [(rows[i].level.alpha, rows[i].level.sigma) for i in which]
            scales = upload_numbers(levels, dtype, x.device)[:, :, None, None, None]
            pairs = split(self.kind, x, raw, scales[:, 0], scales[:, 1])
            answers.update(zip(which, map(Prediction, pairs.unbind(0)), strict=True))
        return [answers[i] for i in range(len(rows))]


def padded(batch: Tensor, bucket: int) -> Tensor:
    """The batch made `bucket` rows long by repeating its last row."""
    extra = bucket - len(batch)
    return batch if extra <= 0 else torch.cat((batch, batch[-1:].expand(extra, *batch.shape[1:])))
