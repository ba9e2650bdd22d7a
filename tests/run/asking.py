"""One prediction of a world's model, which is what most tests of tasks wait for."""

from __future__ import annotations

from retouch.testing.worlds import World


def ask(world: World, shift: float = 0.0):
    """One prediction."""
    return world.model(world.latents.data + shift, world.schedule.steps[0].noisy, world.edit.source)
