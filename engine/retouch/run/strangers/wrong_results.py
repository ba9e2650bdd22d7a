"""What is said of a result that is not as declared, and the questions about one that only the device can answer."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from retouch.core.awaited.requests import Network
from retouch.core.declared.touches import Touch
from retouch.core.large.stored import PlacedMask, StoredImage
from retouch.core.schedule import Schedule

if TYPE_CHECKING:
    from retouch.graph.nodes import Node
    from retouch.models.strange_family import FamilyGuard


class NotFinite(Exception):
    """A stage made infinities, or what is no number.

    suspects: stages whose functions or models it called, and whether [] these made nothing worse than they got.
    """

    suspects: Sequence[tuple[Node, Tensor]] = ()
    families: Sequence[tuple[FamilyGuard, Tensor]] = ()  # strangers', whose networks it called, and the same of them

    @property
    def family(self) -> FamilyGuard | None:
        """The family of models that is to blame, if it is one."""
        return next((guard for guard, fine in self.families if not fine), None)

    @property
    def maker(self) -> Node | None:
        """The stage that made what is to blame, if it is one of those that were called; asks the device."""
        return next((maker for maker, fine in self.suspects if not fine), None)


class WrongResult(Exception):
    """A stage made something else than it declares.

    wanted, got: both sides, as a sentence has them.
    maker: the stage that made the function, where another calls it.
    """

    def __init__(self, wanted: str, got: str, maker: Node | None = None) -> None:
        super().__init__(f"it has to give {wanted}, and gave {got}")
        self.wanted, self.got, self.maker = wanted, got, maker


class WrongAnswer(WrongResult):
    """A network that rows were evaluated by answered something else than it has to."""

    def __init__(self, core: object, wanted: str, got: str) -> None:
        super().__init__(wanted, got)
        self.core = core


@dataclass(frozen=True, slots=True)
class Doubt:
    """A question put to the device: `fine` [] is True where nothing is wrong, else `error` is what is."""

    fine: Tensor
    error: Exception


def described(value: Any) -> str:
    """What a value is, for somebody who meant another."""
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)}"
    if inspect.isasyncgen(value) or inspect.isgenerator(value):
        return "a generator: it returns its result, so it has no 'yield' in it"
    if inspect.iscoroutine(value):
        return "a coroutine that nobody awaits: write 'return await …'"
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    return "nothing: it ends without 'return'" if value is None else f"a {type(value).__name__}"


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in a value: in fields of dataclasses, tuples, lists and mappings; of stored pictures, patches."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, StoredImage):
        yield from (patch.data for patch in value.patches)
    elif isinstance(value, PlacedMask):
        yield value.inner
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from tensors(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from tensors(each)
    elif is_dataclass(value) and not isinstance(value, type | Schedule | Touch | Network):
        for each in fields(value):
            yield from tensors(getattr(value, each.name))
