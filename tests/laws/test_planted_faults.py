"""Faults that authors make, each planted in a stage of its own: the laws that all stages are held to name every one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch

from retouch.api import (
    AttentionMaps,
    Blend,
    Ddim,
    Denoiser,
    Edit,
    Ending,
    Figures,
    Guidance,
    Image,
    KnownLevels,
    Latents,
    Mask,
    ModelDelta,
    NoiseSource,
    Outbox,
    Range,
    Rule,
    Schedule,
    SourceImage,
    Step,
    Touch,
    Trajectory,
    stage,
    together,
)
from retouch.core.errors import BrokenTouch
from retouch.testing.laws import stage_laws
from retouch.testing.worlds import tiny_world


@dataclass(frozen=True)
class Fault:
    """A stage, and what is said of it."""

    stage: Callable[..., Any]
    words: str
    options: dict[str, Any]


FAULTS: dict[str, Fault] = {}


def planted(words: str, **options: Any) -> Callable[..., Any]:
    """List a stage with the words that name its fault."""

    def listed(function: Callable[..., Any]) -> Callable[..., Any]:
        FAULTS[function.__name__] = Fault(function, words, options)
        return function

    return listed


@planted("the same inputs gave another result")
@stage("mask", "a")
def counts_its_calls(latents: Latents) -> Mask:
    CALLS.append(0)
    return Mask(torch.full((8, 8), 1 / len(CALLS)), 4)


CALLS: list[int] = []


@planted("draws from the global generator of torch; take a NoiseSource")
@stage("mask", "a")
def draws_with_torch(latents: Latents) -> Mask:
    torch.manual_seed(0)
    return Mask(torch.rand(8, 8), 4)


@planted("draws from the global generator of random")
@stage("mask", "a")
def draws_with_python(latents: Latents) -> Mask:
    return Mask(torch.full((8, 8), random.random()), 4)


@planted("wrote into its input 'latents.data'")
@stage("mask", "a")
def writes_into_latents(latents: Latents) -> Mask:
    latents.data.clamp_(-1, 1)
    return Mask(torch.ones(8, 8), 4)


@planted("wrote into its input 'edit.target.embeds'")
@stage("mask", "a")
def writes_into_the_prompt_through_numpy(edit: Edit) -> Mask:
    edit.target.embeds.numpy()[0] += 1
    return Mask(torch.zeros(8, 8), 4)


@planted("wrote into its input 'model.core.base")
@stage("mask", "a")
def writes_into_the_network(model: Denoiser) -> Mask:
    next(iter(model.core.base.values())).data[0] += 0.001
    return Mask(torch.zeros(8, 8), 4)


@planted("'1' says 1 to 1 rows, and 2 were evaluated")
@stage("mask", "a", rows=1)
async def asks_twice(latents: Latents, model: Denoiser, schedule: Schedule, edit: Edit) -> Mask:
    level = schedule.steps[-1].noisy
    await together(a=model(latents.data, level, edit.source), b=model(latents.data, level, edit.target))
    return Mask(torch.zeros(8, 8), 4)


@planted("the mask goes up to 5")
@stage("mask", "a")
def goes_beyond_one(latents: Latents) -> Mask:
    return Mask(torch.full((8, 8), 5.0), 4)


@planted("the mask has values that are not numbers")
@stage("mask", "a")
def divides_by_nothing(latents: Latents) -> Mask:
    return Mask(torch.zeros(8, 8) / 0, 4)


@planted("a Mask, data [h, w] in [0, 1] as float32, and gave bool")
@stage("mask", "a")
def compares_and_leaves_it_there(source: SourceImage) -> Mask:
    return Mask(source.data.mean(0) > 0.5)


@planted("a Mask, data [h, w] in [0, 1], and gave a tensor")
@stage("mask", "a")
def forgets_the_type(source: SourceImage) -> Mask:
    return source.data.mean(0)  # pyright: ignore[reportReturnType]


@planted("no recipe can use it: 'threshold' has a default, so it is an option, and options stand behind '*'")
@stage("mask", "a")
def has_an_option_among_its_ports(source: SourceImage, threshold: float = 0.5) -> Mask:
    return Mask((source.data.mean(0) > threshold).to(source.data))


@planted("the default of 'threshold' is 5, and it takes a number from 0 to 1")
@stage("mask", "a")
def has_a_default_out_of_range(source: SourceImage, *, threshold: Annotated[float, Range(0, 1)] = 5) -> Mask:
    return Mask((source.data.mean(0) > threshold).to(source.data))


@planted("nothing is to change, and 100.0% is masked")
@stage("mask", "a")
def masks_whatever_is_edited(edit: Edit) -> Mask:
    return Mask(torch.ones(8, 8), 4)


@planted("no recipe can use it: 'touches' has a Touch whose kind is 'corss'")
@stage("attend", "a", touches=(Touch("corss", "transform", "q"),))  # pyright: ignore[reportArgumentType]
def misspells_its_site():
    return (lambda attn: None,)


@planted("touch 0 never acts (transform q of self, scale 16-32, steps 0%-100%): no site of this network is like that")
@stage("attend", "a", touches=(Touch("self", "transform", "q", scale=(16, 32)),))
def touches_where_nothing_is():
    return (lambda attn: None,)


@planted("start is 0.9 and until 0.5, so it never acts")
@stage("attend", "a", touches=(Touch("self", "transform", "q", start=0.9, until=0.5),))
def has_its_window_backwards():
    return (lambda attn: None,)


@planted("equal rows differ")
@stage("attend", "a", touches=(Touch("self", "transform", "q"),))
def makes_queries_louder():
    def act(attn):
        for _, target in attn.pairs("source", "target", role="cond"):
            attn.q[target] *= 2

    return (act,)


@planted("writes 'k' in rows that its touch does not name")
@stage("attend", "a", touches=(Touch("self", "transform", "k"),))
def moves_the_source():
    def act(attn):
        attn.k[:] = attn.k.flip(0).clone()

    return (act,)


@planted("the fact 'guide' says 1 rows a prediction, and 2 were evaluated")
@stage("guide", "a")
def forgets_the_fact_guide() -> Guidance:
    async def guide(model, x, level, prompt, negative):
        pred = await together(uncond=model(x, level, negative, role="uncond"), cond=model(x, level, prompt))
        return pred["uncond"].toward(pred["cond"], 2.0)

    return guide


@planted("guidance is not affine")
@stage("guide", "a")
def squares() -> Guidance:
    async def guide(model, x, level, prompt, negative):
        pred = await model(x, level, prompt)
        return type(pred)(pred.pair**2)

    return guide


def trajectory(latents: Latents, schedule: Schedule, end: float = 1.0) -> Trajectory:
    states = torch.stack([latents.data] * len(schedule) + [latents.data * end])
    return Trajectory(schedule, states[:, None], Ddim(), pinned=True)


@planted("the fact 'steps' says 3, and the trajectory has 4")
@stage("invert", "a", facts={"steps": 3, "evaluations": 1, "pinned": True})
def counts_its_steps_wrong(latents: Latents, schedule: Schedule) -> Trajectory:
    return trajectory(latents, schedule)


@planted("its facts say that 4 steps cost 8 to 8 rows, and 4 were evaluated")
@stage("invert", "a", facts={"evaluations": 2, "pinned": True})
def says_that_its_rule_asks_twice(latents: Latents, schedule: Schedule) -> Trajectory:
    return trajectory(latents, schedule)


@planted("it states no fact 'evaluations'")
@stage("invert", "a")
def states_no_facts(latents: Latents, schedule: Schedule) -> Trajectory:
    return trajectory(latents, schedule)


@planted("the fact 'pinned' says False, and the trajectory says True")
@stage("invert", "a", facts={"evaluations": 1, "pinned": False})
def says_that_it_is_not_pinned(latents: Latents, schedule: Schedule) -> Trajectory:
    return trajectory(latents, schedule)


@planted("the source branch misses the picture")
@stage("invert", "a", facts={"evaluations": 1, "pinned": True})
def ends_beside_the_picture(latents: Latents, schedule: Schedule) -> Trajectory:
    return trajectory(latents, schedule, end=0.9)


@planted("the replay misses the picture", tolerance=1e-3)
@stage("invert", "a", facts={"steps": "steps", "evaluations": 1, "pinned": True})
def noises_and_promises_it_back(latents: Latents, schedule: Schedule, noise: NoiseSource) -> Trajectory:
    draws = noise.normal(len(schedule), latents.data)
    states = [step.noisy.mix(latents.data, draw) for step, draw in zip(schedule, draws, strict=True)]
    return Trajectory(schedule, torch.stack([*states, latents.data])[:, None], Ddim(), pinned=True)


@planted("mask 0 at step 0")
@stage("blend", "a")
def blends_by_half(mask: Mask, latents: Latents) -> Blend:
    def apply(state: torch.Tensor, source: torch.Tensor, step: Step, maps: AttentionMaps) -> torch.Tensor:
        return torch.lerp(source, state, 0.5 + 0.5 * mask.on(latents).to(state))

    return Blend(apply)


@planted("mask 0: off by")
@stage("blend", "a")
def pastes_nothing(image: Image, source: SourceImage, mask: Mask) -> Image:
    return image


@planted("the picture goes up to 1.2")
@stage("adjust", "a")
def brightens_without_end(image: Image) -> Image:
    return replace(image, data=image.data + 0.2 + (1 - image.data.amax()))


@planted("alpha is lost")
@stage("adjust", "a")
def forgets_alpha(image: Image) -> Image:
    return Image(image.data)


@planted("alpha is [29, 31], and the picture is [58, 62]")
@stage("upscale", "a")
def leaves_alpha_small(image: Image) -> Image:
    return replace(image, data=image.data.repeat_interleave(2, -1).repeat_interleave(2, -2))


@planted("figures are put for each picture, and here none are")
@stage("measure", "a")
def measures_nothing(image: Image, figures: Figures, *, path: Annotated[str, Ending(".csv")]) -> None: ...


@planted("'mean' is Tensor, and a figure is a float")
@stage("measure", "a")
def measures_a_tensor(image: Image, figures: Figures, *, path: Annotated[str, Ending(".csv")]) -> None:
    figures.put({"mean": image.data.mean()})  # pyright: ignore[reportArgumentType]


@planted("the columns were ['psnr'], and for another picture []")
@stage("measure", "a")
def measures_only_what_changed(
    image: Image, source: SourceImage, figures: Figures, *, path: Annotated[str, Ending(".csv")]
) -> None:
    gap = float((image.data - source.data).square().mean())
    figures.put({"psnr": gap} if gap else {})


@planted("was written past the outbox")
@stage("save", "a")
def opens_the_file_itself(image: Image, outbox: Outbox, *, path: Annotated[str, Ending(".txt")]) -> None:
    Path(path).write_text("mine")


@planted("it declares no ending")
@stage("save", "a")
def declares_no_ending(image: Image, outbox: Outbox, *, path: str) -> None:
    with outbox.file(path) as file:
        file.write(b"mine")


@planted("the disk was full, and nothing was raised")
@stage("save", "a")
def swallows_a_full_disk(image: Image, outbox: Outbox, *, path: Annotated[str, Ending(".txt")]) -> None:
    try:
        with outbox.file(path) as file:
            file.write(b"mine")
    except OSError:
        pass


@planted("the same picture gave another file")
@stage("save", "a")
def writes_the_time(image: Image, outbox: Outbox, *, path: Annotated[str, Ending(".json")]) -> None:
    CALLS.append(0)
    with outbox.file(path) as file:
        file.write(json.dumps(len(CALLS)).encode())


@planted("4 steps were asked for, and it has 3")
@stage("schedule", "a")
def leaves_a_step_out(schedule: Schedule) -> Schedule:
    return Schedule.through(schedule.levels[1:])


@planted("the noise goes up")
@stage("schedule", "a")
def goes_up(schedule: Schedule) -> Schedule:
    return Schedule.through(schedule.levels[::-1])


@planted("it ends at timestep 1, and the model at 0")
@stage("schedule", "a")
def stops_early(schedule: Schedule) -> Schedule:
    levels = KnownLevels(schedule)
    return Schedule.through([levels.top, *schedule.levels[:-1]])


@dataclass(frozen=True)
class Twice(Ddim):
    """A step of DDIM that asks once more than it needs."""

    async def __call__(self, state, step, predict):
        await predict(state[0], step.clean)
        return await Ddim.__call__(self, state, step, predict)


@planted("the fact 'predictions' says 1 a step, and 2 were asked for")
@stage("solver", "a", facts={"predictions": 1})
def asks_more_than_it_says() -> Rule:
    return Twice()


@planted("it states no fact 'predictions'")
@stage("solver", "a")
def says_nothing_of_its_cost() -> Rule:
    return Ddim()


@planted("the tuned model predicts just what the plain one does")
@stage("tune", "a")
def tunes_nothing(model: Denoiser) -> Denoiser:
    return model.tuned(ModelDelta())


@planted("the network has no parameter 'unet.attn'")
@stage("tune", "a")
def names_no_parameter(model: Denoiser) -> Denoiser:
    return model.tuned(ModelDelta(low_rank={"unet.attn": (torch.ones(2, 1), torch.ones(1, 2))}))


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named(name: str):
    fault = FAULTS[name]
    with pytest.raises((AssertionError, BrokenTouch)) as caught:  # the latter by the engine, in runs as well
        stage_laws(fault.stage, **fault.options)
    assert fault.words in str(caught.value)


def test_there_are_twenty_and_no_two_are_told_alike():
    assert len(FAULTS) >= 20
    assert len({fault.words for fault in FAULTS.values()}) == len(FAULTS)


def test_what_a_faulty_stage_wrote_into_the_network_is_in_no_later_world() -> None:
    before = tiny_world().model.core
    next(iter(before.base.values())).data[0] += 0.001
    after = tiny_world().model.core
    assert after is not before
    assert tiny_world().model.core is after
    assert not torch.equal(*(next(iter(core.base.values())) for core in (before, after)))
