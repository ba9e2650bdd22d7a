"""The deterministic step, and the one with new noise.

Song et al. 2021, arXiv:2010.02502, eq. 12; Ho et al. 2020, arXiv:2006.11239, alg. 2.
"""

from __future__ import annotations

from typing import Annotated

from retouch.api import Ddim, Fresh, NoiseSource, Range, Rule, stage


@stage("solver", "ddim", paper="arXiv:2010.02502", facts={"predictions": 1})
def ddim() -> Rule:
    """Take each step by the noise that is seen where it begins: first order, one prediction a step; Euler's on flow."""
    return Ddim()


@stage("solver", "ddpm", paper="arXiv:2006.11239", facts={"predictions": 1})
def ddpm(noise: NoiseSource, *, eta: Annotated[float, Range(0, 1)] = 1.0) -> Rule:
    """Take each step with new noise, the same for the edit and its source; also known as ancestral sampling.

    What is kept of a source that no blend puts back falls, since the noise is no part of it.

    eta: how much new noise; 0 is `solver ddim`, 1 DDPM.
    """
    return Fresh(Ddim(eta), noise, eta)
