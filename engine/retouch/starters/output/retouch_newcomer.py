"""A kind of file: the colours of a picture and how often each is there, as JSON."""

import json
from collections import Counter
from typing import Annotated

from retouch.api import Ending, Image, Outbox, Range, hookimpl, stage


@stage("save", "newcomer")
def newcomer(
    image: Image,
    outbox: Outbox,
    *,
    path: Annotated[str, Ending(".json")],
    most: Annotated[int, Range(1, 256, "colours")] = 16,
) -> None:
    """Write the most frequent colours as {"#rrggbb": pixels}.

    path: the file.
    most: how many.
    """
    pixels = (image.data * 255).round().byte().flatten(1).T.cpu().tolist()  # H * W times [red, green, blue]
    colours = Counter(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in pixels)
    said: dict[str, object] = {"colours": dict(sorted(colours.most_common(most)))}
    if recipe := outbox.stamp(path):  # how it was made, for `retouch show`
        said["retouch"] = recipe
    with outbox.file(path) as file:  # takes its place whole at the end, or not at all
        file.write(json.dumps(said, indent=1).encode())


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
