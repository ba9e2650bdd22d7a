"""The only loop with two branches: it joins every inversion, control, guidance and blend."""

from __future__ import annotations

from dataclasses import replace

from retouch.api import (
    AttentionControl,
    AttentionMaps,
    Blend,
    Denoiser,
    Edit,
    Guidance,
    Latents,
    Trajectory,
    predictor,
    stage,
    together,
)


@stage(
    "sample",
    "walk",
    version=2,
    default=True,
    rows="steps * evaluations * guide * (2 if attend or readers or (blend and not pinned) else 1)",
)
async def sample(
    trajectory: Trajectory,
    latents: Latents,
    edit: Edit,
    model: Denoiser,
    guidance: Guidance,
    attend: tuple[AttentionControl, ...] = (),
    blend: tuple[Blend, ...] = (),
) -> Latents:
    """Walk from the noisy end of a trajectory with the target prompt, beside its source.

    Controls and blends whose window holds none of the steps are left out.  The source branch is evaluated only if
    something reads it: an attention control, a recording, or a blend where the trajectory is not to be replayed.
    """
    walk, source, steps = trajectory.rule, trajectory.states[0], len(trajectory.schedule)
    state = source if trajectory.start is None else trajectory.start
    attend = tuple(control for control in attend if control.acts_in(steps))
    blend = tuple(each for each in blend if each.acts_in(steps))
    reads = [each.reads for each in blend if each.reads]
    towards_target = predictor(guidance, model, edit.target, edit.negative)
    towards_source = predictor(guidance, model, edit.source, edit.negative)
    seen = bool(attend or reads)
    replayed = not seen if trajectory.pinned is None else trajectory.pinned
    evaluated = seen or bool(blend and not replayed)
    maps = [AttentionMaps() for _ in reads]
    for step in trajectory.schedule:
        branches = {"source": walk(source, step, towards_source)} if evaluated else {}
        moved = await together(
            attention=attend, record=reads, step=step, **branches, target=walk(state, step, towards_target)
        )
        before, source = (
            source,
            moved["source"] if evaluated and not replayed else trajectory.states[step.index + 1],
        )
        maps = [recorded + new for recorded, new in zip(maps, moved.maps, strict=True)]
        state, recorded = moved["target"], iter(maps)
        for each in blend:
            read = next(recorded) if each.reads else AttentionMaps()
            if step.progress >= each.start:
                state = each.apply(state, before if each.late else source, step, read)
    return replace(latents, data=state[0].to(latents.data))
