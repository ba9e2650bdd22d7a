"""Drawing a scene, the mask of its subject, and the true region of an edit."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from retouch_storybook.world import accessories, animals, things
from retouch_storybook.world.colors import COAT, INK, contrast
from retouch_storybook.world.pen import Pen, Point
from retouch_storybook.world.scene import ANIMALS, Scene
from retouch_storybook.world.settings import SIDE, paint_setting
from retouch_storybook.world.styles import STYLISTS

DRAWINGS: dict[str, Callable[[Pen], None]] = {
    "cat": animals.cat,
    "dog": animals.dog,
    "rabbit": animals.rabbit,
    "bear": animals.bear,
    "bird": things.bird,
    "fish": things.fish,
    "car": things.car,
    "house": things.house,
    "tree": things.tree,
    "ball": things.ball,
}
CLOTHES: dict[str, Callable[[Pen], None]] = {
    "hat": accessories.hat,
    "scarf": accessories.scarf,
    "glasses": accessories.glasses,
}
SHADOW = 90  # opacity, of 255


@dataclass(frozen=True, slots=True)
class Layout:
    """All that a seed decides.  Each part has its own stream, so that an edit of one moves none of the others."""

    backdrop: Random
    style: Random
    ground: Point  # where the subject stands, in pixels
    unit: float  # half the width of a head, in pixels

    @classmethod
    def of(cls, seed: int) -> "Layout":
        """Draw a layout.  The order of the draws is part of the world: another one gives other pictures."""
        rng = Random(seed)
        backdrop, place, style = (Random(rng.getrandbits(31)) for _ in range(3))
        unit = SIDE * (0.115 + 0.045 * place.random())
        ground = SIDE * (0.32 + 0.36 * place.random()), SIDE * (0.84 + 0.1 * place.random())
        return cls(backdrop, style, ground, unit)


def render(scene: Scene, size: int = 64) -> Image.Image:
    """Draw a scene as an RGB picture of size by size pixels."""
    return _canvas(scene).resize((size, size), Image.Resampling.LANCZOS)


def subject_mask(scene: Scene, size: int = 64) -> Image.Image:
    """Draw what the subject covers, with what it wears and without its shadow: grey where it covers part of a pixel."""
    on_white, on_black = (Image.new("RGB", (SIDE, SIDE), paper) for paper in ("white", "black"))
    for paper in (on_white, on_black):
        _draw_subject(paper, scene, Layout.of(scene.seed))
    return _reduced(~_differ(on_white, on_black), size)


def edited_region(before: Scene, after: Scene, size: int = 64) -> Image.Image:
    """Draw where two scenes differ, shadow included: white where all of a pixel changes, black where nothing does.

    The region is taken from the full-size drawings and reduced with a box filter. `render` reduces with a sharper
    filter, whose ringing reaches up to three pixels further, faintly.
    """
    return _reduced(_differ(_canvas(before), _canvas(after)), size)


def _canvas(scene: Scene) -> Image.Image:
    layout = Layout.of(scene.seed)
    canvas = Image.new("RGB", (SIDE, SIDE))
    paint_setting(ImageDraw.Draw(canvas), scene.setting, layout.backdrop)
    (x, y), unit = layout.ground, layout.unit
    opacity = Image.new("L", canvas.size)
    ImageDraw.Draw(opacity).ellipse([x - 1.3 * unit, y - 0.12 * unit, x + 1.3 * unit, y + 0.18 * unit], fill=SHADOW)
    canvas.paste(INK, mask=opacity)
    _draw_subject(canvas, scene, layout)
    return STYLISTS[scene.style](canvas, layout.style) if scene.style else canvas


def _draw_subject(canvas: Image.Image, scene: Scene, layout: Layout) -> None:
    coat = COAT[scene.color]
    outline = contrast(coat, 0.62 if scene.subject in ANIMALS else 0.6, on_black=(90, 90, 98))
    pen = Pen(ImageDraw.Draw(canvas), layout.ground, layout.unit, coat, outline)
    DRAWINGS[scene.subject](pen)
    if scene.accessory:
        CLOTHES[scene.accessory](pen)


def _differ(a: Image.Image, b: Image.Image) -> np.ndarray:  # [height, width], bool
    return np.asarray(ImageChops.difference(a, b)).max(axis=-1) > 0


def _reduced(region: np.ndarray, size: int) -> Image.Image:
    return Image.fromarray((region * 255).astype(np.uint8)).resize((size, size), Image.Resampling.BOX)
