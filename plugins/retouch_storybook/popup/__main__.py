"""Write scenes of the pop-up world as folders of posed pictures: `python -m retouch_storybook.popup out beach`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from retouch_storybook.draw import side, whole
from retouch_storybook.popup.edits import SCENES
from retouch_storybook.popup.folder import write_scene


def main(argv: Sequence[str] | None = None) -> None:
    """Write the folders, and say their captions."""
    parser = argparse.ArgumentParser(
        prog="python -m retouch_storybook.popup",
        description="Write scenes from many sides, and the truth of a dog, a hat and another colour in each.",
    )
    parser.add_argument("--views", type=_count, default=20, help="posed pictures of each, 2 to 1000 (default: 20)")
    parser.add_argument("--held", type=_count, default=8, help="pictures from other sides, for measuring (default: 8)")
    parser.add_argument("--size", type=side, default=64, help="side in pixels, 8 to 512 (default: 64)")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("scenes", nargs="*", help=f"which: {', '.join(SCENES)} (default: all)")
    options = parser.parse_args(argv)
    if unknown := [name for name in options.scenes if name not in SCENES]:
        parser.error(f"no scene is called '{unknown[0]}': {', '.join(SCENES)}")
    for name in options.scenes or SCENES:
        try:
            write_scene(options.out, name, options.views, options.held, options.size)
        except OSError as error:
            parser.error(f"can't write {options.out / name}: {error.strerror}")
        print(f"{options.out / name}/: {SCENES[name].caption()}", flush=True)


def _count(text: str) -> int:
    return whole(text, 2, 1000)


if __name__ == "__main__":
    main()
