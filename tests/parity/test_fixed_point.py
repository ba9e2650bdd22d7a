"""Fixed points, AIDI (Pan et al. 2023) and ReNoise (Garibi et al. 2024), are those of their transcriptions."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from retouch.run.executor import run
from retouch.testing.tiny import tiny_model
from retouch.testing.worlds import World, tiny_world
from retouch_methods.invert.fixed_point import fixed_point
from tests.parity.by_papers import eps_of, grid

STEPS = 6


def tame(kind="epsilon") -> World:
    """A network whose answer moves little between guesses, as a trained one's does."""
    model = tiny_model(kind, dtype=torch.float64)
    model.core.module.conv_out.weight.data.mul_(0.2)
    return replace(tiny_world(kind, steps=STEPS, dtype=torch.float64), model=model)


def naive(world, kind, solve, scale=1.0):
    """Every latent, cleanest first."""
    path = [world.latents.data]
    with torch.no_grad():
        for low, high in pairwise(grid(world)):

            def f(guess, x=path[-1], low=low, high=high):
                eps = eps_of(world, kind, guess, high, world.edit.source, scale, world.edit.negative)
                return high[0] * (x - low[1] * eps) / low[0] + high[1] * eps

            path.append(solve(f, path[-1], high[2]))
    return torch.stack(path[::-1])


def anderson(f, x, t, rounds=4):
    """Weights by the Lagrange system of: least |sum w_i (f(x_i) - x_i)| with sum w_i = 1."""
    xs, fs = [x], []
    for _ in range(rounds):
        fs.append(f(xs[-1]))
        residuals = torch.stack([(a - b).flatten() for a, b in zip(fs, xs, strict=True)]).numpy()
        n = len(fs)
        system = np.ones((n + 1, n + 1))
        system[:n, :n], system[n, n] = residuals @ residuals.T / (residuals[-1] @ residuals[-1]), 0
        weights = np.linalg.solve(system, np.eye(n + 1)[n])[:n]
        xs.append(sum(float(w) * each for w, each in zip(weights, fs, strict=True)))
    return xs[-1]


def empirical(f, x, t, rounds=4):
    before = x = f(x)
    for _ in range(rounds - 1):
        now = f(x)
        x, before = (now + before) / 2, now
    return x


def picard(f, x, t, rounds=4):
    for _ in range(rounds):
        x = f(x)
    return x


def renoise(f, x, t, rounds=7):
    seen = []
    for _ in range(min(rounds, 5) if t < 250 else rounds):
        x = f(x)
        seen.append(x)
    return sum(seen) / len(seen) if t < 250 else (seen[-1] + seen[-2]) / 2


@pytest.mark.parametrize(
    ("solver", "solve", "kind", "scale"),
    [
        ("anderson", anderson, "epsilon", 1.0),
        ("anderson", anderson, "v_prediction", 2.0),
        ("empirical", empirical, "v_prediction", 1.0),
        ("picard", picard, "epsilon", 2.0),
        ("renoise", renoise, "epsilon", 1.0),
        ("renoise", renoise, "v_prediction", 2.0),
    ],
)
def test_a_solver_is_its_transcription(kind, solver, solve, scale):
    world, rounds = tame(kind), 7 if solver == "renoise" else 4
    (made,) = run(world.call(fixed_point, solver=solver, iterations=rounds, source_guidance=scale))
    wanted = naive(world, kind, solve, scale)
    torch.testing.assert_close(made.states[:, 0], wanted, rtol=0, atol=1e-8)


@pytest.mark.thorough
def test_the_solvers_differ():
    world = tame()
    ends = [
        run(world.call(fixed_point, solver=solver, iterations=3))[0].states[0]
        for solver in ("anderson", "empirical", "picard", "renoise")
    ]
    for i, one in enumerate(ends):
        for other in ends[i + 1 :]:
            assert (one - other).abs().max() > 1e-6
