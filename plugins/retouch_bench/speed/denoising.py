"""Sections `denoiser` and `compiled`: rows a second of one network, evaluated in every way that the engine has."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor

from retouch.api import Denoiser, ModelDelta, Prompt, Schedule, Step
from retouch.api.families import noise_levels
from retouch.api.kit import Acceleration, NetworkCore, UNet
from retouch.api.models import Group, Row
from retouch_bench.speed.budget import Budget
from retouch_bench.speed.report import release
from retouch_bench.speed.setting import Setting, name_of
from retouch_bench.speed.timing import timing

LOOP = "diffusers loop"
SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}
BUCKETS = (32, 8, 1, 16, 2, 4)  # the most telling first
MODES: Mapping[str, Acceleration] = {
    "eager": Acceleration(),
    "graphs + fused norms": Acceleration(channels_last=True, fused_norms=True, graphs=True),
    "graphs": Acceleration(graphs=True),
    "fused norms": Acceleration(channels_last=True, fused_norms=True),
    "graphs + channels_last": Acceleration(channels_last=True, graphs=True),
    "channels_last": Acceleration(channels_last=True),
    "graphs + fused norms, cudnn attention": Acceleration(
        channels_last=True, fused_norms=True, graphs=True, attention="cudnn"
    ),
}
HALF_MODES = ("eager", "graphs + fused norms")
LORA_MODES = {f"{name}, under a LoRA": MODES[name] for name in ("eager", "graphs + fused norms")}
LORA_RANK = 16
AS_IT_IS = 12  # calls under a LoRA after which all that is captured was captured
COMPILED: Mapping[str, Acceleration] = {
    "compiled + graphs + channels_last": Acceleration(channels_last=True, compiled=True, graphs=True),
    "compiled": Acceleration(compiled=True),
}
COMPILING = 40.0  # seconds that a compilation is taken to need


class Evaluated(Protocol):
    """One way to evaluate the network: on a batch of rows, to what it predicts."""

    def __call__(self, batch: Batch) -> Tensor:
        """[rows, C, h, w]"""
        ...


class Batch:
    """Random latents and prompts of so many rows, each row its own, at one step of ten."""

    def __init__(
        self,
        latent: Sequence[int],
        prompt: Sequence[int],
        step: Step,
        rows: int,
        like: Tensor,
        seed: int,
        pooled: int = 0,
    ) -> None:
        """latent: [C, h, w].  prompt: [tokens, dim].  like: of what kind, and where.

        pooled: how many numbers are pooled of a whole prompt.
        """
        numbers = torch.Generator().manual_seed(seed)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(rows, *shape, generator=numbers).to(like.device, like.dtype)

        self.x, self.context, self.step = drawn(*latent), drawn(*prompt), step
        self.extra = {"pooled": drawn(pooled)} if pooled else {}

    def groups(self, model: Denoiser) -> list[Group]:
        """A group for each row, as plain stages ask."""
        level = self.step.noisy
        prompts = [
            Prompt("", embeds, extra={name: each[row] for name, each in self.extra.items()})
            for row, embeds in enumerate(self.context)
        ]
        rows = [Row(model, x, level, level.timestep, prompt) for x, prompt in zip(self.x, prompts, strict=True)]
        return [Group((row,), (("cond",),)) for row in rows]


class Subject(Protocol):
    """A network whose speed is measured; about: what tells its rows from others'."""

    @property
    def about(self) -> Mapping[str, Any]: ...

    def module(self, device: torch.device, dtype: torch.dtype) -> Any:
        """The network as diffusers has it, with random weights."""
        ...

    def core(self, module: Any, acceleration: Acceleration) -> NetworkCore:
        """As the engine evaluates it."""
        ...

    def loop(self, module: Any) -> Evaluated:
        """As its pipeline evaluates it."""
        ...

    def batch(self, rows: int, like: Tensor, seed: int) -> Batch:
        """What to evaluate it on."""
        ...

    def floor(self, rows: int, dtype: torch.dtype) -> float | None:
        """Least seconds of a call of so many rows; None where that is not known."""
        ...


class GivenNetwork:
    """The setting's own network."""

    about: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, setting: Setting) -> None:
        self.setting, self.shape = setting, setting.shape

    def module(self, device: torch.device, dtype: torch.dtype) -> Any:
        """A UNet."""
        return self.shape.denoiser(device, dtype)

    def core(self, module: Any, acceleration: Acceleration) -> NetworkCore:
        """With its sites."""
        return NetworkCore(UNet(module), "epsilon", self.shape.sites, acceleration=acceleration)

    def loop(self, module: Any) -> Evaluated:
        """The UNet with its default processors, and DDIM."""
        return ThroughDiffusers(module, self.setting.device)

    def batch(self, rows: int, like: Tensor, seed: int) -> Batch:
        """At Stable Diffusion's levels."""
        return Batch(self.shape.latent, self.shape.prompt, schedule(10).steps[seed % 10], rows, like, seed)

    def floor(self, rows: int, dtype: torch.dtype) -> float | None:
        """As counted before."""
        return self.setting.floor("denoiser", rows, dtype)


def schedule(steps: int) -> Schedule:
    """A walk over Stable Diffusion's levels."""
    levels = noise_levels(SCHEDULER)
    return Schedule.ddim(levels.alphas_cumprod, steps, offset=levels.steps_offset, to_one=levels.set_alpha_to_one)


class ThroughEngine:
    """The engine's own path, from groups to replies; under a LoRA beside all matrices of attention that adds zeros."""

    def __init__(self, core: NetworkCore, lora: bool = False) -> None:
        self.model = Denoiser(core)
        if lora:
            sites = tuple(f"{site.name}." for site in core.sites)
            names = [name for name, each in core.base.items() if name.startswith(sites) and each.ndim == 2]
            self.model = self.model.tuned(ModelDelta(low_rank={name: _nothing(core.base[name]) for name in names}))

    def __call__(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            replies = self.model.core.forward(batch.groups(self.model), len(batch.x))
            return torch.stack([reply.predictions[0].eps for reply in replies])


def _nothing(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Up [out, r] and down [r, in] of a LoRA that adds zeros."""
    return weight.new_zeros(len(weight), LORA_RANK), weight.new_ones(LORA_RANK, weight.shape[1])


class ThroughDiffusers:
    """What a pipeline does at each step: the network with its default processors, then DDIMScheduler.step."""

    def __init__(self, unet: Any, device: torch.device) -> None:
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler

        self.unet, self.scheduler = unet, DDIMScheduler(**SCHEDULER)
        self.scheduler.set_timesteps(10, device=device)

    def __call__(self, batch: Batch) -> Tensor:
        timestep = self.scheduler.timesteps[batch.step.index]
        with torch.no_grad():
            out = self.unet(batch.x, timestep, encoder_hidden_states=batch.context, return_dict=False)[0]
            self.scheduler.step(out, timestep, batch.x, return_dict=False)  # pyright: ignore[reportArgumentType] 0-d tensor
        return out


class DenoiserBench:
    """Ways to evaluate one set of weights, each on a copy of its own, compared with the first that is eager."""

    def __init__(
        self, setting: Setting, section: str, dtype: torch.dtype, budget: Budget, subject: Subject | None = None
    ) -> None:
        self.setting, self.section, self.dtype, self.budget = setting, section, dtype, budget
        self.subject = subject or GivenNetwork(setting)
        self.base = self.subject.module(setting.device, dtype)
        self.eager: dict[int, Tensor] = {}

    def loop(self, buckets: Sequence[int]) -> None:
        """Measure the plain loop of diffusers."""
        self._measure(LOOP, lambda: self.subject.loop(copy.deepcopy(self.base)), buckets)

    def mode(self, name: str, acceleration: Acceleration, buckets: Sequence[int]) -> None:
        """Measure the engine in one mode."""

        def make() -> Evaluated:
            core = self.subject.core(copy.deepcopy(self.base), acceleration)
            return ThroughEngine(core, lora=name in LORA_MODES)

        self._measure(name, make, buckets)

    def _measure(self, name: str, make: Callable[[], Evaluated], buckets: Sequence[int]) -> None:
        made: list[Evaluated] = []
        for rows in buckets:

            def measure(rows: int = rows) -> Mapping[str, Any]:
                compiles = name in COMPILED and self.setting.device.type == "cuda"
                self.budget.need(COMPILING if compiles else 1)
                if not made:
                    made.append(make())
                evaluate = made[0]
                setting = self.setting
                like = torch.empty(0, device=setting.device, dtype=self.dtype)
                batch, other = (self.subject.batch(rows, like, seed) for seed in (0, 1))
                calls = iter(range(10**9))
                # A first call on other numbers: what is captured there must not come back here.
                warm = AS_IT_IS if name in LORA_MODES else 3

                def call() -> Tensor:
                    return evaluate(batch if next(calls) else other)

                found = timing(call, setting.device, setting.repeat, warm)
                floor = self.subject.floor(rows, self.dtype)
                return {
                    "rows_a_second": rows / found.each,
                    "ms_a_row": found.each / rows * 1e3,
                    "of_floor": setting.of_floor(floor, found.each),
                    "issue_ms": found.issue * 1e3,
                    "first_seconds": found.first,
                    "off_eager": self._off_eager(name, rows, evaluate(batch).float()),
                }

            self.setting.report.attempt(
                self.section,
                {**self.subject.about, "mode": name, "dtype": name_of(self.dtype), "rows": rows},
                measure,
            )
        made.clear()
        release()

    def _off_eager(self, name: str, rows: int, out: Tensor) -> float | None:
        """Root mean square of the difference to the eager prediction, relative to it."""
        if not bool(torch.isfinite(out).all()):
            raise ArithmeticError("the prediction is not finite")
        if name == "eager":
            self.eager[rows] = out
        eager = self.eager.get(rows)
        return None if eager is None else float((out - eager).square().mean().sqrt() / eager.square().mean().sqrt())


def denoiser(setting: Setting, budget: Budget) -> None:
    """Every mode in every bucket, and the plain loop beside them; two under a LoRA and in the other half precision."""
    buckets = (2, 1) if setting.toy else BUCKETS
    bench = DenoiserBench(setting, "denoiser", setting.dtype, budget)
    bench.mode("eager", MODES["eager"], buckets)
    bench.loop(buckets)
    others = [name for name in MODES if name != "eager"]
    bench.mode(others[0], MODES[others[0]], buckets)
    for name, acceleration in LORA_MODES.items():
        bench.mode(name, acceleration, buckets[1:3])
    for name in others[1:]:
        bench.mode(name, MODES[name], buckets)
    del bench
    release()
    bench = DenoiserBench(setting, "denoiser", setting.half, budget)
    for name in HALF_MODES:
        bench.mode(name, MODES[name], buckets[:2])


def compiled(setting: Setting, budget: Budget) -> None:
    """Compiled modes in the two largest buckets that matter; each compilation may take a minute."""
    bench = DenoiserBench(setting, "compiled", setting.dtype, budget)
    for rows in (2,) if setting.toy else (32, 8):
        bench.mode("eager", MODES["eager"], [rows])
        for name, acceleration in COMPILED.items():
            bench.mode(name, acceleration, [rows])
