"""Tunings that were stopped go on where they were, with the bits of those that nobody stopped."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from retouch.api import Denoiser, NegativePrompt, TrainingPictures
from retouch.run import checkpoints
from retouch.run.checkpoints import FileCheckpoint, RunCheckpoints
from retouch.run.executor import Executor
from retouch.run.task import Task
from retouch.testing.tiny import TinyTexts
from retouch.testing.worlds import tiny_world
from retouch_methods.tune.dreambooth import dreambooth
from retouch_methods.tune.imagic import imagic
from retouch_methods.tune.lora import lora
from retouch_methods.tune.sine import sine
from retouch_methods.tune.unitune import unitune

WORLD = tiny_world(steps=2)
assert WORLD.image
WORDS: dict[str, Any] = {"embedding_steps": 3, "training_steps": 3, "embedding_lr": 1e-2, "weights": "cross"}
PORTS: dict[str, Any] = {  # those that a stage has only where it learns
    "training": TrainingPictures((WORLD.image,)),
    "texts": TinyTexts(WORLD.latents.data.dtype),
    "schedule": WORLD.schedule,
    "codec": WORLD.codec,
    "negative": WORLD.edit.negative.of(NegativePrompt),
    "noise": WORLD.noise,
}
SUBJECT: dict[str, Any] = PORTS | {"prompt": "a sks cat", "iterations": 3}
KIND: dict[str, Any] = SUBJECT | {"class_prompt": "a cat", "class_pictures": 2, "class_guidance": 1.0}


class Stopped(Exception):
    """What a log raises that has heard of so many steps; the run ends there, as a kill would end it."""


class StoppedAfter:
    """A log that lets so many steps be done; the last of them is not kept."""

    def __init__(self, steps: int) -> None:
        self.steps, self.losses = steps, dict[int, float]()

    def due(self, done: int, of: int) -> bool:
        """Nobody asks."""
        return False

    def learnt(self, done: int, of: int, loss: float) -> None:
        """Of one step more."""
        if done > self.steps:
            raise Stopped
        self.losses[done] = loss


def tuned(stage: Any, folder: Path | None, log: StoppedAfter, **options: Any) -> tuple[Denoiser, int]:
    """What the stage made with checkpoints in a folder, and the rows that it cost."""
    executor = Executor()
    task = Task(lambda: WORLD.call(stage, checkpoints=RunCheckpoints(folder), log=log, **{"lr": 1e-3} | options))
    executor.run([task])
    if task.error:
        raise task.error
    return task.result, sum(info.rows for info in executor.calls if info.kind in ("denoise", "gradient"))


def tensors(model: Denoiser) -> list[torch.Tensor]:
    delta = model.delta
    learnt = [delta.words.embeds] if delta.words and delta.words.embeds is not None else []
    return [*delta.weights.values(), *(each for pair in delta.low_rank.values() for each in pair), *learnt]


@pytest.mark.parametrize(
    ("stage", "stopped", "options"),
    [
        pytest.param(imagic, 2, WORDS, id="imagic, at its embedding"),
        pytest.param(imagic, 3, WORDS, id="imagic, between both", marks=pytest.mark.bench),
        pytest.param(imagic, 5, WORDS, id="imagic, at its weights"),
        pytest.param(unitune, 2, {"training_steps": 3, "batch": 2}, id="unitune"),
        pytest.param(sine, 2, {"training_steps": 3, "weights": "cross"}, id="sine"),
        pytest.param(sine, 2, {"training_steps": 3, "patches": True, "weights": "low_rank"}, id="sine, in patches"),
        pytest.param(lora, 2, SUBJECT | {"adapters": None}, id="lora", marks=pytest.mark.bench),
        pytest.param(dreambooth, 2, KIND | {"weights": "cross"}, id="dreambooth, and its kind"),
    ],
)
def test_what_was_stopped_goes_on_with_the_same_bits(
    stage: Any, stopped: int, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETOUCH_CHECKPOINTS", "0")
    whole, rows = tuned(stage, None, heard := StoppedAfter(10), **options)
    with pytest.raises(Stopped):
        tuned(stage, tmp_path, StoppedAfter(stopped), **options)
    assert len([*tmp_path.iterdir()]) == 1

    other, others_rows = tuned(stage, tmp_path, StoppedAfter(10), **options | {"lr": 2e-3})
    assert others_rows == rows, "other work, which begins at its beginning"
    assert len([*tmp_path.iterdir()]) == 1
    again, rest = tuned(stage, tmp_path, more := StoppedAfter(10), **options)
    assert rest < rows
    assert [*more.losses] == [*range(stopped + 1, max(heard.losses) + 1)]
    assert all(loss == heard.losses[step] for step, loss in more.losses.items())
    assert all(torch.equal(one, two) for one, two in zip(tensors(whole), tensors(again), strict=True))
    assert len(tensors(other)) == len(tensors(whole))
    assert not [*tmp_path.iterdir()]


def test_a_checkpoint_that_is_cut_off_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETOUCH_CHECKPOINTS", "0")
    whole, rows = tuned(imagic, None, StoppedAfter(10), **WORDS)
    with pytest.raises(Stopped):
        tuned(imagic, tmp_path, StoppedAfter(5), **WORDS)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    again, all_again = tuned(imagic, tmp_path, StoppedAfter(10), **WORDS)
    assert all_again == rows
    assert all(torch.equal(one, two) for one, two in zip(tensors(whole), tensors(again), strict=True))


def test_one_that_takes_long_to_write_is_written_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, now = list[int](), 0.0  # seconds, of a clock that goes on here alone
    monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: now, time=time.time))

    def state() -> dict[str, torch.Tensor]:
        nonlocal now
        now += 2
        written.append(1)
        return {"x": torch.zeros(1)}

    def kept(seconds: float) -> int:
        nonlocal now
        written.clear()
        checkpoint = FileCheckpoint(tmp_path / "one.safetensors", seconds, now)
        for _ in range(30):
            now += 1
            checkpoint.keep(state)
        return len(written)

    assert kept(1) == 2  # a tenth of the time at most
    assert kept(0) == 30


def test_an_old_one_that_cannot_be_removed_keeps_none_from_being_written(tmp_path: Path) -> None:
    (tmp_path / "old.safetensors").mkdir()
    for name in ("old", "older"):
        (tmp_path / f"{name}.safetensors").touch()
        os.utime(tmp_path / f"{name}.safetensors", (0, 0))
    FileCheckpoint(tmp_path / "new.safetensors", 0).keep(lambda: {"x": torch.zeros(1)})
    assert {path.stem for path in tmp_path.iterdir()} == {"old", "new"}
