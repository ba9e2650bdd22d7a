"""Colours: the ten that a subject may have, and how the others derive from them."""

RGB = tuple[int, int, int]  # each in 0..255

COAT: dict[str, RGB] = {
    "white": (244, 244, 240),
    "black": (40, 40, 46),
    "brown": (134, 88, 52),
    "orange": (235, 138, 40),
    "gray": (140, 144, 150),
    "red": (210, 48, 48),
    "blue": (52, 104, 210),
    "pink": (240, 150, 180),
    "green": (60, 150, 70),
    "yellow": (245, 208, 64),
}

WHITE: RGB = (255, 255, 255)
INK: RGB = (20, 20, 24)


def shade(color: RGB, factor: float) -> RGB:
    """Darken a colour; a factor of 1 leaves it, 0 is black."""
    red, green, blue = (int(max(0, min(255, value * factor))) for value in color)
    return red, green, blue


def mix(a: RGB, b: RGB, amount: float) -> RGB:
    """Blend two colours: `a` where the amount is 0, `b` where it is 1."""
    red, green, blue = (int(x * (1 - amount) + y * amount) for x, y in zip(a, b, strict=True))
    return red, green, blue


def contrast(color: RGB, factor: float, on_black: RGB) -> RGB:
    """Darken a colour, so that it stands out from itself; black can only be lightened."""
    return shade(color, factor) if sum(color) > 200 else on_black
