"""Predictions of a world's model, which is what most tests of tasks wait for: one, or without end."""

from __future__ import annotations

from retouch.testing.worlds import World


def ask(world: World, shift: float = 0.0):
    """One prediction."""
    return world.model(world.latents.data + shift, world.schedule.steps[0].noisy, world.edit.source)


async def patient(world: World, closed: list[str], name: str):
    """Ask again and again; whoever closes it finds its name in the list."""
    try:
        while True:
            await ask(world)
    finally:
        closed.append(name)
