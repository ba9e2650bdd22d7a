"""What the configs of one model have to agree on, and what is said where they do not.  No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retouch.models.errors import BrokenModel

_OTHER_GRIDS = (
    "invert_sigmas",
    "stochastic_sampling",
    "use_beta_sigmas",
    "use_exponential_sigmas",
    "use_karras_sigmas",
)


def same_channels(takes: int, gives: int, cells: int) -> None:
    """Insist that the network takes latents and gives them.  Raises BrokenModel."""
    if not takes == gives == cells:
        raise BrokenModel(
            f"the network takes {takes} channels and gives {gives}, a latent has {cells}; "
            "inpainting and instruction models are not text-to-image models"
        )


def same_width(reads: int, writes: int, what: str = "text") -> None:
    """Insist that the network reads what the text encoders write.  Raises BrokenModel."""
    if reads != writes:
        raise BrokenModel(f"the network reads {what} of width {reads}, the text encoder writes width {writes}")


def wants_no_more(net: Mapping[str, Any], options: tuple[str, ...]) -> None:
    """Insist that the network is told nothing that a prompt does not hold.  Raises BrokenModel."""
    for option in options:
        if net.get(option) not in (None, False):
            raise BrokenModel(f"the network wants more than a text ({option} is {net[option]!r})")


def known_flow(scheduler: Mapping[str, Any]) -> bool:
    """Insist on a scheduler whose grid `flow_schedule` makes; return whether the grid depends on the picture's size.

    Raises BrokenModel.
    """
    kind = scheduler.get("_class_name", "FlowMatchEulerDiscreteScheduler")
    if kind != "FlowMatchEulerDiscreteScheduler":
        raise BrokenModel(f"its scheduler is '{kind}', and this family walks by FlowMatchEulerDiscreteScheduler")
    for option in _OTHER_GRIDS:
        if scheduler.get(option):
            raise BrokenModel(f"scheduler_config.json: {option} makes a grid that is not known")
    return bool(scheduler.get("use_dynamic_shifting", False))
