"""What an animal may wear; all heads are in one place, so each fits every animal."""

from retouch_storybook.world.pen import BOTH_SIDES, Pen

PURPLE = (60, 30, 110)
GOLD = (250, 210, 60)
CRIMSON = (200, 30, 60)
DARK_CRIMSON = (170, 20, 48)
FRAME = (16, 16, 20)


def hat(pen: Pen) -> None:
    """A tall hat with a golden band."""
    pen.box((-0.55, 4.0, 0.55, 3.07), PURPLE)
    pen.box((-0.55, 3.35, 0.55, 3.15), GOLD)
    pen.pill((-1.0, 3.19, 1.0, 2.95), 0.1, PURPLE)


def scarf(pen: Pen) -> None:
    """A scarf around the neck, one end hanging."""
    pen.pill((-0.85, 1.67, 0.85, 1.3), 0.16, CRIMSON)
    pen.pill((0.2, 1.55, 0.6, 0.6), 0.1, DARK_CRIMSON)


def glasses(pen: Pen) -> None:
    """Round glasses, through which the eyes are seen."""
    for side in BOTH_SIDES:
        pen.disc(side * 0.34, 2.52, 0.33, None, edge=FRAME, width=max(4, pen.pixels(0.11)))
    pen.line([(-0.06, 2.53), (0.06, 2.53)], FRAME, width=max(4, pen.pixels(0.1)))
