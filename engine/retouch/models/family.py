"""A family of models, such as FLUX: what a plugin says so that the engine can check recipes for it and run them.

A family is one object in one module that imports no torch at its top: it describes models while recipes are checked.
The hook `retouch_families` names the module for each class of pipeline that model_index.json may state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from retouch.core.declared.touches import Site
from retouch.core.grid import Grid
from retouch.models.prompts.tokens import PromptReading

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from retouch.core.awaited.resources import Codec
    from retouch.core.schedule import Schedule
    from retouch.core.values import Prompt
    from retouch.models.prompts.tokens import Tokens

Read = Callable[[str], Mapping[str, Any]]
"""Reads one JSON file of a model, by its name in the folder.  Raises BrokenModel where there is none."""


@dataclass(frozen=True, slots=True)
class WorkingMemory:
    """Numbers that work holds at its peak beside the weights, for `plan`; each takes the bytes of the run's type.

    `retouch.testing.laws.memory_law` measures them.  Attention's maps are not counted: kernels never hold them whole.
    """

    cell: float  # in one row of a pass, for each latent cell
    word: float = 0.0  # in one row of a pass, for each token of its prompt
    pixel: float = 0.0  # in one call of the codec, for each pixel of a picture

    def row(self, cells: tuple[int, int], words: int) -> float:
        """Of one row, for latents [h, w]."""
        return self.cell * cells[0] * cells[1] + self.word * words

    def picture(self, pixels: int) -> float:
        """Of one picture in the codec."""
        return self.pixel * pixels


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of a model before its weights are loaded.

    parts: folders that hold a network: config.json and weights.
    tokenizers: folders that hold a vocabulary.
    reads: how each encoder is given a prompt, by the folder of its vocabulary; by these `check` tells what of a prompt
        is not read.
    told: numbers that the network reads besides, such as a distilled guidance, and what it reads where no stage says.
    defaults: options that suit it: `steps`, `guidance`; stages: the same for a turn with one stage, by its name.
    space: the parts that decide what a latent means; models that share their weights can exchange latents.  Empty where
        latents are the pixels themselves, which all such models share.
    grid: the trained timesteps that a walk may visit; None where there is no such list, as on flow.
    sized: whether the schedule depends on the size of the picture.
    classes: how many kinds of picture a prompt may name by number, in place of words; 0 where prompts are words.
    working: what work takes beside the weights; None where nobody has measured it, and then `plan` tells no peak.
    learns_words: folders of the text encoders that may be taught a word, in the order in which a file of textual
        inversion has them; empty where the family has no such files.
    noted: one sentence that a user of this model should know.
    """

    channels: int  # of a latent, as stages see it
    scale: int  # pixels per latent cell, along one side
    multiple: int  # sides of a picture, in pixels, must be multiples of this
    trained_size: int  # pixels
    tokens: int  # of a prompt, at most; 0 where the network reads no text
    prediction: Literal["epsilon", "v_prediction", "flow"]
    parts: tuple[str, ...]
    tokenizers: tuple[str, ...]
    sites: tuple[Site, ...] = field(default=(), repr=False)
    reads: Mapping[str, PromptReading] = field(default_factory=dict[str, PromptReading])
    told: Mapping[str, float] = field(default_factory=dict[str, float])
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    space: tuple[str, ...] = ("vae",)
    grid: Grid | None = None
    sized: bool = False
    classes: int = 0
    working: WorkingMemory | None = None
    learns_words: tuple[str, ...] = ()
    noted: str = ""

    @property
    def reads_words(self) -> bool:
        """Whether a prompt can tell the network anything."""
        return self.tokens > 0


class Rows(NamedTuple):
    """What one pass asks of a network, padded to its bucket of B rows."""

    x: Tensor  # [B, C, h, w]
    timesteps: Tensor  # [B], float32, from 0 to the number of trained timesteps
    embeds: Tensor  # [B, tokens, dim]
    extra: Mapping[str, Tensor]  # what else prompts hold, by name: [B, ...]
    told: Mapping[str, Tensor]  # numbers, by name: [B]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Everything, in a fixed order."""
        return (self.x, self.timesteps, self.embeds, *self.extra.values(), *self.told.values())

    def of(self, tensors: Sequence[Tensor]) -> Rows:
        """The same names with other tensors, in the order of `tensors`."""
        x, timesteps, embeds, *rest = tensors
        named = len(self.extra)
        extra = dict(zip(self.extra, rest[:named], strict=True))
        return Rows(x, timesteps, embeds, extra, dict(zip(self.told, rest[named:], strict=True)))


class Spans(NamedTuple):
    """Which tokens of a joint attention are the picture's, row by row from the top, and which are the text's."""

    image: slice
    text: slice


Ask = Callable[..., Any]
"""The network, under the weights that this pass has; called as the module itself is."""


class Net(ABC):
    """The denoiser of a family: a module, and how it is asked.

    capturable: whether a pass asks nothing of the device on its way, so that it may become a CUDA graph.
    """

    capturable = True

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    @abstractmethod
    def forward(self, ask: Ask, rows: Rows) -> Tensor:
        """Return the network's answer, in the family's kind of prediction.  [B, C, h, w]"""

    def spans(self, rows: Rows) -> Spans | None:
        """Return where the tokens stand at sites of joint attention; None if the network has none."""
        return None

    def features(self, block: nn.Module) -> nn.Module:
        """Return the module whose output is the features of a "resnet" site."""
        return block


class ModelTexts(Protocol):
    """The text encoders of a model."""

    async def prompt(self, text: str) -> Prompt:
        """Encode a text."""
        ...

    def heard(self, text: str) -> Tokens:
        """What the model reads of a text, and what not, without encoding it."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """The parts of a model, ready to evaluate."""

    net: Net
    codec: Codec
    texts: ModelTexts


Names = Callable[[Mapping[str, "Tensor"], Mapping[str, Any]], "dict[str, Tensor]"]
"""Renames the tensors of a single file, from its authors' names to the module's; the config is given with them."""


class Loading(Protocol):
    """How parts come to memory: the one place that knows files, devices and precisions."""

    @property
    def device(self) -> torch.device:
        """Where parts go."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The precision that they take."""
        ...

    def config(self, name: str) -> Mapping[str, Any]:
        """Read a JSON file of the model."""
        ...

    def diffusers(self, kind: Any, part: str, unread: Collection[str] = (), names: Names | None = None) -> Any:
        """Build a class of diffusers from the part's config and fill it with its weights.

        unread: what published configs state and the class never takes.
        names: what makes the class's names of its authors', of which diffusers knows nothing.
        """
        ...

    def transformers(self, kind: Any, config: Any, part: str) -> Any:
        """Build a class of transformers from the part's config and fill it with its weights."""
        ...

    def tokenizer(self, part: str, kind: Any = None) -> Any:
        """Read a tokenizer; kind: its class, by default whatever tokenizer.json describes."""
        ...


class ModelFamily(Protocol):
    """What a plugin adds.

    A family may have `spellings(modules, read)` besides: the names that its authors gave to layers, each with the
    modules that it stands for, so that LoRA files with those names are understood; several where one layer was cut.
    And `kinds`, such as ("sdxl",): kinds of weights, as `retouch models --json FILE` names their family, whose names of
    layers no other family has; a LoRA of such a kind beside a model of another family is refused by name.
    """

    @property
    def name(self) -> str:
        """As `retouch models` shows it."""
        ...

    def describe(self, read: Read) -> Described:
        """Read configs alone.  Raises BrokenModel where they do not belong together."""
        ...

    def schedule(self, read: Read, steps: int, size: tuple[int, int]) -> Schedule:
        """Return a walk of so many steps for latents of this size [h, w].  Raises ValueError for too many steps."""
        ...

    def load(self, known: Described, parts: Loading) -> Loaded:
        """Load every part."""
        ...
