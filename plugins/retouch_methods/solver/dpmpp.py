"""DPM-Solver++(2M).  Lu et al. 2022, arXiv:2211.01095, alg. 2."""

from __future__ import annotations

from retouch.api import DpmPlusPlus2M, Rule, stage


@stage("solver", "dpmpp", paper="arXiv:2211.01095", facts={"predictions": 1})
def dpmpp() -> Rule:
    """Take each step by what this prediction and the one before it say: second order at one prediction a step."""
    return DpmPlusPlus2M()
