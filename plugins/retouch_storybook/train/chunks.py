"""Chunks of drawings, rendered without torch: `python -m retouch_storybook.train.chunks FOLDER SIZE NAME…`.

A chunk is a file of pixels and a file of scenes; the second is written last and says that the chunk is whole.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random

import numpy as np

from retouch_storybook.world import Scene, render, sample

CHUNK = 500  # drawings in a file
HELD_OUT = 300  # drawings to measure on, in the chunk "held_out"


def scenes_of(name: str, count: int | None = None) -> list[Scene]:
    """Draw the scenes of a chunk, each a stream of its own; count: how many, if not the usual number."""
    wanted = name == "held_out"
    count = count or (HELD_OUT if wanted else CHUNK)
    rng = Random(f"storybook {name}")
    scenes: list[Scene] = []
    while len(scenes) < count:
        scene = sample(rng)
        if scene.held_out == wanted:
            scenes.append(scene)
    return scenes


def is_whole(folder: Path, name: str) -> bool:
    """Whether a chunk is there, all of it."""
    return (folder / f"{name}.json").exists()


def render_chunk(folder: Path, size: int, name: str, count: int | None = None) -> None:
    """Render the drawings of a chunk and write them, whole at any kill."""
    scenes = scenes_of(name, count)
    unfinished = folder / f"{name}.{os.getpid()}.unfinished.npy"
    np.save(unfinished, np.stack([np.asarray(render(scene, size)) for scene in scenes]))
    unfinished.replace(folder / f"{name}.npy")
    text = folder / f"{name}.{os.getpid()}.unfinished"
    text.write_text(json.dumps([asdict(scene) for scene in scenes]))
    text.replace(folder / f"{name}.json")


def read_scenes(folder: Path, name: str) -> list[Scene]:
    """The scenes of a chunk that is whole."""
    return [Scene(**attributes) for attributes in json.loads((folder / f"{name}.json").read_text())]


def main(argv: Sequence[str]) -> int:
    """Render the chunks that are named and not there yet, each NAME=COUNT, until the process that asked is gone."""
    folder, size, names, parent = Path(argv[0]), int(argv[1]), argv[2:], os.getppid()
    for name, _, count in (text.partition("=") for text in names):
        if os.getppid() != parent:
            return 1
        if not is_whole(folder, name):
            render_chunk(folder, size, name, int(count))
    return 0


if __name__ == "__main__":
    os.nice(10)  # whoever learns from the drawings goes first
    sys.exit(main(sys.argv[1:]))
