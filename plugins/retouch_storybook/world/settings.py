"""The six settings: each paints a whole canvas, whose horizon and details the seed decides."""

from collections.abc import Callable
from random import Random

from PIL.ImageDraw import ImageDraw

from retouch_storybook.world.colors import RGB, mix

SIDE = 512  # pixels of the canvas on which every scene is drawn before it is reduced

Painter = Callable[[ImageDraw, int, Random], None]

# Each from its top to its bottom.
SKY: dict[str, tuple[RGB, RGB]] = {
    "in a meadow": ((128, 190, 240), (205, 232, 250)),
    "on a beach": ((90, 180, 240), (190, 230, 250)),
    "in the snow": ((170, 190, 215), (215, 225, 238)),
    "at night": ((10, 14, 44), (40, 44, 96)),
    "in a desert": ((250, 170, 100), (252, 222, 160)),
    "in a room": ((206, 186, 170), (190, 168, 150)),
}
GROUND: dict[str, tuple[RGB, RGB]] = {
    "in a meadow": ((130, 200, 90), (80, 150, 60)),
    "on a beach": ((240, 216, 150), (222, 188, 120)),
    "in the snow": ((250, 252, 255), (218, 228, 242)),
    "at night": ((24, 48, 44), (12, 26, 28)),
    "in a desert": ((226, 160, 90), (190, 120, 62)),
    "in a room": ((150, 104, 70), (120, 80, 52)),
}
SEA: tuple[RGB, RGB] = ((30, 120, 190), (60, 170, 210))
CLOUD = (250, 250, 252)
FLOWERS = ((250, 230, 90), (250, 250, 250), (240, 120, 150))
SUN = (255, 235, 120)
SURF = (250, 250, 250)
FLAKE = (255, 255, 255)
MOON = (245, 240, 205)
MOON_SHADOW = (14, 18, 52)
STAR = (250, 250, 220)
CACTUS = (70, 120, 66)
FLOORBOARD = (110, 72, 46)
PANE = (170, 215, 245)
FRAME = (245, 240, 230)


def paint_setting(draw: ImageDraw, setting: str, rng: Random) -> None:
    """Paint the background of a scene, somewhere above and below a random horizon."""
    horizon = int(SIDE * (0.52 + 0.10 * rng.random()))
    PAINTERS[setting](draw, horizon, rng)


def meadow(draw: ImageDraw, horizon: int, rng: Random) -> None:
    """Three clouds above, flowers below."""
    _sky_and_ground(draw, horizon, "in a meadow")
    for _ in range(3):
        x, y = rng.random() * SIDE, rng.random() * horizon * 0.6
        for puff in range(4):
            left, top = x + puff * 24 - 20, y - 14 - 8 * (puff % 2)
            draw.ellipse([left, top, x + puff * 24 + 26, y + 20], fill=CLOUD)
    for _ in range(24):
        x, y = rng.random() * SIDE, horizon + 12 + rng.random() * (SIDE - horizon)
        _dot(draw, x, y, 5, rng.choice(FLOWERS))


def beach(draw: ImageDraw, horizon: int, rng: Random) -> None:
    """Sky, sea and sand, with the sun in the sky."""
    shore = horizon * 0.7
    _gradient(draw, 0, shore, *SKY["on a beach"])
    _gradient(draw, shore, horizon, *SEA)
    _gradient(draw, horizon, SIDE, *GROUND["on a beach"])
    _dot(draw, SIDE * (0.15 + 0.7 * rng.random()), 64, 34, SUN)
    draw.line([(0, horizon), (SIDE, horizon)], fill=SURF, width=8)


def snow(draw: ImageDraw, horizon: int, rng: Random) -> None:
    """A pale day with falling snow."""
    _sky_and_ground(draw, horizon, "in the snow")
    for _ in range(60):
        _dot(draw, rng.random() * SIDE, rng.random() * SIDE, 3 + 4 * rng.random(), FLAKE)


def night(draw: ImageDraw, horizon: int, rng: Random) -> None:
    """A crescent moon and stars."""
    _sky_and_ground(draw, horizon, "at night")
    x = SIDE * (0.15 + 0.7 * rng.random())
    _dot(draw, x, 70, 36, MOON)
    draw.ellipse([x - 14, 26, x + 50, 92], fill=MOON_SHADOW)
    for _ in range(28):
        _dot(draw, rng.random() * SIDE, rng.random() * horizon * 0.9, 2 + 2.5 * rng.random(), STAR)


def desert(draw: ImageDraw, horizon: int, rng: Random) -> None:
    """Three cacti before an orange sky."""
    _sky_and_ground(draw, horizon, "in a desert")
    for _ in range(3):
        x, height, half = rng.random() * SIDE, 60 + 60 * rng.random(), 13
        draw.rounded_rectangle([x - half, horizon - height, x + half, horizon + 14], half, fill=CACTUS)
        arm = [x - 3 * half, horizon - height * 0.7, x - half * 1.6, horizon - height * 0.3]
        draw.rounded_rectangle(arm, half * 0.6, fill=CACTUS)
        draw.rectangle([x - 2.4 * half, horizon - height * 0.42, x, horizon - height * 0.3], fill=CACTUS)


def room(draw: ImageDraw, horizon: int, rng: Random) -> None:
    """A wall with a window, and floorboards."""
    _sky_and_ground(draw, horizon, "in a room")
    for board in range(6):
        far = board * SIDE / 5
        draw.line([(far, horizon), (far * 1.6 - SIDE * 0.3, SIDE)], fill=FLOORBOARD, width=4)
    x = SIDE * (0.05 + 0.6 * rng.random())
    draw.rectangle([x, 50, x + 120, 180], fill=PANE, outline=FRAME, width=12)
    draw.line([(x + 60, 50), (x + 60, 180)], fill=FRAME, width=8)


PAINTERS: dict[str, Painter] = {
    "in a meadow": meadow,
    "on a beach": beach,
    "in the snow": snow,
    "at night": night,
    "in a desert": desert,
    "in a room": room,
}


def _dot(draw: ImageDraw, x: float, y: float, radius: float, color: RGB) -> None:
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)


def _sky_and_ground(draw: ImageDraw, horizon: int, setting: str) -> None:
    _gradient(draw, 0, horizon, *SKY[setting])
    _gradient(draw, horizon, SIDE, *GROUND[setting])


def _gradient(draw: ImageDraw, top: float, bottom: float, upper: RGB, lower: RGB) -> None:
    for y in range(int(top), int(bottom)):
        draw.line([(0, y), (SIDE, y)], fill=mix(upper, lower, (y - top) / (bottom - top)))
