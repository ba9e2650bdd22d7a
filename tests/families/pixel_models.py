"""What tests of models of pixels share: two pictures without captions, and the world around such a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from retouch.core.values import Canvas, Edit, Latents, Mask
from retouch.testing.tiny import Draws
from retouch.testing.worlds import World
from tests.families.family_models import FamilyModel

SIDE = 16  # pixels
PICTURE = (19, 22)  # of no multiple


def two_pictures(made: Path) -> Path:
    """Write two pictures into a folder, without captions."""
    for name in ("one", "two"):
        pixels = np.random.default_rng(len(name) + ord(name[0])).integers(0, 256, (*PICTURE, 3), np.uint8)
        Image.fromarray(pixels).save(made / f"{name}.png")
    return made


def world(model: FamilyModel, **more: Any) -> World:
    """A picture, a mask of its lower half; of a model with classes an edit from one to another."""
    texts = ("1", "3", "") if model.known.classes else ("", "", "")
    lower = (torch.arange(SIDE) >= SIDE // 2).float()[:, None].expand(SIDE, SIDE)
    edit = Edit(*(model.prompt(text) for text in texts))
    latents = Latents(Draws(0).tensor(3, SIDE, SIDE), Canvas(SIDE, SIDE, 1))
    return World(model.model, latents, edit, model.schedule(4, (SIDE, SIDE)), mask=Mask(lower), **more)
