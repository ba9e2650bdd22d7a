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

    The source branch is evaluated only if something reads it: an attention control, a recording, or a blend with
    a trajectory that is not pinned.
    """
    walk, state = trajectory.rule, trajectory.states[0]
    source, reads = state, [each.reads for each in blend if each.reads]
    towards_target = predictor(guidance, model, edit.target, edit.negative)
    towards_source = predictor(guidance, model, edit.source, edit.negative)
    both = bool(attend or reads or (blend and not trajectory.pinned))
    maps = [AttentionMaps() for _ in reads]
    for step in trajectory.schedule:
        branches = {"source": walk(source, step, towards_source)} if both else {}
        moved = await together(
            attention=attend, record=reads, step=step, **branches, target=walk(state, step, towards_target)
        )
        before, source = (
            source,
            moved["source"] if both and not trajectory.pinned else trajectory.states[step.index + 1],
        )
        maps = [seen + new for seen, new in zip(maps, moved.maps, strict=True)]
        state, recorded = moved["target"], iter(maps)
        for each in blend:
            seen = next(recorded) if each.reads else AttentionMaps()
            state = each.apply(state, before if each.late else source, step, seen)
    return replace(latents, data=state[0].to(latents.data))
