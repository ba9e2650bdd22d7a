"""Edit what is light, or what is dark."""

from typing import Annotated, Literal

from retouch.api import Mask, Range, SourceImage, hookimpl, stage


@stage("mask", "newcomer")
def newcomer(
    source: SourceImage,
    *,
    side: Literal["light", "dark"] = "light",
    threshold: Annotated[float, Range(0, 1)] = 0.5,
) -> Mask:
    """Edit where the picture is lighter than a threshold, or darker.

    side: which of both is edited.
    threshold: the lightness between them, as a fraction of white.
    """
    red, green, blue = source.data  # each [H, W]
    lightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    edited = lightness > threshold if side == "light" else lightness < threshold
    return Mask(edited.to(source.data))  # [H, W], 1 is edited


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
