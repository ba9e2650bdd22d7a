"""Weights that a plugin brings: where they lie, found without loading anything, and the networks that they fill.

The hook `retouch_weights` names each file: "weights/face.safetensors" beside the announced module,
"other_package:files/face.safetensors" in another package, "owner/name@COMMIT:face.safetensors" of the hub.  One of
another package may also be the .bin of ncnn's pair, with its .param beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.models.errors import BrokenModel, NotFetched, UnknownModel
from retouch.models.files.digest import fingerprint
from retouch.models.files.headers import Header, read_header
from retouch.models.files.layout import stored_tensors
from retouch.models.files.ncnn import is_ncnn, read_ncnn
from retouch.plugins.announced import Announced

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class NoWeights(Exception):
    """A file that is not there, or that cannot be read.  mend: what to type."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.mend = mend


def place_of(plugin: Announced, name: str) -> Path:
    """The file of weights that a plugin calls so.  Raises NoWeights where it is not here, or is no such file."""
    said = plugin.weights().get(name)
    again = f"pip install --force-reinstall {plugin.plugin.distribution or plugin.plugin.name}"
    if said is None:
        raise NoWeights(f"the plugin's retouch_weights has no '{name}'", again)
    # "file", "package:file" or "owner/name@commit:file"
    where, colon, inside = said.rpartition(":")
    if not colon:
        path, mend = plugin.home / said, again
    elif "/" in where:
        path, mend = _of_the_hub(where, inside)
    else:
        path, mend = _of_a_package(where, inside)
    if not path.is_file():
        raise NoWeights(f"'{path.name}' is not there", mend)
    try:
        header_of(path)
    except BrokenModel as err:
        raise NoWeights(str(err), mend) from None
    return path


def _of_a_package(package: str, inside: str) -> tuple[Path, str]:
    mend = f"pip install {package.partition('.')[0].replace('_', '-')}"
    spec = find_spec(package.partition(".")[0])
    if spec is None or spec.origin is None:
        raise NoWeights(f"the package '{package}' is not installed", mend)
    return Path(spec.origin).parent.joinpath(*package.split(".")[1:], inside), f"{mend} --force-reinstall"


def _of_the_hub(where: str, inside: str) -> tuple[Path, str]:
    from retouch.models.hub.cache import snapshot

    name, _, commit = where.partition("@")
    mend = f"hf download {name} {inside} --revision {commit}"
    try:
        return snapshot(name, commit or None)[0] / inside, mend
    except (NotFetched, UnknownModel) as err:
        raise NoWeights(str(err), mend) from None


def header_of(path: Path) -> Header:
    """What a file of weights holds: one of safetensors, or the numbers of ncnn's pair.  Raises BrokenModel."""
    return read_ncnn(path) if is_ncnn(path) else read_header(path)


def digest_of(path: Path) -> str:
    """What tells these weights from others."""
    return fingerprint([path])


def numbers_of(paths: Iterable[str]) -> int:
    """How many numbers such files hold."""
    count = 0
    for path in map(Path, paths):
        if is_ncnn(path):
            count += sum(stored.numbers for stored in read_ncnn(path).tensors.values())
        else:
            count += sum(stored.numbers for _, stored in stored_tensors(path).values())
    return count


class OwnNetwork:
    """A network of a plugin's own, as stages call it: of any precision, batched by `call`."""

    def __init__(self, module: Any, dtype: torch.dtype) -> None:
        self.module, self.dtype = module, dtype

    def __call__(self, batch: Tensor) -> Any:
        """What the network says of a batch, in the precision that the batch came in.  [B, ...] -> [B, ...]"""
        said = self.module(batch.to(self.dtype))
        return tuple(each.to(batch.dtype) for each in said) if isinstance(said, tuple) else said.to(batch.dtype)


class OwnWeights:
    """The files that one stage named, on the device and in the precision of the run.

    files: name -> its path.
    """

    def __init__(self, files: Mapping[str, Path], device: torch.device, dtype: torch.dtype) -> None:
        self._files, self._device, self._dtype = dict(files), device, dtype
        self._made: dict[tuple[str, Any], OwnNetwork] = {}
        self._read: dict[str, Mapping[str, Tensor]] = {}

    def network(self, name: str, make: Callable[[], Any]) -> OwnNetwork:
        """The module that `make` builds, filled with these weights: loaded once, however many pictures ask."""
        from retouch.models.kit.loading import without_memory
        from retouch.models.weights import fill, fill_with, read_as_stored

        if (name, make) not in self._made:
            with without_memory():  # buffers that no file stores have their numbers
                module = make()
            path = self._files[name]
            if is_ncnn(path):
                state = read_as_stored(path, read_ncnn(path).tensors)
                filled = fill_with(module, path, state, self._device, self._dtype)
            else:
                filled = fill(module, path, self._device, self._dtype)
            self._made[name, make] = OwnNetwork(filled, self._dtype)
        return self._made[name, make]

    def tensors(self, name: str) -> Mapping[str, Tensor]:
        """The tensors themselves, by their names in the file: fractions in the precision of the run."""
        from retouch.models.weights import read_as_stored

        if name not in self._read:
            path = self._files[name]
            read = read_as_stored(path, header_of(path).tensors)
            self._read[name] = {
                key: each.to(self._device, self._dtype if each.is_floating_point() else each.dtype)
                for key, each in read.items()
            }
        return self._read[name]
