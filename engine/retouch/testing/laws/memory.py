"""What a family says that work takes beside the weights, held to the tensors that live at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from retouch.models.family import Described
from retouch.run.executor import run
from retouch.testing.worlds import World

WITHIN = 2.5  # a small model has relatively more of what no formula counts


class PeakNumbers(NamedTuple):
    """Numbers that were held at once: by one row of a pass, and by one call of the codec."""

    row: float
    picture: float


def memory_law(world: World, known: Described) -> PeakNumbers:
    """`Described.working` is within a factor of 2.5 of the numbers that live at once.  Returns those.

    Room that kernels take for themselves is beside that: convolutions were seen to take a quarter more.
    """
    assert world.codec
    x, codec = world.latents.data.repeat(1, 2, 2), world.codec  # so large that cells count, and not the words alone
    level, prompt = world.schedule.steps[0].noisy, world.edit.source
    held = PeakNumbers(living(lambda: run(world.model(x, level, prompt))), living(lambda: codec.decode(x[None])))
    if known.working:
        cells = (x.shape[-2], x.shape[-1])
        pixels = cells[0] * cells[1] * known.scale**2
        told = PeakNumbers(known.working.row(cells, len(prompt.embeds)), known.working.picture(pixels))
        for what, has, says in zip(("a row of a pass", "a picture in the codec"), held, told, strict=True):
            said = f"{what} of {cells[0]} x {cells[1]} cells holds {has:,.0f} numbers, and `working` says {says:,.0f}"
            assert has / WITHIN <= says <= has * WITHIN, said
    return held


def living(work: Callable[[], object]) -> int:
    """Return the numbers of all tensors that live at once while something runs, beside those that it finds.

    On the meta device, too, where attention is taken for the one kernel that it is elsewhere.
    """
    with torch.no_grad(), _OneKernel(), _Living() as alive:
        work()
    return alive.most


class _OneKernel(TorchFunctionMode):
    """On the meta device torch would write attention out, with maps that no kernel keeps."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(zip(("query", "key", "value"), args, strict=False)) | (kwargs or {})
        if func is scaled_dot_product_attention and given["query"].is_meta:
            return given["query"].new_empty(*given["query"].shape[:-1], given["value"].shape[-1])
        return func(*args, **(kwargs or {}))


class _Living(TorchDispatchMode):
    """Numbers of all tensors that operations make, while they live; a view has the memory of what it is of."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, Any] = {}  # weights, and whatever else was there before
        self.alive: dict[int, int] = {}
        self.now = self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for each in _tensors((args, kwargs)):
            storage = each.untyped_storage()
            if storage._cdata not in self.alive:
                self.found[storage._cdata] = storage
        made = func(*args, **(kwargs or {}))
        for each in _tensors(made):
            self._begins(each.untyped_storage(), each.element_size())
        return made

    def _begins(self, storage: Any, item: int) -> None:
        key = storage._cdata
        if key in self.found or key in self.alive:
            return
        self.alive[key] = storage.nbytes() // item
        self.now += self.alive[key]
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._ends, key)

    def _ends(self, key: int) -> None:
        self.now -= self.alive.pop(key)


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (each for each in tree_iter(tree) if isinstance(each, Tensor))
