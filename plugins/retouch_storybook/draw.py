"""Draw one scene: `python -m retouch_storybook.draw --subject cat --color white --setting "in a meadow" cat.png`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from retouch_storybook.world import ACCESSORIES, COLORS, SETTINGS, STYLES, SUBJECTS, Scene, render


def main(argv: Sequence[str] | None = None) -> None:
    """Write the picture, and say its caption."""
    parser = argparse.ArgumentParser(prog="python -m retouch_storybook.draw", description="Draw a storybook scene.")
    parser.add_argument("--subject", choices=SUBJECTS, required=True)
    parser.add_argument("--color", choices=COLORS, required=True)
    parser.add_argument("--setting", choices=SETTINGS, required=True)
    parser.add_argument("--accessory", choices=ACCESSORIES, help="cat, dog, rabbit and bear only")
    parser.add_argument("--style", choices=STYLES)
    parser.add_argument("--seed", type=int, default=0, help="place, size and background (default: 0)")
    parser.add_argument("--size", type=side, default=64, help="side in pixels, 8 to 512 (default: 64)")
    parser.add_argument("out", type=Path, help="PNG file to write")
    options = parser.parse_args(argv)
    try:
        scene = Scene(
            options.subject, options.color, options.setting, options.accessory, options.style, seed=options.seed
        )
    except ValueError as error:
        parser.error(str(error))
    try:
        render(scene, options.size).save(options.out, format="PNG")
    except OSError as error:
        parser.error(f"can't write {options.out}: {error.strerror}")
    print(scene.caption())


def side(text: str) -> int:
    """Read the side of a picture in pixels."""
    return whole(text, 8, 512)


def whole(text: str, least: int, most: int) -> int:
    """Read a whole number of a command line."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number") from None
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{number} is not between {least} and {most}")
    return number


if __name__ == "__main__":
    main()
