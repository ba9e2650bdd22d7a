"""What the engine hands to the ports of a graph's stages."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from retouch.core.awaited.combinators import gather
from retouch.core.values import Edit, NegativePrompt, NoiseSource, Prompt, SourcePrompt, TargetPrompt, TrainingPictures
from retouch.graph.nodes import FromEngine
from retouch.run.files.outbox import FileIn
from retouch.run.loaded.loaded_model import Machine
from retouch.run.task import Task

_ROLES: dict[str, type[Prompt]] = {
    "SourcePrompt": SourcePrompt,
    "TargetPrompt": TargetPrompt,
    "NegativePrompt": NegativePrompt,
}
_SAID = {*_ROLES, "Edit"}  # text that the model has read


class Supply:
    """Tasks that make supplied values; equal ones are made once for all pictures."""

    def __init__(self) -> None:
        self.made: dict[Any, Task] = {}
        self._tasks: set[Task] = set()

    def task(self, edge: FromEngine, machine: Machine, own: Mapping[str, Any], sized_by: Task | None = None) -> Task:
        """The task whose result goes to the port that this edge feeds; what is one picture's own is there already."""
        mine = own.get(edge.type)
        # Settings may hold lists, which have no hash; their text has.
        settings = tuple(sorted((name, repr(value)) for name, value in edge.settings.items()))
        key = (edge.type, machine.info.digest, id(mine) if mine else None, settings, sized_by)
        if key not in self.made and sized_by:
            steps = edge.settings["steps"]
            of = (sized_by,)  # which may be wanted for nothing else
            self._keep(
                key, Task(lambda x: machine.schedule(steps, tuple(x.data.shape[-2:])), of, edge.type, wanted=False)
            )
        elif key not in self.made:
            start = (lambda: mine.at(edge.settings)) if mine else _maker(edge, machine)
            self._keep(key, Task(start, name=edge.type, light=edge.type in _SAID))
        return self.made[key]

    def shared(self, key: str) -> Task | None:
        """The task of a stage whose work depends on no picture, if some picture has asked for it."""
        return self.made.get(key)

    def share(self, key: str, task: Task) -> None:
        """Let other pictures have what this task makes."""
        self._keep(key, task)

    def needed(self, tasks: Sequence[Task]) -> list[Task]:
        """The supplied tasks that these need, each before what it feeds."""
        return list(dict.fromkeys(_fed_by(tasks, self._tasks)))

    def _keep(self, key: Any, task: Task) -> None:
        self.made[key] = task
        self._tasks.add(task)


def _fed_by(tasks: Iterable[Task], supplied: Container[Task]) -> Iterator[Task]:
    """The supplied tasks that feed these, and those that feed them, each before what it feeds."""
    for task in tasks:
        for each in task.after:
            if each in supplied:
                yield from _fed_by((each,), supplied)
                yield each


def _maker(edge: FromEngine, machine: Machine) -> Callable[[], Any]:
    told = edge.settings
    makers: dict[str, Callable[[], Any]] = {
        "Denoiser": lambda: machine.denoiser,
        "Codec": lambda: machine.codec,
        "TextEncoder": lambda: machine.texts,
        "Adapters": lambda: machine,
        "TunedWeights": lambda: machine,
        "Weights": lambda: machine.own_weights(told["files"]),
        "Pretrained": lambda: machine.pretrained(told["folder"], *told["files"][0][1:]),
        "TrainingPictures": lambda: _training(machine, told["learnt"]),
        "Schedule": lambda: machine.schedule(told["steps"], (0, 0)),
        "NoiseSource": lambda: NoiseSource(told["seed"], told["key"]),
        "Edit": lambda: _edit(machine, told["source"], told["target"], told["negative"], told["weights"]),
    }
    return makers.get(edge.type) or (lambda: _prompt(machine, _ROLES[edge.type], told["text"]))


def _training(machine: Machine, learnt: Sequence[tuple[str, str]]) -> TrainingPictures:
    files = FileIn(machine.device)
    return TrainingPictures(tuple(files.image(path, 0) for path, _ in learnt))


async def _prompt(machine: Machine, role: type[Prompt], text: str) -> Prompt:
    prompt = await machine.texts.prompt(text)
    return prompt.of(role)


async def _edit(machine: Machine, source: str, target: str, negative: str, weights: Any) -> Edit:
    texts = machine.texts
    before, after, away = await gather(texts.prompt(text) for text in (source, target, negative))
    return Edit(before, after, away, tuple(weights))
