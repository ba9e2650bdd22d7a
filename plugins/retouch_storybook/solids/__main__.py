"""Write a thing of solids from all around, as a folder: `python -m retouch_storybook.solids out --subject tree`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from retouch_storybook.draw import side, whole
from retouch_storybook.popup.folder import write_views
from retouch_storybook.solids.edits import Figure
from retouch_storybook.solids.outdoors import Outdoors, OutdoorThing
from retouch_storybook.solids.rendering import LENS
from retouch_storybook.world import COLORS


def main(argv: Sequence[str] | None = None) -> None:
    """Write the folder, and say what it shows."""
    parser = argparse.ArgumentParser(
        prog="python -m retouch_storybook.solids",
        description="Write a thing of solids from all around: a tree or a ball outdoors, or an animal cut out.",
    )
    parser.add_argument("--subject", choices=("cat", "dog", "tree", "ball"), default="cat")
    parser.add_argument("--color", choices=COLORS, default="orange")
    parser.add_argument("--accessory", choices=("hat",), help="of an animal")
    parser.add_argument("--setting", choices=get_args(Outdoors), help="of a tree or a ball (default: in a meadow)")
    parser.add_argument("--views", type=_count, default=32, help="pictures, 2 to 1000 (default: 32)")
    parser.add_argument("--shift", type=float, default=0.0, help="turn all cameras on, for other views (default: 0)")
    parser.add_argument("--size", type=side, default=64, help="side in pixels, 8 to 512 (default: 64)")
    parser.add_argument("out", type=Path, help="folder to write to")
    options = parser.parse_args(argv)
    outdoors = options.subject in ("tree", "ball")
    if (options.accessory and outdoors) or (options.setting and not outdoors):
        parser.error("an accessory is of a cat or a dog, a setting of a tree or a ball")
    if outdoors:
        shown = OutdoorThing(options.subject, options.color, options.setting or "in a meadow")
    else:
        shown = Figure(options.subject, options.color, options.accessory)
    poses = shown.places(options.views, options.shift)
    try:
        write_views(options.out, [shown.seen(pose, options.size) for pose in poses], poses, LENS * options.size)
    except OSError as error:
        parser.error(f"can't write {options.out}: {error.strerror}")
    print(shown.caption())


def _count(text: str) -> int:
    return whole(text, 2, 1000)


if __name__ == "__main__":
    main()
