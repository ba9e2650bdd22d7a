"""A pool of drawings that grows while a model learns from it: all cores draw, the trainer takes in what is there."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from retouch_storybook.train.chunks import read_scenes
from retouch_storybook.world import Scene

CHUNK = 100  # drawings, some three seconds of a core
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Artists:
    """Processes that render the chunks of a folder, every so many names the same one; they end with their owner.

    They give way to other processes, and no Ctrl-C reaches them: their owner tells them.
    """

    def __init__(self, jobs: Sequence[tuple[Path, int, str, int]], workers: int) -> None:
        """jobs: folder, size, name and number of drawings of each chunk, the first ones wanted first."""
        environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
        self.processes = []
        for worker in range(workers):
            queue: dict[tuple[Path, int], list[str]] = {}
            for folder, size, name, count in jobs[worker::workers]:
                folder.mkdir(parents=True, exist_ok=True)
                queue.setdefault((folder, size), []).append(f"{name}={count}")
            for (folder, size), names in queue.items():
                command = [sys.executable, "-m", "retouch_storybook.train.chunks", str(folder), str(size), *names]
                self.processes.append(subprocess.Popen(command, env=environment, start_new_session=True))

    def failed(self) -> bool:
        """Whether one ended, and not because it was done."""
        return any(process.poll() not in {None, 0} for process in self.processes)

    def at_work(self) -> bool:
        """Whether any is still drawing."""
        return any(process.poll() is None for process in self.processes)

    def dismiss(self) -> None:
        """End those that are still drawing."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
            process.wait()


class Pool:
    """Drawings on a device: as many as have been rendered, and were taken in."""

    def __init__(self, folder: Path, size: int, count: int, device: str) -> None:
        self.folder, self.size = folder / str(size), size
        self.awaited = [f"pool_{k:05d}" for k in range(-(-count // CHUNK))]
        self.pixels = torch.empty(
            CHUNK * len(self.awaited), 3, size, size, dtype=torch.uint8, device=device
        )  # [most, 3, size, size], those from len(self) on not filled yet
        self.scenes: list[Scene] = []
        self.filled = torch.zeros((), device=device)  # len(self), for steps that may not ask the host

    def __len__(self) -> int:
        return len(self.scenes)

    def jobs(self) -> list[tuple[Path, int, str, int]]:
        """What there is to draw."""
        return [(self.folder, self.size, name, CHUNK) for name in self.awaited]

    def take_in(self) -> None:
        """Take in the chunks that have been rendered since."""
        present = set(os.listdir(self.folder))
        for name in [name for name in self.awaited if f"{name}.json" in present]:
            pixels, scenes = read_chunk(self.folder, name)
            start = len(self.scenes)
            self.pixels[start : start + len(scenes)] = pixels.to(self.pixels.device).permute(0, 3, 1, 2)
            self.scenes.extend(scenes)
            self.awaited.remove(name)
        self.filled.fill_(len(self.scenes))

    def wait_for(self, count: int, artists: Artists) -> None:
        """Wait until there are so many, or all."""
        while True:
            working = artists.at_work()
            self.take_in()
            if len(self) >= count or not self.awaited:
                return
            if not working or artists.failed():
                raise RuntimeError(f"the drawing processes ended with {len(self)} drawings, {count} are wanted")
            time.sleep(0.1)


def pick(count: Tensor, batch: int, draws: torch.Generator) -> Tensor:
    """Draw [batch] indices below a count, which stays on its device."""
    drawn = torch.rand(batch, generator=draws, device=draws.device) * count
    return drawn.minimum(count - 1).long()  # a product may be rounded up to the count


def read_chunk(folder: Path, name: str) -> tuple[Tensor, list[Scene]]:
    """Pixels of a chunk that is whole, [n, size, size, 3], uint8, and its scenes."""
    return torch.from_numpy(np.load(folder / f"{name}.npy")), read_scenes(folder, name)
