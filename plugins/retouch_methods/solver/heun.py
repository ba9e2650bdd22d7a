"""The improved Euler step.  Karras et al. 2022, arXiv:2206.00364, alg. 1."""

from __future__ import annotations

from retouch.api import Heun, Rule, stage


@stage("solver", "heun", paper="arXiv:2206.00364", facts={"predictions": 2})
def heun() -> Rule:
    """Take each step by the mean of what is seen at its two ends: second order, two predictions at every step."""
    return Heun()
