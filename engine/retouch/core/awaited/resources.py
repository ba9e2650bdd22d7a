"""What the engine hands to stages besides values that stages make."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar, runtime_checkable

from torch import Tensor, device, nn

from retouch.core.declared.folders import FolderReader
from retouch.core.tuning import ModelDelta
from retouch.core.values import Image, Mask, Prompt

T = TypeVar("T")


class Frame(Protocol):
    """The picture as it is now, as an image or as latents, whichever is there: for stages that want its size alone."""

    @property
    def data(self) -> Tensor:
        """Its numbers, [C, h, w] or [3, H, W]; of a large picture, made whole for whoever asks."""
        ...

    @property
    def like(self) -> Tensor:
        """No number, [0], of the precision and on the device that its numbers have."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...


class Codec(Protocol):
    """The model's picture codec: batched functions, to be awaited through `call`."""

    @property
    def scale(self) -> int:
        """Pixels per latent cell."""
        ...

    @property
    def side(self) -> int:
        """Pixels of a side of the pictures that the model was trained on."""
        ...

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The least size that the model takes and that holds a picture of this one."""
        ...

    def encode(self, pictures: Tensor) -> Tensor:
        """[B, 3, H, W] in [0, 1] -> scaled latents [B, C, h, w]"""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents [B, C, h, w] -> [B, 3, H, W] in [0, 1]"""
        ...


@runtime_checkable
class TunableCodec(Codec, Protocol):
    """A codec whose decoder has weights, which one call may replace."""

    @property
    def decoder_weights(self) -> Mapping[str, Tensor]:
        """Its decoder's weights by name; only to be read."""
        ...

    def decode_under(self, weights: Mapping[str, Tensor], latents: Tensor) -> Tensor:
        """Scaled latents [B, C, h, w] -> [B, 3, H, W] by these weights; colours may leave [0, 1]."""
        ...


class TextEncoder(Protocol):
    """The model's text encoder, for stages that need a prompt of their own."""

    async def prompt(self, text: str) -> Prompt:
        """The text, encoded."""
        ...

    def vectors(self, text: str) -> Sequence[Tensor]:
        """What stands for the tokens of a text in the vocabulary of each encoder.  [tokens, dim] of each"""
        ...

    def knowing(self, word: str, vectors: Sequence[Tensor]) -> TextEncoder:
        """The same, which reads a word as these vectors, [n, dim] for each encoder; gradients go through them."""
        ...

    @property
    def learnt(self) -> Mapping[str, Sequence[Tensor]]:
        """The words that it knows besides its vocabularies', each with its vectors."""
        ...


class Pictures(Protocol):
    """The files that a recipe may read; each was looked at before anything ran."""

    def image(self, path: str, size: int) -> Image:
        """The picture there, its longer side no more than `size` pixels (0: as it is)."""
        ...

    def area(self, path: str, label: int | None, height: int, width: int) -> Mask:
        """The mask there, of a picture of this size: 1 is edited.  label: of its numbers, None if it holds none."""
        ...


class Folder(FolderReader, Protocol):
    """The folder that the stage's option `path` names: of its files those that its description listed."""

    def image(self, name: str) -> Image:
        """A picture there, as it is stored, whatever EXIF says of how to turn it."""
        ...

    def lit(self, name: str) -> Tensor:
        """Where a picture there, as it is stored, is not black: of what is a mask, nobody is told how it was read.

        [H, W] bool
        """
        ...


class TensorFiles(Protocol):
    """The safetensors file that the stage's option `path` names, which its description took before anything ran."""

    def read(self, path: str) -> tuple[Mapping[str, str], Mapping[str, Tensor]]:
        """Its metadata, and its tensors as they are stored, on the run's device.

        Raises UnfitFile where it is damaged since, or holds numbers that are not finite.
        """
        ...


class Weights(Protocol):
    """Weights of the plugin's own, as the stage's `weights=` names them: here once in a process, for all pictures."""

    def network(self, name: str, make: Callable[[], nn.Module]) -> Callable[[Tensor], Any]:
        """The module that `make` builds, filled with that file, ready for `call`: [B, ...] -> [B, ...].

        make: a class or function at the top of a module, so that it is the same one each time.
        """
        ...

    def tensors(self, name: str) -> Mapping[str, Tensor]:
        """The tensors of that file, by their names; only to be read."""
        ...


class Pretrained(Protocol):
    """The network that the stage's option `name` names, of a kind that its `pretrained=` says: loaded once a run."""

    @property
    def folder(self) -> Path:
        """Where it lies, for its tokenizer."""
        ...

    @property
    def device(self) -> device:
        """Where the run is."""
        ...

    @property
    def config(self) -> Mapping[str, Any]:
        """Its config.json."""
        ...

    def read(self, name: str) -> Mapping[str, Any]:
        """Another JSON file of its folder; empty if there is no such file."""
        ...

    def network(
        self, make: Callable[[Mapping[str, Any]], nn.Module], spelt: Callable[[str], str | None] | None = None
    ) -> Any:
        """The module that `make` builds of the config, filled with its weights, on the run's device and precision.

        spelt: the module's name for a tensor of the file, where names differ; None for one that it does without.
        """
        ...

    def once(self, make: Callable[[Any], T]) -> T:
        """What `make` makes of this, once for all pictures, so that they share the calls of one value.

        make: a function at the top of a module, so that it is the same one each time.
        """
        ...


class Adapters(Protocol):
    """Files that a recipe may set beside the model; each was held against the model before anything ran."""

    def lora(self, path: str, scale: float) -> ModelDelta:
        """What the LoRA there adds to the denoiser, on its device and in its precision."""
        ...

    def words(self, path: str, word: str) -> Mapping[str, Sequence[Tensor]]:
        """The words that stand in a file of textual inversion, as `TextEncoder.knowing` takes them.

        word: what to call the one that is there; empty for what the file calls it.
        """
        ...


class TunedWeights(Protocol):
    """Files that `save weights` wrote; each was held against the model before anything ran."""

    def tuning(self, path: str) -> ModelDelta:
        """What stands in the file there, on the denoiser's device and in its precision."""
        ...


class TrainingLog(Protocol):
    """Where a stage that learns says how far it is; whoever watches the run hears of it."""

    def due(self, done: int, of: int) -> bool:
        """Whether it would tell of this step: a loss that nobody hears need not be brought from a device."""
        ...

    def learnt(self, done: int, of: int, loss: float) -> None:
        """So many steps are done of so many, and this was the loss of the last."""
        ...


class Checkpoint(Protocol):
    """Where one piece of long work stands, kept in the user's cache as it goes on."""

    def read(self) -> Mapping[str, Tensor]:
        """What was kept last, by name, on the host; empty where the work was not begun, or has ended."""
        ...

    def keep(self, tensors: Callable[[], Mapping[str, Tensor]]) -> None:
        """Keep how things stand, if some time has gone by since the last; the tensors are asked for only then."""
        ...

    def drop(self) -> None:
        """Forget it: the work is done."""
        ...


class Checkpoints(Protocol):
    """Long work that a killed run does not lose: it asks for its checkpoint by all that it depends on."""

    def of(self, *work: object) -> Checkpoint:
        """The checkpoint of this work.

        work: tensors, texts, numbers, and what holds such: with any other value it is other work, with another file.
        """
        ...


class Notices(Protocol):
    """Where a stage tells the user what it found and no picture shows."""

    def tell(self, words: str) -> None:
        """Say one sentence about this picture."""
        ...


class Outbox(Protocol):
    """Where results go: files that appear whole or not at all, each with the recipe that made it.

    A stage writes the one file that its option `path` names, of any ending that it declares:

        with outbox.file(path) as file:
            file.write(words.encode())
    """

    def file(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Open the file, for whatever the stage writes; it takes its place at the end, or vanishes on an exception.

        Where the format has room for words, put `stamp(path)` there; otherwise it is written beside the file.
        """
        ...

    def stamp(self, path: str) -> str:
        """Say how the file is made: JSON, which goes into it as it is or as a JSON string; empty if nothing is to."""
        ...

    def note(self, path: str, words: str) -> None:
        """Tell the user something about the file."""
        ...

    def image(
        self,
        path: str,
        image: Image,
        *,
        quality: int | None = None,
        size: int = 0,
        keep: Collection[str] | None = None,
    ) -> None:
        """Write a picture, in the format of the ending.

        quality: 1 to 100, None for the format's own.  size: the most pixels of the longer side, 0 for all.
        keep: what the source said that stays: "exif", "gps", "dpi", "profile", "xmp", "text", or "all".
            None keeps nothing, and the user is told what that loses.
        """
        ...

    def animation(self, path: str, images: Sequence[Image], milliseconds: int, quality: int | None = None) -> None:
        """Write pictures of one size that follow each other for ever, each for so long, as a WebP.

        quality: 1 to 100; without one it loses nothing.
        """
        ...

    def album(self, path: str, images: Mapping[str, Image]) -> AbstractContextManager[str]:
        """Write pictures by their names into a new folder beside a file that is to list them; the folder's name.

        Write that file within, ending in .json, with all of them in it: the folder vanishes if anything is raised, and
        what an older such file lists goes.  A picture that is changed later is known by the folder's name.
        """
        ...

    def mask(self, path: str, pixels: Tensor) -> None:
        """Write a mask [H, W] in [0, 1] as a grey picture."""
        ...


class Sheet(Protocol):
    """A place on a contact sheet that other results of the recipe share."""

    def place(self, image: Image) -> None:
        """Put the picture there."""
        ...


class Figures(Protocol):
    """A row of a table that other results of the recipe share."""

    def put(self, figures: Mapping[str, float]) -> None:
        """Write what was measured, by the names of its columns; several calls for a picture add up to one line."""
        ...
