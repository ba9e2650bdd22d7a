"""What stages of pictures, figures and files promise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, BinaryIO, get_args, get_origin, get_type_hints

import torch

from retouch.core.declared.endings import PICTURE, Ending
from retouch.core.values import Image, SourceImage
from retouch.run.files.outbox import FileOut
from retouch.testing.laws.running import Stage, bare, outcome
from retouch.testing.worlds import Keeping, World, tiny_world


def picture_law(stage: Stage, world: World | None = None, **options: Any) -> Image:
    """A picture is [3, H, W] of numbers in [0, 1], on any size, and alpha has its size or is none."""
    world = world or tiny_world()
    assert world.image
    found, takes = world.image, set(map(bare, signature(stage).parameters.values()))
    beside = takes & {"SourceImage", "Mask", "Frame", "Latents"}  # which are of the first picture's size
    for image in (world.image, *(() if beside else _odd(world.image))):
        found = outcome(replace(world, image=image), stage, options)
        assert isinstance(found, Image), f"it made {type(found).__name__}, and an Image was declared"
        data, alpha = found.data, found.alpha
        assert data.ndim == 3, f"a picture is [3, H, W], and this is {list(data.shape)}"
        assert data.shape[0] == 3, f"a picture is [3, H, W], and this is {list(data.shape)}"
        assert bool(torch.isfinite(data).all()), "the picture has values that are not numbers"
        assert data.min() >= 0, f"the picture goes down to {data.min():g}"
        assert data.max() <= 1, f"the picture goes up to {data.max():g}"
        assert image.alpha is None or alpha is not None or "Image" not in takes, "alpha is lost"
        assert alpha is None or alpha.shape == data.shape[1:], (
            f"alpha is {list(alpha.shape)}, and the picture is {list(data.shape[1:])}"
        )
    return found


def measure_law(stage: Stage, world: World | None = None, **options: Any) -> Mapping[str, float]:
    """Figures are put for each picture, numbers by name, the same names for every picture, equal pictures too."""
    world, options = world or tiny_world(), {"path": "figures.csv", **options}
    names: list[str] | None = None
    figures: dict[str, float] = {}
    for image, source in _measured(world):
        kept = Keeping()
        outcome(replace(world, image=image, source=source, outbox=kept), stage, options)
        assert kept.figures, "figures are put for each picture, and here none are: figures.put({name: number})"
        figures = {name: value for put in kept.figures for name, value in put.items()}
        wrong = [name for name, value in figures.items() if not isinstance(value, int | float)]
        assert not wrong, f"'{wrong[0]}' is {type(figures[wrong[0]]).__name__}, and a figure is a float"
        assert names in (None, list(figures)), f"the columns were {names}, and for another picture {list(figures)}"
        names = list(figures)
    return figures


def output_law(save: Stage, world: World | None = None, **options: Any) -> bytes:
    """A stage of `save` writes its one file through the outbox: whole or not at all, and the same bytes again."""
    hint = get_type_hints(save, include_extras=True).get("path")
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    words = [word for mark in marks if isinstance(mark, Ending) for word in mark.words]
    assert words, 'it declares no ending: path: Annotated[str, Ending(".txt")]'
    world, ending = world or tiny_world(), (".png" if words[0].startswith(PICTURE) else words[0])
    options.pop("path", None)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"made{ending}"
        again = [_written(save, world, path, {"retouch": "0", "recipe": "a test"}, options) for _ in range(2)]
        assert again[0] == again[1], "the same picture gave another file"
        _written(save, world, path, {}, options)  # as --stamp none has it
        path.unlink()
        try:
            outcome(replace(world, outbox=_Full(lambda _: {})), save, {"path": str(path), **options})
        except OSError:
            pass
        else:
            raise AssertionError("the disk was full, and nothing was raised: what outbox.file raises goes through")
        left = sorted(each.name for each in Path(folder).iterdir() if not each.name.endswith(".retouch.json"))
        assert not left, f"the disk was full, and {left} was left behind; write through outbox.file(path) alone"
    return again[0]


def _written(save: Stage, world: World, path: Path, told: Mapping[str, str], options: Mapping[str, Any]) -> bytes:
    outbox = FileOut(lambda _: told)
    outcome(replace(world, outbox=outbox), save, {"path": str(path), **options})
    beside = path.with_name(f"{path.name}.retouch.json")
    strange = sorted(each.name for each in path.parent.iterdir() if each not in (path, beside))
    assert not strange, f"it wrote {strange}, and was given '{path.name}' alone"
    assert path.exists(), f"'{path.name}' was not written"
    assert outbox.files == [path], f"'{path.name}' was written past the outbox; open it with outbox.file(path)"
    assert path.stat().st_size, f"'{path.name}' is empty"
    return path.read_bytes()


class _Full(FileOut):
    """An outbox on a disk without room."""

    @contextmanager
    def file(self, path: str) -> Iterator[BinaryIO]:
        """Open a file, and fail at its end."""
        with FileOut.file(self, path) as file:
            yield file
            raise OSError(28, "no space left on device", path)


def _measured(world: World) -> Iterator[tuple[Image, SourceImage]]:
    """Another picture than the source, the very same, and small ones."""
    assert world.image
    assert world.source
    for image in (world.image, world.source, *_odd(world.image)):
        same = image.size == world.source.size
        yield image, world.source if same else SourceImage(image.data, image.alpha)


def _odd(image: Image) -> Iterator[Image]:
    """Parts of a picture: an odd size with alpha, and a single pixel."""
    yield Image(image.data[:, :-3, :-1], image.data[0, :-3, :-1])
    yield Image(image.data[:, :1, :1])
