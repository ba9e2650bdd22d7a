"""Pictures as scripts have them: paths, Pillow's, arrays, tensors, bytes.  Each becomes a file, which recipes open.

So all of them go through one door: turned as EXIF says, converted to 8-bit sRGB by their profile, refused in one way.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from retouch.pictures.formats import of_beginning
from retouch.pictures.holding import Unholdable, hold

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL.Image import Image as Picture

    from retouch.scripting.result import Result

    Source = str | os.PathLike[str] | Picture | np.ndarray | torch.Tensor | bytes | IO[bytes] | Result

CHANNELS = (1, 3, 4)
SLACK = 0.005  # beyond 0 and 1, from rounding in half precision
Caption = str | Sequence[str | None] | Mapping[Any, str] | None


@dataclass(frozen=True, slots=True)
class Entered:
    """A picture as a file; called: what to call it in a message, where that is not the file's name."""

    path: Path
    called: str = ""
    notices: tuple[str, ...] = ()


def gathered(source: Any) -> tuple[bool, tuple[Source, ...]]:
    """Whether a call was given several pictures, and all of them; a result of another is the picture that it made."""
    if isinstance(source, list | tuple):
        return True, tuple(map(_made, source))
    if isinstance(source, Iterator) and not hasattr(source, "read"):
        return True, tuple(map(_made, source))
    return False, () if source is None else (_made(source),)


def _made(source: Any) -> Any:
    """The picture of a result; the result itself where it says why there is none.  TypeError of several pictures."""
    from retouch.scripting.result import Result

    if not isinstance(source, Result) or (source.diagnostics and not source.images):
        return source
    if len(source.images) > 1:
        raise TypeError(f"a result of {len(source.images)} pictures: give those that are meant, of its 'images'")
    return source.image


def enter(source: Source, folder: Path, index: int) -> Entered:
    """The file of a source, below `folder` unless it is one already.  Raises Unholdable; TypeError for other things."""
    if isinstance(source, str | os.PathLike):
        return Entered(Path(source))
    given: Any = source
    if isinstance(given, bytes | bytearray | memoryview) or hasattr(given, "read"):
        return _of_file(given, folder, index)
    if (torch := sys.modules.get("torch")) and isinstance(given, torch.Tensor):
        array, notices = _of_tensor(given.detach()), ()
    elif (numpy := sys.modules.get("numpy")) and isinstance(given, numpy.ndarray):
        array, notices = _of_array(given)
    else:
        from PIL import Image

        if not isinstance(source, Image.Image):
            what = f"{type(source).__module__}.{type(source).__name__}"
            kinds = "a path, an image of PIL, a numpy array, a tensor, or a picture file's bytes, open or read"
            raise TypeError(f"a picture is {kinds}, not {what}")
        file = Path(str(getattr(source, "filename", "") or ""))
        return Entered(hold(source, folder, file.stem or f"picture-{index}"), file.name or called(source, index))
    from PIL import Image

    path, told = hold(Image.fromarray(array), folder, f"picture-{index}"), called(source, index)
    return Entered(path, told, tuple(f"{told}: {notice}" for notice in notices))


def _of_file(source: Any, folder: Path, index: int) -> Entered:
    """The bytes of a picture file, or one that is open for them, from its beginning: read as a file of them is."""
    if hasattr(source, "seekable") and source.seekable():
        source.seek(0)  # as PIL does: whoever has just written to it stands at its end
    data = source.read() if hasattr(source, "read") else bytes(source)
    if not isinstance(data, bytes):
        raise TypeError(
            f"a picture file is opened for bytes, as in open(…, 'rb'), and this one gives {type(data).__name__}"
        )
    name = getattr(source, "name", "")  # of one that has none a number
    file, format = Path(name if isinstance(name, str) else ""), of_beginning(data)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{file.stem or f'picture-{index}'}{format.endings[0] if format else '.png'}"
    path.write_bytes(data)
    return Entered(path, file.name or f"picture {index} ({type(source).__name__})")


def described(source: Any, index: int) -> str:
    """What to call a source that is no picture, with the figures that show why."""
    return f"picture {index}: {_figures(source)}"


def called(source: Any, index: int) -> str:
    """What to call a picture that has no file: its place among those that were given, from 0, and what it is."""
    return f"picture {index} ({_figures(source)})"


def _figures(source: Any) -> str:
    shape, kind = getattr(source, "shape", None), type(source).__name__
    if shape is None:
        return f"{kind} {getattr(source, 'mode', '')}".rstrip()
    return f"{kind} {list(shape)} {str(source.dtype).removeprefix('torch.')}"


def again(path: Path, folder: Path) -> Path:
    """A file of its own for a picture that is given twice, its caption beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in (path, path.with_suffix(".txt")):
        if each.is_file():
            shutil.copyfile(each, folder / each.name)
    return folder / path.name


def captions(caption: Caption, sources: Sequence[Source]) -> list[str | None]:
    """The caption of each picture: one for all, one for each in their order, or by path, name, stem or number.

    Raises ValueError for one too many or too few, or for a name that no picture has; TypeError for what is no text.
    """
    found = _captions(caption, sources)
    for each in found:
        if not (each is None or isinstance(each, str)):
            raise TypeError(f"a caption is a text, and this is {each!r}")
    return found


def _captions(caption: Caption, sources: Sequence[Source]) -> list[str | None]:
    if caption is None or isinstance(caption, str):
        return [caption] * len(sources)
    if isinstance(caption, Mapping):
        names = [_names(source, i) for i, source in enumerate(sources)]
        for key in caption:
            if not any(key in each for each in names):
                there = ", ".join(str(each[-1]) for each in names)
                raise ValueError(f"no picture is called {key!r}, which has a caption; there are: {there}")
        return [next((caption[name] for name in each if name in caption), None) for each in names]
    if not isinstance(caption, Sequence) or isinstance(caption, bytes | bytearray | memoryview):
        raise TypeError(f"a caption is a text, a list with one for each picture, or a mapping, not {caption!r}")
    if len(caption) != len(sources):
        raise ValueError(f"{len(caption)} captions for {len(sources)} pictures; give one for each, or a text for all")
    return list(caption)


def _names(source: Source, index: int) -> list[Any]:
    """All that a picture may be called, the plainest last."""
    path = source if isinstance(source, str | os.PathLike) else getattr(source, "filename", "")
    path = path or (getattr(source, "name", "") if hasattr(source, "read") else "")  # of an open file
    if not isinstance(path, str | os.PathLike) or not path:
        return [index]
    file = Path(path)
    return [index, path, os.fspath(path), file, file.resolve(), str(file.resolve()), file.stem, file.name]


# ---------------------------------------------------------------- arrays


def _of_tensor(x: torch.Tensor) -> Any:
    """[C, H, W] or [H, W] in [0, 1] -> uint8 [H, W, C] or [H, W]."""
    import torch

    shape = list(x.shape)
    if x.ndim == 4:
        raise Unholdable(f"it has the axes {shape}, and one picture is [3, H, W]", "write list(x) for a batch, or x[0]")
    if x.ndim not in (2, 3):
        raise Unholdable(f"it has the axes {shape}, and a picture is [3, H, W]", "give a tensor [3, H, W]")
    if x.ndim == 3 and x.shape[0] not in CHANNELS:
        if x.shape[2] in CHANNELS:
            raise Unholdable(f"it has the axes {shape}, and a tensor is [3, H, W]", "write x.permute(2, 0, 1)")
        raise Unholdable(f"it has {x.shape[0]} channels", "give 1, 3 or 4 of them: grey, RGB, or RGB with alpha")
    if not x.is_floating_point():
        kind = str(x.dtype).removeprefix("torch.")
        mend = "write x.float()" if kind == "bool" else "write x.abs()" if x.is_complex() else "write x / 255"
        raise Unholdable(f"its numbers are {kind}, and a tensor is in [0, 1]", mend)
    if x.is_meta:
        raise Unholdable("it has no numbers, since its device is 'meta'", "give the tensor that it stands for")
    x = x.to_dense() if x.layout != torch.strided else x
    x = x if x.dtype == torch.float64 else x.float()  # of eight bits torch knows no least
    _check_values(x.numel(), lambda: (float(x.min()), float(x.max())), "x.clamp(0, 1)")
    data = (x.float().clamp(0, 1) * 255).round().byte().cpu().numpy()
    return data if data.ndim == 2 else _plain(data.transpose(1, 2, 0))


def _of_array(x: np.ndarray) -> tuple[Any, tuple[str, ...]]:
    """[H, W, C] or [H, W], 8 or 16 bits or in [0, 1] -> what Pillow takes, and what was lost."""
    import numpy as np

    shape = list(x.shape)
    if x.ndim == 4:
        raise Unholdable(f"it has the axes {shape}, and one picture is [H, W, 3]", "write list(x) for a batch, or x[0]")
    if x.ndim not in (2, 3):
        raise Unholdable(f"it has the axes {shape}, and a picture is [H, W, 3]", "give an array [H, W, 3] or [H, W]")
    if x.ndim == 3 and x.shape[2] not in CHANNELS:
        if x.shape[0] in CHANNELS:
            raise Unholdable(f"it has the axes {shape}, and an array is [H, W, 3]", "write x.transpose(1, 2, 0)")
        raise Unholdable(f"it has {x.shape[2]} channels", "give 1, 3 or 4 of them: grey, RGB, or RGB with alpha")
    if x.dtype == np.uint8:
        _check_size(x.size)
        return _plain(x), ()
    if x.dtype.newbyteorder("=") == np.uint16:  # in either order of bytes, as files have them
        _check_size(x.size)
        return _plain(np.rint(x / 257).astype(np.uint8)), ("16 bits a channel, reduced to 8",)
    if not np.issubdtype(x.dtype, np.floating):
        mend = "write x.astype(float)" if x.dtype == bool else "write x.astype(numpy.uint8), if it goes from 0 to 255"
        mend = "write abs(x)" if x.dtype.kind == "c" else mend
        raise Unholdable(f"its numbers are {x.dtype}, and an array is uint8 or in [0, 1]", mend)
    _check_values(x.size, lambda: (float(x.min()), float(x.max())), "x.clip(0, 1)")
    return _plain(np.rint(x.clip(0, 1) * 255).astype(np.uint8)), ()


def _plain(data: Any) -> Any:
    """One channel without an axis of its own, in memory as Pillow reads it."""
    import numpy as np

    return np.ascontiguousarray(data[..., 0] if data.ndim == 3 and data.shape[2] == 1 else data)


def _check_size(numbers: int) -> None:
    if not numbers:
        raise Unholdable("it has no pixels", "give at least one")


def _check_values(numbers: int, ends: Any, clamped: str) -> None:
    """Refuse what is not in [0, 1], with the formula that brings it there."""
    _check_size(numbers)
    low, high = ends()
    if not (abs(low) < float("inf") and abs(high) < float("inf")):
        raise Unholdable("some of its values are not finite", "look where they come from")
    if low >= -SLACK and high <= 1 + SLACK:
        return
    if low >= -SLACK and high > 2:
        mend = f"write x / {255 if high < 256 else 65535}"
    elif high <= 1.5 and -1.5 <= low < -0.5:
        mend = "write (x + 1) / 2"
    else:
        mend = f"write {clamped} if it only overshoots, or (x + 1) / 2 if it is in [-1, 1]"
    raise Unholdable(f"its values go from {low:.4g} to {high:.4g}, and a picture's from 0 to 1", mend)
