"""The network behind `await model(...)`: packs groups into one forward pass, whatever the family."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from threading import Lock
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from retouch.core.awaited.requests import Group, Reply, Row
from retouch.core.declared.touches import Site
from retouch.core.device.transfer import upload_numbers
from retouch.core.schedule import Prediction, PredictionKind, split
from retouch.core.tuning import LowRank, ModelDelta
from retouch.models.errors import BrokenModel
from retouch.models.family import Ask, Net, Rows
from retouch.models.large import LARGE
from retouch.models.network.acceleration import EAGER, Acceleration
from retouch.models.network.beside import beside
from retouch.models.network.captured import CapturedNetwork
from retouch.models.network.compiling import compiled
from retouch.models.network.fusing import prepare
from retouch.models.network.placed import WHOLE, placed
from retouch.models.network.recomputed import Recomputing, standing_in
from retouch.models.network.seam import Pass, Seam
from retouch.models.network.signatures import remember_signatures

_CUDNN_FIRST = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]
_NO_NUMBERS: Mapping[str, float] = MappingProxyType({})


class NetworkCore:
    """One network of any family, whose weights are never written to.

    A pass that no control joins is the module's own forward, bit for bit; see `Seam` for the others.
    """

    def __init__(
        self,
        net: Net,
        kind: PredictionKind,
        sites: Sequence[Site],
        told: Mapping[str, float] = _NO_NUMBERS,
        acceleration: Acceleration = EAGER,
        digest: str = "",
        part: str = "unet",
    ) -> None:
        """told: the numbers that the network reads beside x, time and prompt, and what they are where no row says.

        digest: the fingerprint of its weights' files; part: their folder in the layout of diffusers.
        """
        self.digest, self.part = digest, part
        self.net, self._sites = net, tuple(sites)
        self.kind: PredictionKind = kind
        self.told, self.acceleration = dict(told), acceleration
        # The base weights are everybody's: gradients are asked of what stands in for them.
        self.module = net.module.requires_grad_(False).eval()
        prepare(self.module, acceleration)
        remember_signatures(self.module)
        self._base = dict(self.module.named_parameters())
        # Whole numbers, which some networks have among their parameters, tell no precision.
        first = next(weight for weight in self.module.parameters() if weight.is_floating_point())
        self.device, self.dtype = first.device, first.dtype
        # One pass is packed, evaluated and read at a time, and one alone has its weights and hooks in the module: where
        # a pass is captured with its way back, blocks of another's may have to be done again before that can begin.
        self._seam, self._answering, self._passing = Seam(net, sites), Lock(), Lock()
        self._recomputing = Recomputing(self.module)
        self.recomputes = sum(weight.numel() for weight in self._base.values()) >= LARGE
        self._module: Any = compiled(self.module) if self.acceleration.compiled else self.module
        self._waves: dict[Hashable, Tensor] = {}
        graphs = self.acceleration.graphs and self.net.capturable and self.device.type == "cuda"
        self._captured = CapturedNetwork(self._passed) if graphs else None

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where controls may act."""
        return self._sites

    @property
    def base(self) -> Mapping[str, Tensor]:
        """The base weights by parameter name; read-only."""
        return MappingProxyType(self._base)

    def kernels(self, group: Group) -> Hashable:
        """Compiled kernels round differently, and controls cannot enter them: such groups never share a pass."""
        return self.acceleration.compiled and bool(group.scopes)

    def forward(self, groups: Sequence[Group], bucket: int) -> list[Reply]:
        """Evaluate these groups, of one model and shape, in one pass padded to `bucket` rows."""
        rows = [row for group in groups for row in group.rows]
        now = Pass.of(groups)
        with self._answering:  # runs of several threads may share this network
            with torch.set_grad_enabled(groups[0].wants_grad), self._attention():
                packed = self._packed(rows, bucket)
                delta = groups[0].rows[0].model.delta
                drawn = delta.place not in (None, WHOLE)
                if self._captured and not (now.joined or delta.wants_grad or drawn):
                    out = self._captured(packed, delta)
                else:
                    out = self._passed(packed, delta, now, lambda: Pass.of(groups))
                if not isinstance(out, Tensor) or out.shape != packed.x.shape:
                    gave = f"{list(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
                    raise BrokenModel(
                        f"{type(self.net).__name__}.forward, of its family, gives {gave} for {list(packed.x.shape)}"
                    )
                # Rows beyond those are padding, whose predictions nobody asked for.
                predictions = iter(self._split(rows, out[: len(rows)]))
            recorded, kept = now.recorded(), now.kept()
        return [
            Reply(tuple(islice(predictions, len(group.rows))), maps, each)
            for group, maps, each in zip(groups, recorded, kept, strict=True)
        ]

    def _attention(self) -> Any:
        if self.acceleration.attention == "cudnn":
            return sdpa_kernel(_CUDNN_FIRST, set_priority=True)
        return nullcontext()

    def _controlled(self, now: Pass | None, packed: Rows) -> Any:
        return self._seam.around(now, self.net.spans(packed)) if now and now.joined else nullcontext()

    def _passed(
        self, rows: Rows, delta: ModelDelta, now: Pass | None = None, anew: Callable[[], Pass | None] = lambda: None
    ) -> Tensor:  # [bucket, C, h, w]
        """One pass under a delta.  now: the scopes that act in it; anew: the same, for blocks that are done again."""
        done_again = self.recomputes and torch.is_grad_enabled()  # by weights, words or latents: all keep the same
        weights = delta.over(self._base) if delta.weights else {}

        @contextmanager
        def again() -> Iterator[None]:
            """What surrounds a block that is done again, when this pass has long ended."""
            with (
                self._passing,
                self._attention(),
                self._controlled(anew(), rows),
                self._beside(delta),
                standing_in(self.module, weights),
            ):
                yield

        recomputed = self._recomputing.around(again) if done_again else nullcontext()
        scoped = now is not None and now.joined
        module = self.module if scoped or done_again or delta.acts else self._module
        with self._passing, self._controlled(now, rows), self._beside(delta), recomputed:
            return self.net.forward(self._under(weights) if weights else module, rows)

    @contextmanager
    def _beside(self, delta: ModelDelta) -> Iterator[None]:
        """Let all of a tuning act that stands in for no weight."""
        low_rank = {} if delta.weights else {name: (LowRank(*pair),) for name, pair in delta.low_rank.items()}
        with (
            beside(self.module, delta.beside),
            placed(self.module, delta.place, self._waves),
            beside(self.module, low_rank),
        ):
            yield

    def _under(self, weights: Mapping[str, Tensor]) -> Ask:
        """The module with these in place of some of its weights."""

        def ask(*args: Any, **kwargs: Any) -> Any:
            return functional_call(self.module, dict(weights), args, kwargs)

        return ask

    def _packed(self, rows: Sequence[Row], bucket: int) -> Rows:
        if strange := {name for row in rows for name in row.told} - self.told.keys():
            raise ValueError(f"this model is not told '{min(strange)}'")
        # Groups of one call have the same longest prompt (see `key_of`), so company lengthens nobody's.
        tokens = max([row.prompt.embeds.shape[0] for row in rows])
        x = self._stacked([row.x for row in rows], bucket)
        if self.acceleration.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        numbers = {name: [row.told.get(name, usual) for row in rows] for name, usual in self.told.items()}
        extra: dict[str, Tensor] = {}
        for name in rows[0].prompt.extra:
            given = [row.prompt.extra[name] for row in rows]
            if name == "mask":  # [tokens], as long as the words are; others are of the whole prompt
                given = [longer(each, tokens) for each in given]
            extra[name] = self._stacked(given, bucket)
        return Rows(
            x,
            self._numbers([row.timestep for row in rows], bucket),
            self._stacked([longer(row.prompt.embeds, tokens) for row in rows], bucket),
            extra,
            {name: self._numbers(values, bucket) for name, values in numbers.items()},
        )

    def _stacked(self, tensors: Sequence[Tensor], bucket: int) -> Tensor:  # [...] each -> [bucket, ...]
        dtype = self.dtype if tensors[0].is_floating_point() else tensors[0].dtype
        return padded(torch.stack([each.to(self.device, dtype) for each in tensors]), bucket)

    def _numbers(self, numbers: Sequence[float], bucket: int) -> Tensor:  # [bucket]
        return padded(upload_numbers(numbers, torch.float32, self.device), bucket)

    def _split(self, rows: Sequence[Row], out: Tensor) -> list[Prediction]:
        """Once per precision: EDICT's float64 rows share the network with the others, not the arithmetic after it.

        out: Tensor  # [rows, C, h, w], what the network put out
        """
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


def longer(tokens: Tensor, length: int) -> Tensor:
    """So many tokens: what a group's longest prompt has more is zeros, which its mask leaves out.

    tokens: Tensor  # [tokens, ...] -> [length, ...]
    """
    short = length - tokens.shape[0]
    return F.pad(tokens, (0, 0) * (tokens.ndim - 1) + (0, short)) if short else tokens


def padded(batch: Tensor, bucket: int) -> Tensor:
    """The batch made `bucket` rows long by repeating its last row.  [B, ...] -> [bucket, ...]"""
    extra = bucket - len(batch)
    return batch if extra <= 0 else torch.cat((batch, batch[-1:].expand(extra, *batch.shape[1:])))
