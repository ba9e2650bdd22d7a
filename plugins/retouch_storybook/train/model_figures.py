"""What a whole model comes to beside the shipped one: VAE, text to image as the judge reads it, edits; and sheets."""

import time
from collections.abc import Callable, Sequence
from operator import eq
from pathlib import Path
from random import Random
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from retouch_storybook.judge import load_judge
from retouch_storybook.train import base, edits
from retouch_storybook.train.chunks import is_whole
from retouch_storybook.train.judge import accuracy
from retouch_storybook.train.latents import round_trip
from retouch_storybook.train.pool import Artists, read_chunk
from retouch_storybook.train.sampling import Painter, sheet
from retouch_storybook.world import SUBJECTS, Scene

Keep = Callable[[dict[str, Any]], None]


def measure(options: Any, weights: Path, device: str, artists: Artists, keep: Keep) -> dict[str, float]:
    """Measure and draw sheets, keeping each figure as soon as it is there; gives back those for the card."""
    models = {f"storybook{options.size}": (weights, options.size), "shipped": (base.SHIPPED, 64)}
    own: dict[str, float] = {}
    for name, (folder, side) in models.items():
        pictures, scenes = _held_out(options.work / "drawings" / str(side), artists)
        mine = name != "shipped"
        figures = _vae(folder, pictures.to(device), options.out / "round_trips.png" if mine else None)
        keep({f"{name}, VAE": figures})
        read = text_to_image(
            folder, scenes, device, options.samples, options.out / "text_to_image.png" if mine else None
        )
        keep({f"{name}, text to image": read})
        own |= {**figures, **read} if mine else {}
    for name, (folder, side) in models.items() if options.edits else ():
        file = options.out / "edits.png" if name != "shipped" else None
        keep({f"{name}, edits": edits.measure(folder, side, options.edits, file, steps=20)})
    return own


def text_to_image(
    folder: Path, held_out: Sequence[Scene], device: str, samples: int, file: Path | None
) -> dict[str, float]:
    """Shares that the judge reads right in samples of held-out captions and of bare nouns."""
    judge, painter = load_judge(device=device), Painter.of(folder, device)
    scenes = Random("text to image").sample(list(held_out), min(samples, len(held_out)))
    pictures = painter.paint([scene.caption() for scene in scenes])
    if file:
        count = min(10, len(pictures))
        sheet(pictures[: min(40, len(pictures) // count * count)].split(count), file)
    figures = {f"held-out: {name}": share for name, share in accuracy(judge, pictures, scenes).items()}
    nouns = [SUBJECTS[i % len(SUBJECTS)] for i in range(samples)]
    read = [reading.subject for reading in judge(painter.paint(nouns))]
    return figures | {"one noun: subject": sum(map(eq, read, nouns)) / samples}


def _vae(folder: Path, pictures: Tensor, file: Path | None) -> dict[str, float]:
    again = round_trip(base.vae(folder).to(pictures.device).eval(), pictures)
    psnr = -10 * (again - pictures).square().mean((1, 2, 3)).log10()
    if file:
        rows = [F.interpolate(each[:6], scale_factor=2, mode="nearest") for each in (pictures, again)]
        sheet(rows, file)
    return {"round trip, dB": psnr.mean().item(), "worst round trip, dB": psnr.min().item()}


def _held_out(folder: Path, artists: Artists) -> tuple[Tensor, list[Scene]]:
    while not is_whole(folder, "held_out"):
        if not artists.at_work():
            raise RuntimeError(f"no held-out drawings in '{folder}', and nobody draws any more")
        time.sleep(0.1)
    pixels, scenes = read_chunk(folder, "held_out")
    return pixels.permute(0, 3, 1, 2).float() / 255, scenes
