"""Section `families`: networks of the exact shape of other families' published ones, with random weights.

Each beside its floor and beside what its pipeline of diffusers does at each step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from retouch.api import Schedule
from retouch.api.families import Described, ModelFamily, Net, Rows
from retouch.api.kit import Acceleration, NetworkCore
from retouch_bench.speed.budget import Budget
from retouch_bench.speed.ceilings import GIGA, TERA
from retouch_bench.speed.counting import CountedWork, work_of
from retouch_bench.speed.denoising import MODES, SCHEDULER, Batch, DenoiserBench, Evaluated
from retouch_bench.speed.report import release
from retouch_bench.speed.setting import Setting
from retouch_models import flux, sd3, sdxl
from retouch_models.networks.flux import FluxNet
from retouch_models.networks.sd3 import SD3Net
from retouch_models.networks.sdxl import UNetXL
from retouch_models.published import PUBLISHED

BUCKETS = (8, 1, 4, 2)
STEPS = 10
TOY_CELLS, TOY_WORDS = 8, 8
MAKING = 20.0  # seconds that twelve billion random weights are taken to need


class Published(NamedTuple):
    """One model.

    part, kind: the folder of its denoiser, and its class in diffusers.
    asked: how its family asks the network.
    prompt: [tokens, dim] of a text as its pipeline pads it.  pooled: numbers of what is pooled of it.
    tiny: what is smaller of its config where a CPU rehearses.
    """

    pipeline: str
    name: str
    family: ModelFamily
    part: str
    kind: str
    asked: Callable[[Any], Net]
    prompt: tuple[int, int]
    pooled: int
    tiny: Mapping[str, Any]


_TINY_SD3 = {"num_layers": 2, "num_attention_heads": 2, "caption_projection_dim": 128, "pos_embed_max_size": 16}
_SD3 = ("StableDiffusion3Pipeline", "SD3Transformer2DModel", lambda module: SD3Net(module, 2), (333, 4096), 2048)
_TINY_XL = {"block_out_channels": [32, 64, 64], "attention_head_dim": [2, 2, 2], "transformer_layers_per_block": 1}
_TINY_FLUX = {"num_layers": 1, "num_single_layers": 1, "num_attention_heads": 2}


def _sd3(name: str, **tiny: Any) -> Published:
    pipeline, kind, asked, prompt, pooled = _SD3
    return Published(pipeline, name, sd3.FAMILY, "transformer", kind, asked, prompt, pooled, _TINY_SD3 | tiny)


MODELS = {
    "sdxl": Published(
        "StableDiffusionXLPipeline",
        "Stable Diffusion XL",
        sdxl.FAMILY,
        "unet",
        "UNet2DConditionModel",
        lambda module: UNetXL(module, 8),
        (77, 2048),
        1280,
        _TINY_XL,
    ),
    "sd35-medium": _sd3("Stable Diffusion 3.5 medium", dual_attention_layers=[0]),
    "sd35-large": _sd3("Stable Diffusion 3.5 large"),
    "flux-dev": Published(
        "FluxPipeline",
        "FLUX.1 dev",
        flux.FAMILY,
        "transformer",
        "FluxTransformer2DModel",
        FluxNet,
        (512, 4096),
        768,
        _TINY_FLUX,
    ),
}


class FamilyNetwork:
    """The denoiser of a published model, at full size or tiny, as `Bench` measures it."""

    def __init__(self, of: Published, setting: Setting) -> None:
        self.of, self.setting = of, setting
        self.configs = dict(PUBLISHED[of.pipeline][of.name])
        if setting.toy:
            file = f"{of.part}/config.json"
            self.configs[file] = {**self.configs[file], **of.tiny}
        self.known: Described = of.family.describe(self._read)
        self.cells = TOY_CELLS if setting.toy else self.known.trained_size // self.known.scale
        self.work: CountedWork | None = None

    def _read(self, file: str) -> Mapping[str, Any]:
        return self.configs[file]

    @property
    def about(self) -> Mapping[str, Any]:
        """Its name, and the side of a picture in pixels."""
        return {"network": self.of.name, "side": self.cells * self.known.scale}

    @property
    def latent(self) -> tuple[int, int, int]:
        """[C, h, w] of one picture."""
        return self.known.channels, self.cells, self.cells

    @property
    def prompt(self) -> tuple[int, int]:
        """[tokens, dim] of one text."""
        return (TOY_WORDS if self.setting.toy else self.of.prompt[0]), self.of.prompt[1]

    @cached_property
    def schedule(self) -> Schedule:
        """A walk of its pipeline."""
        return self.of.family.schedule(self._read, STEPS, self.latent[1:])

    def module(self, device: torch.device | str, dtype: torch.dtype) -> Any:
        """The network as diffusers has it, with random weights."""
        import diffusers

        usual = torch.get_default_dtype()
        torch.set_default_dtype(dtype)  # twelve billion weights are not made in float32 first
        try:
            with torch.device(device):
                module = getattr(diffusers, self.of.kind)(**self.configs[f"{self.of.part}/config.json"])
        finally:
            torch.set_default_dtype(usual)
        return torch.nn.Module.to(module, dtype).eval().requires_grad_(False)

    def core(self, module: Any, acceleration: Acceleration) -> NetworkCore:
        """As the engine evaluates it."""
        return NetworkCore(
            self.of.asked(module), self.known.prediction, self.known.sites, self.known.told, acceleration
        )

    def loop(self, module: Any) -> Evaluated:
        """The network with its default processors, then one step of its pipeline's scheduler."""
        return ThroughPipeline(self, module)

    def batch(self, rows: int, like: Tensor, seed: int) -> Batch:
        """Of the walk's own levels."""
        step = self.schedule.steps[seed % STEPS]
        return Batch(self.latent, self.prompt, step, rows, like, seed, self.of.pooled)

    def rows(self, batch: Batch) -> Rows:
        """As its pipeline hands them over."""
        count, like = len(batch.x), batch.x
        told = {name: like.new_full((count,), number) for name, number in self.known.told.items()}
        times = torch.full((count,), batch.step.noisy.timestep, device=like.device, dtype=torch.float32)
        return Rows(batch.x, times, batch.context, batch.extra, told)

    def count(self) -> CountedWork:
        """What a row takes, counted on the meta device."""
        dtype = self.setting.dtype
        net = self.of.asked(self.module("meta", dtype))

        def pass_of(rows: int) -> object:
            def empty(*size: int) -> Tensor:
                return torch.empty(rows, *size, device="meta", dtype=dtype)

            told = {name: empty() for name in self.known.told}
            times = torch.empty(rows, device="meta")
            extra = {"pooled": empty(self.of.pooled)}
            return net.forward(net.module, Rows(empty(*self.latent), times, empty(*self.prompt), extra, told))

        return work_of(pass_of)

    def floor(self, rows: int, dtype: torch.dtype) -> float | None:
        """Least seconds of a call of so many rows."""
        most = self.setting.ceilings.get(dtype)
        return self.work.seconds(rows, most) if most and self.work else None


class ThroughPipeline:
    """What a pipeline does at each step."""

    def __init__(self, network: FamilyNetwork, module: Any) -> None:
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler
        from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler

        self.network, self.net = network, network.of.asked(module)
        flow = network.known.prediction == "flow"
        self.scheduler: Any = FlowMatchEulerDiscreteScheduler() if flow else DDIMScheduler(**SCHEDULER)
        self.scheduler.set_timesteps(STEPS, device=network.setting.device)

    def __call__(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            out = self.net.forward(self.net.module, self.network.rows(batch))
            self.scheduler.step(out, self.scheduler.timesteps[batch.step.index], batch.x, return_dict=False)
            if hasattr(self.scheduler, "_step_index"):
                self.scheduler._step_index = None  # the next call is a first one, too
            # To compare: the engine answers with noise, and flow's network with noise less the picture.
            return batch.x + batch.step.noisy.alpha * out if self.network.known.prediction == "flow" else out


def families(setting: Setting, budget: Budget) -> None:
    """Every one of them; a model for which there is no time or memory leaves the others."""
    for index, each in enumerate(MODELS.values()):
        _measured(FamilyNetwork(each, setting), budget.part(1 / (len(MODELS) - index)))
        release()


def _measured(network: FamilyNetwork, budget: Budget) -> None:
    """One network: its floor, eager, as the loop of its pipeline, and as graphs."""
    setting, made = network.setting, list[DenoiserBench]()

    def make() -> Mapping[str, Any]:
        budget.need(0.1 if setting.toy else MAKING)
        made.append(DenoiserBench(setting, "families", setting.dtype, budget, network))
        return {"parameters": sum(weight.numel() for weight in made[0].base.parameters())}

    setting.report.attempt("families", {**network.about, "mode": "floor"}, lambda: _counted(network))
    setting.report.attempt("families", {**network.about, "mode": "random weights"}, make)
    buckets = (2, 1) if setting.toy else BUCKETS
    best = "graphs + fused norms" if network.of.part == "unet" else "graphs"
    for bench in made:
        bench.mode("eager", MODES["eager"], buckets)
        bench.loop(buckets)
        bench.mode(best, MODES[best], buckets)


def _counted(network: FamilyNetwork) -> Mapping[str, Any]:
    network.work = network.count()
    floors = {rows: network.floor(rows, network.setting.dtype) for rows in (1, 8)}
    return {
        "tflop": network.work.flops / TERA,
        "GB a call": network.work.bytes(1) / GIGA,
        **{f"floor, ms a row of {rows}": None if at is None else at / rows * 1e3 for rows, at in floors.items()},
    }
