"""Files in and out, for one item: what was read, what was written, and what a user should know of either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from retouch import pictures
from retouch.core.transfer import upload
from retouch.core.values import Image, Latents, Mask
from retouch.pictures.atomic import replacing


@dataclass(slots=True)
class FileIn:
    """Pictures that a recipe opens, as tensors on the device."""

    device: torch.device
    notices: list[str] = field(default_factory=list[str])

    def at(self, settings: Mapping[str, Any]) -> FileIn:
        """What a port is given."""
        return self

    def area(self, path: str, label: int | None, height: int, width: int) -> Mask:
        """The mask there, of a picture of this size: 1 is edited.  label: of its numbers, None if it holds none."""
        picture = pictures.read_mask(path, label)
        picture.check_size(height, width)
        self.notices += [f"{Path(path).name}: {notice}" for notice in picture.notices]
        return Mask(_unit(self._sent(picture.data)))

    def image(self, path: str, size: int) -> Image:
        """The picture there, its longer side no more than `size` pixels (0: as it is)."""
        picture = pictures.read(path, size=size or None)
        self.notices += [f"{Path(path).name}: {notice}" for notice in picture.notices]
        data = _unit(self._sent(picture.rgb).permute(2, 0, 1).contiguous())  # turned while it is small
        return Image(data, None if picture.alpha is None else _unit(self._sent(picture.alpha)))

    def _sent(self, array: np.ndarray) -> Tensor:
        """The bytes on the device."""
        return upload(torch.tensor(array), self.device)  # a copy: what the decoder gave may not be written to


@dataclass(slots=True)
class FileOut:
    """Results, each file whole or not at all, with the recipe that made it inside."""

    metadata: Callable[[str], Mapping[str, str]]  # of the file at a path
    files: list[Path] = field(default_factory=list[Path])
    notices: list[str] = field(default_factory=list[str])

    def at(self, settings: Mapping[str, Any]) -> FileOut:
        """What a port is given."""
        return self

    def latents(self, path: str, latents: Latents) -> None:
        """Write latents as safetensors, with the size of their picture."""
        from safetensors.torch import save

        canvas = latents.canvas
        size = {"height": str(canvas.height), "width": str(canvas.width), "scale": str(canvas.scale)}
        tensors = {"latents": latents.data.detach().cpu().contiguous()}
        with replacing(Path(path)) as file:
            file.write(save(tensors, {**self.metadata(path), **size}))
        self.files.append(Path(path))

    def image(self, path: str, image: Image) -> None:
        """Write a picture."""
        alpha = None if image.alpha is None else as_bytes(image.alpha)
        self._note(
            path, pictures.write(path, as_bytes(image.data.permute(1, 2, 0)), alpha, metadata=self.metadata(path))
        )

    def mask(self, path: str, pixels: Tensor) -> None:
        """Write a mask [H, W] in [0, 1] as a grey picture."""
        self._note(path, pictures.write_mask(path, as_bytes(pixels), metadata=self.metadata(path)))

    def _note(self, path: str, notices: tuple[str, ...]) -> None:
        self.files.append(Path(path))
        self.notices += [f"{Path(path).name}: {notice}" for notice in notices]


def _unit(eight_bits: Tensor) -> Tensor:
    """0 to 255 as [0, 1]; the same bits on every device."""
    numbers = eight_bits.float()
    # Correctly rounded: by a plain number, CUDA would multiply by its rounded inverse.  In place, for photographs.
    return numbers.div_(torch.full((), 255, dtype=numbers.dtype, device=numbers.device))


def as_bytes(unit: Tensor) -> np.ndarray:
    """[0, 1] to 8 bits; what came from 8 bits goes back to the same."""
    return unit.clamp(0, 1).mul_(255).round_().to(torch.uint8).cpu().numpy()
