"""What is done with pictures: a larger one, a file format, a figure."""

from typing import Annotated

import numpy as np
from torch.nn import functional as F

from retouch.api import Ending, Figures, Image, Mask, Outbox, Range, Turn, gather, stage


@stage("enlarge", "bicubic", default=True)
def bicubic(
    image: Image, *, by: Annotated[int, Range(1, 8)] = 2, sharpen: Annotated[float, Range(0, 5)] = 0.5
) -> Image:
    """Make the picture larger, and its edges sharper again.

    by: how many times as wide and high.
    sharpen: how much of what blurring takes is added.
    """
    batch = image.data[None]
    grown = F.interpolate(batch, scale_factor=by, mode="bicubic", align_corners=False)
    blurred = F.avg_pool2d(F.pad(grown, (1, 1, 1, 1), mode="replicate"), 3, 1)
    alpha = image.alpha
    if alpha is not None:
        alpha = F.interpolate(alpha[None, None], scale_factor=by, mode="bilinear")[0, 0]
    return Image((grown + sharpen * (grown - blurred)).clamp(0, 1)[0], alpha)


@stage("mirror", "both", rows="turn * (1 + flipped)")
async def both(image: Image, turn: Turn, mask: Mask | None = None, *, flipped: bool = True) -> Image:
    """Send the picture through a flow as it is and, side by side, mirrored; half of each is the result.

    flipped: whether the mirrored one goes through as well, or the result is that of the picture alone.
    """
    if mask is not None and not mask.data.any():
        return image
    area = mask.pixels(*image.size) if mask else None

    async def through(turned: bool) -> Image:
        data = image.data.flip(-1) if turned else image.data
        part = None if area is None else Mask(area.flip(-1) if turned else area)
        made = (await turn(Image(data, image.alpha), mask=part, key="mirrored" if turned else "")).image
        return Image(made.data.flip(-1) if turned else made.data, image.alpha)

    made = await gather(through(turned) for turned in ((False, True) if flipped else (False,)))
    mean = sum(each.data for each in made) / len(made)
    return Image(mean.clamp(0, 1), image.alpha)


@stage("save", "ppm")
def save_ppm(image: Image, outbox: Outbox, *, path: Annotated[str, Ending(".ppm")]) -> None:
    """Write the picture as a portable pixmap, whose comments have room for the recipe.

    path: the file.
    """
    rgb = np.rint(image.data.permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)
    height, width = rgb.shape[:2]
    recipe = outbox.stamp(path)
    said = f"# {recipe}\n" if recipe else ""
    with outbox.file(path) as file:
        file.write(f"P6\n{said}{width} {height}\n255\n".encode() + rgb.tobytes())


@stage("measure", "brightness")
def brightness(image: Image, figures: Figures, *, path: Annotated[str, Ending(".csv")]) -> None:
    """Say how bright the picture is, from 0 to 1.

    path: a table, with a line for each result.
    """
    figures.put({"brightness": float(image.data.mean())})
