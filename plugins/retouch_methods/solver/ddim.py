"""The deterministic step, and the one with new noise.

Song et al. 2021, arXiv:2010.02502, eq. 12; Ho et al. 2020, arXiv:2006.11239, alg. 2.
"""

from __future__ import annotations

from typing import Annotated

from retouch.api import Ddim, Fresh, NoiseSource, Range, Rule, stage


@stage("solver", "ddim", paper="arXiv:2010.02502", facts={"predictions": 1})
def ddim(*, clip: Annotated[float, Range(0, 100)] = 0.0) -> Rule:
    """Take each step by the noise that is seen where it begins: first order, one prediction a step; Euler's on flow.

    clip: how far a predicted picture may lie from 0, the noise being what is left then; 0 is no bound.  Models of
        pixels are often sampled within 1, which is white; an inversion that walked without a bound is then missed.
    """
    return Ddim(clip=clip)


@stage("solver", "ddpm", paper="arXiv:2006.11239", facts={"predictions": 1})
def ddpm(
    noise: NoiseSource, *, eta: Annotated[float, Range(0, 1)] = 1.0, clip: Annotated[float, Range(0, 100)] = 0.0
) -> Rule:
    """Take each step with new noise, the same for the edit and its source; also known as ancestral sampling.

    What is kept of a source that no blend puts back falls, since the noise is no part of it.

    eta: how much new noise; 0 is `solver ddim`, 1 DDPM.
    clip: how far a predicted picture may lie from 0, as `solver ddim` has it; 0 is no bound.
    """
    return Fresh(Ddim(eta, clip), noise, eta)
