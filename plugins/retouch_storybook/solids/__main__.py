"""Write an animal of solids from all around, as a folder: `python -m retouch_storybook.solids out --subject cat`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from retouch_storybook.draw import side, whole
from retouch_storybook.popup.folder import write_views
from retouch_storybook.solids.animals import animal
from retouch_storybook.solids.rendering import LENS, render, round_about
from retouch_storybook.world import COLORS


def main(argv: Sequence[str] | None = None) -> None:
    """Write the folder, and say what it shows."""
    parser = argparse.ArgumentParser(
        prog="python -m retouch_storybook.solids", description="Write an animal of solids from all around, cut out."
    )
    parser.add_argument("--subject", choices=("cat", "dog"), default="cat")
    parser.add_argument("--color", choices=COLORS, default="orange")
    parser.add_argument("--accessory", choices=("hat",))
    parser.add_argument("--views", type=_count, default=32, help="pictures, 2 to 1000 (default: 32)")
    parser.add_argument("--shift", type=float, default=0.0, help="turn all cameras on, for other views (default: 0)")
    parser.add_argument("--size", type=side, default=64, help="side in pixels, 8 to 512 (default: 64)")
    parser.add_argument("out", type=Path, help="folder to write to")
    options = parser.parse_args(argv)
    solids, poses = animal(options.subject, options.color, options.accessory), round_about(options.views, options.shift)
    try:
        write_views(options.out, [render(solids, pose, options.size) for pose in poses], poses, LENS * options.size)
    except OSError as error:
        parser.error(f"can't write {options.out}: {error.strerror}")
    article = "an" if options.color[0] in "aeiou" else "a"
    worn = f" wearing a {options.accessory}" if options.accessory else ""
    print(f"{article} {options.color} {options.subject}{worn}")


def _count(text: str) -> int:
    return whole(text, 2, 1000)


if __name__ == "__main__":
    main()
