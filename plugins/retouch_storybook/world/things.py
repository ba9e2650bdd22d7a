"""The subjects that are not mammals: bird and fish, and four things."""

from retouch_storybook.world.colors import INK, shade
from retouch_storybook.world.pen import BOTH_SIDES, Pen

BEAK = (248, 168, 40)
LEG = (240, 150, 40)
EYE_WHITE = (250, 250, 250)
PUPIL = (16, 16, 20)
GLASS = (190, 225, 245)
HEADLIGHT = (255, 245, 170)
TYRE = (30, 30, 34)
HUB = (190, 190, 196)
ROOF = (150, 66, 50)
ROOF_EDGE = (100, 40, 32)
DOOR = (96, 60, 36)
LIT_WINDOW = (250, 236, 150)
WINDOW_FRAME = (90, 60, 40)
TRUNK = (110, 72, 42)


def bird(pen: Pen) -> None:
    """A bird on two thin legs, looking to the right."""
    pen.shape([(-0.9, 1.6), (-2.0, 2.1), (-1.9, 1.2)], shade(pen.coat, 0.8))
    pen.oval(-0.1, 1.575, 1.1, 0.825, pen.coat, edge=pen.outline)
    pen.disc(0.8, 2.5, 0.6, pen.coat, edge=pen.outline)
    pen.shape([(1.35, 2.7), (2.0, 2.45), (1.35, 2.25)], BEAK)
    pen.oval(0.93, 2.615, 0.13, 0.135, INK)
    pen.shape([(-0.7, 1.8), (0.35, 1.85), (-0.5, 1.0)], shade(pen.coat, 0.75), edge=pen.outline)
    for leg in (-0.2, 0.3):
        pen.line([(leg, 0.8), (leg, 0)], LEG, width=pen.stroke + 2)


def fish(pen: Pen) -> None:
    """A fish in the air, looking to the left; its shadow stays on the ground."""
    pen.shape([(1.1, 1.5), (2.1, 2.3), (2.1, 0.7)], shade(pen.coat, 0.8), edge=pen.outline)
    pen.shape([(-0.3, 2.2), (0.5, 2.9), (0.8, 2.0)], shade(pen.coat, 0.8), edge=pen.outline)
    pen.oval(-0.1, 1.5, 1.5, 0.95, pen.coat, edge=pen.outline)
    pen.disc(-0.925, 1.675, 0.225, EYE_WHITE)
    pen.oval(-0.935, 1.675, 0.115, 0.125, PUPIL)
    for scale in (-0.2, 0.3, 0.8):
        pen.arc(scale, 1.5, 0.3, 0.5, (-70, 70), pen.outline, width=pen.stroke)


def car(pen: Pen) -> None:
    """A car that goes to the right."""
    pen.shape([(-1.1, 1.2), (-0.7, 2.1), (0.7, 2.1), (1.2, 1.2)], pen.coat, edge=pen.outline)
    pen.shape([(-0.85, 1.25), (-0.58, 1.92), (-0.06, 1.92), (-0.06, 1.25)], GLASS)
    pen.shape([(0.06, 1.25), (0.06, 1.92), (0.62, 1.92), (0.95, 1.25)], GLASS)
    pen.pill((-2.0, 1.3, 2.0, 0.35), 0.3, pen.coat, edge=pen.outline)
    pen.oval(1.775, 0.95, 0.175, 0.15, HEADLIGHT)
    for side in BOTH_SIDES:
        pen.disc(side * 1.1, 0.4, 0.45, TYRE)
        pen.disc(side * 1.1, 0.4, 0.2, HUB)


def house(pen: Pen) -> None:
    """A house with a red roof, a door and two lit windows."""
    pen.box((-1.4, 1.9, 1.4, 0), pen.coat, edge=pen.outline)
    pen.shape([(-1.75, 1.85), (0, 3.2), (1.75, 1.85)], ROOF, edge=ROOF_EDGE)
    pen.box((-0.35, 1.05, 0.35, 0), DOOR)
    for side in BOTH_SIDES:
        middle = side * 0.9
        pen.box((middle - 0.3, 1.5, middle + 0.3, 0.95), LIT_WINDOW, edge=WINDOW_FRAME)


def tree(pen: Pen) -> None:
    """A tree whose crown has the colour."""
    pen.box((-0.28, 1.5, 0.28, 0), TRUNK)
    for x, y, radius in ((-0.75, 1.9, 0.85), (0.75, 1.9, 0.85), (0, 2.7, 1.0), (0, 1.9, 0.9)):
        pen.disc(x, y, radius, pen.coat)
    for x, y in ((-0.6, 2.0), (0.5, 2.3), (0, 3.0), (0.1, 1.6)):
        pen.disc(x, y, 0.18, pen.light)


def ball(pen: Pen) -> None:
    """A ball with two seams."""
    pen.disc(0, 1.3, 1.3, pen.coat, edge=pen.outline)
    pen.arc(-1.25, 1.3, 1.15, 1.3, (-60, 60), pen.light, width=pen.pixels(0.2))
    pen.arc(1.25, 1.3, 1.15, 1.3, (120, 240), pen.light, width=pen.pixels(0.2))
