"""A measurement: how much of the picture changed, and by how much."""

from typing import Annotated

from retouch.api import Ending, Figures, Image, SourceImage, hookimpl, stage


@stage("measure", "newcomer")
def newcomer(image: Image, source: SourceImage, figures: Figures, *, path: Annotated[str, Ending(".csv")]) -> None:
    """Share of pixels that differ from the source, and the mean difference, as a fraction of white.

    path: a table, with a line for each result.
    """
    gap = (image.data - source.data).abs()  # [3, H, W]
    changed = (gap > 0.5 / 255).any(0)  # [H, W]: what a file of 8 bits shows
    figures.put({"changed": float(changed.double().mean()), "difference": float(gap.mean())})


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
