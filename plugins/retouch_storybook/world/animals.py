"""The four animals: they sit, face the viewer, and share body, head and eyes."""

from retouch_storybook.world.colors import RGB, contrast
from retouch_storybook.world.pen import BOTH_SIDES, HAIRLINE, Pen

ROSE = (240, 130, 140)
NOSE_BLACK = (24, 22, 24)
EYE_WHITE = (250, 250, 250)
PUPIL = (20, 20, 26)
EAR_PINK = (245, 170, 180)
TOOTH = (252, 252, 252)


def cat(pen: Pen) -> None:
    """Pointed ears, whiskers and a long bent tail."""
    pen.line([(0.8, 0.4), (1.6, 1.0), (1.45, 1.9)], pen.coat, width=pen.pixels(0.3))
    _body(pen)
    for side in BOTH_SIDES:
        pen.shape([(side * 0.95, 3.6), (side * 0.95, 2.45), (side * 0.15, 3.05)], pen.coat, edge=pen.outline)
    _head(pen)
    _eyes(pen)
    _nose(pen, 0.1, ROSE)
    for side in BOTH_SIDES:
        for tip in (2.21, 1.81):
            pen.line([(side * 0.3, 2.05), (side * 1.25, tip)], pen.outline, width=max(2, pen.stroke // 2))


def dog(pen: Pen) -> None:
    """Hanging ears, a muzzle and a tail held up."""
    pen.line([(0.8, 0.7), (1.45, 1.5)], pen.coat, width=pen.pixels(0.26))
    _body(pen)
    _head(pen)
    for side in BOTH_SIDES:
        pen.oval(side * 1.0, 2.35, 0.32, 0.75, contrast(pen.coat, 0.7, on_black=(84, 84, 92)), edge=pen.outline)
    _muzzle(pen)
    _eyes(pen)
    _nose(pen, 0.2, NOSE_BLACK)


def rabbit(pen: Pen) -> None:
    """Long ears, two teeth and a tail like a ball."""
    pen.disc(1.0, 0.5, 0.3, pen.light, edge=pen.outline)
    _body(pen)
    for side in BOTH_SIDES:
        pen.oval(side * 0.42, 3.65, 0.24, 0.9, pen.coat, edge=pen.outline)
        pen.oval(side * 0.42, 3.65, 0.11, 0.6, EAR_PINK)
    _head(pen)
    _eyes(pen)
    _nose(pen, 0.1, ROSE)
    pen.box((-0.13, 1.99, 0.13, 1.73), TOOTH, edge=pen.outline, width=HAIRLINE)


def bear(pen: Pen) -> None:
    """Round ears and a muzzle; no tail to be seen."""
    _body(pen)
    for side in BOTH_SIDES:
        pen.disc(side * 0.72, 3.14, 0.36, pen.coat, edge=pen.outline)
    _head(pen)
    _muzzle(pen)
    _eyes(pen)
    _nose(pen, 0.17, NOSE_BLACK)


def _body(pen: Pen) -> None:
    pen.oval(0, 0.975, 1.0, 0.975, pen.coat, edge=pen.outline)
    pen.oval(0, 0.74, 0.5, 0.66, pen.light)
    for side in BOTH_SIDES:
        pen.oval(side * 0.55, 0.09, 0.32, 0.21, pen.coat, edge=pen.outline)


def _head(pen: Pen) -> None:
    pen.oval(0, 2.365, 1.0, 0.865, pen.coat, edge=pen.outline)


def _muzzle(pen: Pen) -> None:
    pen.oval(0, 1.98, 0.48, 0.35, pen.light)


def _eyes(pen: Pen) -> None:
    for side in BOTH_SIDES:
        pen.oval(side * 0.3, 2.53, 0.13, 0.15, EYE_WHITE)
        pen.oval(side * 0.3, 2.53, 0.075, 0.1, PUPIL)


def _nose(pen: Pen, radius: float, color: RGB) -> None:
    pen.oval(0, 2.19 - 0.3 * radius, radius, 0.7 * radius, color)
