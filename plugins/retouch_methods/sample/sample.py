"""The only loop with two branches: it joins every inversion, control, guidance and blend."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from retouch.api import (
    AttentionControl,
    AttentionMaps,
    Blend,
    Denoiser,
    Edit,
    Guidance,
    Latents,
    Need,
    Restart,
    Rule,
    Trajectory,
    leading,
    predictor,
    stage,
    together,
    walked_by,
)


@stage(
    "sample",
    "walk",
    version=2,
    default=True,
    rows="(int((steps * (predictions if predictions else evaluations) + extra) * "
    "(guide_least if guide_least else guide) + steps * beside + 0.5) * "
    "(2 if attend or readers or (blend and not pinned) else 1), "
    "int((steps * (predictions if predictions else evaluations) + extra) * guide + steps * beside + 0.5) * "
    "(2 if attend or readers or (blend and not pinned) else 1) * (attempts if attempts else 1))",
    facts={
        "led": "int((steps * (predictions if predictions else evaluations) + extra) * guide + 0.5) "
        "if gradient > 1 else 0",
        "looked": "int(steps * (predictions if predictions else evaluations) + extra + 0.5) if gradient else 0",
        "glances": "int(steps * (predictions if predictions else evaluations) + extra + 0.5) * seen",
    },
    needs=(
        Need(
            "attempts < 2 or redraws",
            "cannot begin again with other noise, since this turn draws none",
            "begin with 'invert sdedit', add 'solver ddpm', or give guide range attempts=1",
        ),
    ),
)
async def sample(
    trajectory: Trajectory,
    latents: Latents,
    edit: Edit,
    model: Denoiser,
    guidance: Guidance,
    attend: tuple[AttentionControl, ...] = (),
    blend: tuple[Blend, ...] = (),
    solver: Rule | None = None,
) -> Latents:
    """Walk from the noisy end of a trajectory with the target prompt, beside its source.

    A `solver` of the turn takes the steps in place of the rule that the inversion chose.  A guidance by gradient leads
    the target's branch alone, and may ask for the walk to begin again with other noise.

    Controls and blends whose window holds none of the steps are left out.  The source branch is evaluated only if
    something reads it: an attention control, a recording, or a blend where the trajectory is not to be replayed.
    """
    for attempt in count():
        walked = trajectory.again(attempt) if attempt and trajectory.again else trajectory
        if solver is not None:
            walked = walked_by(walked, solver, attempt)
        try:
            return await _walk(walked, latents, edit, model, guidance, attend, blend, attempt)
        except Restart:
            continue
    raise AssertionError


async def _walk(
    trajectory: Trajectory,
    latents: Latents,
    edit: Edit,
    model: Denoiser,
    guidance: Guidance,
    attend: tuple[AttentionControl, ...],
    blend: tuple[Blend, ...],
    attempt: int,
) -> Latents:
    steps = len(trajectory.schedule)
    attend = tuple(control for control in attend if control.acts_in(steps))
    blend = tuple(each for each in blend if each.acts_in(steps))
    readers = [i for i, each in enumerate(blend) if each.reads]
    record = [each.reads for each in blend if each.reads]

    # The source branch runs if anything reads it; then it walks freely or is put back onto the recorded states.
    seen = bool(attend or record)
    replayed = not seen if trajectory.pinned is None else trajectory.pinned
    evaluated = seen or bool(blend and not replayed)

    rule = trajectory.rule
    towards_source = predictor(guidance, model, edit.source, edit.negative)
    towards_target = predictor(leading(guidance, edit.target, attempt), model, edit.target, edit.negative)
    source = trajectory.states[0]  # [k, C, h, w]
    state = source if trajectory.start is None else trajectory.start  # [k, C, h, w]
    maps = [AttentionMaps() for _ in blend]  # recorded so far, for each blend
    for step in trajectory.schedule:
        branches = {"source": rule(source, step, towards_source)} if evaluated else {}
        branches["target"] = rule(state, step, towards_target)
        moved = await together(attention=attend, record=record, step=step, **branches)
        state = moved["target"]
        previous = source
        source = moved["source"] if evaluated and not replayed else trajectory.states[step.index + 1]
        for i, new in zip(readers, moved.maps, strict=True):
            maps[i] += new
        for each, recorded in zip(blend, maps, strict=True):
            if step.progress >= each.start:
                state = each.apply(state, previous if each.late else source, step, recorded)
    return replace(latents, data=state[0].to(latents.data))
