"""Noise levels are those of diffusers' DDIMScheduler with the same config."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler

from retouch.models.errors import BrokenModel
from retouch.models.kit.levels import noise_levels

STABLE_DIFFUSION = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


@pytest.mark.parametrize(
    "config",
    [
        {},
        STABLE_DIFFUSION | {"steps_offset": 1, "set_alpha_to_one": False},
        STABLE_DIFFUSION | {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"},
        {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "linspace"},
        {"trained_betas": [0.1, 0.2, 0.3], "num_train_timesteps": 3},
        {"num_train_timesteps": 100},
    ],
)
def test_levels_are_those_of_diffusers(config: dict[str, Any]) -> None:
    levels, oracle = noise_levels(config), DDIMScheduler(**config)
    ours = torch.tensor(levels.alphas_cumprod, dtype=torch.float64)
    torch.testing.assert_close(ours, oracle.alphas_cumprod.double(), rtol=0, atol=1e-5)  # theirs is float32
    assert levels.num_train_timesteps == oracle.config["num_train_timesteps"]
    assert levels.steps_offset == oracle.config["steps_offset"]
    assert levels.set_alpha_to_one == oracle.config["set_alpha_to_one"]
    assert levels.timestep_spacing == oracle.config["timestep_spacing"]


def test_levels_fall() -> None:
    levels = noise_levels(STABLE_DIFFUSION).alphas_cumprod
    assert all(a > b for a, b in pairwise(levels))
    assert noise_levels(STABLE_DIFFUSION | {"rescale_betas_zero_snr": True}).alphas_cumprod[-1] == 0


@pytest.mark.parametrize("config", [{"beta_schedule": "sigmoid"}, {"timestep_spacing": "odd"}])
def test_an_unknown_schedule_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(BrokenModel, match=next(iter(config.values()))):
        noise_levels(config)
