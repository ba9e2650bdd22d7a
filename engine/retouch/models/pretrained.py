"""Networks that a recipe names beside its model, such as image-text models: folders in the layout of transformers.

A name is one that a plugin ships (hook `retouch_pretrained`), one that was brought into the user's cache, a folder of
this machine, or an id of the hub that was fetched.  Finding one imports nothing and downloads nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from retouch.addresses import is_address
from retouch.models import user_cache
from retouch.models.errors import BrokenModel, UnknownModel
from retouch.models.files.digest import fingerprint
from retouch.models.files.layout import TOKENIZER, read_json, stored_tensors, weights_file, weights_files
from retouch.models.hub import cache as hub
from retouch.near import near, near_path
from retouch.plugins import announced

if TYPE_CHECKING:
    import torch
    from torch import nn

T = TypeVar("T")
_BESIDE = ("config.json", "preprocessor_config.json", *TOKENIZER)


@dataclass(frozen=True, slots=True)
class PretrainedFiles:
    """One such network, as far as its files say.

    kind: what its config calls itself, such as "clip".
    weights: the file of its weights, or the index of its shards.
    """

    folder: Path
    kind: str
    weights: Path

    @property
    def digest(self) -> str:
        """What tells it from others: its weights, its config, its vocabulary."""
        beside = [self.folder / name for name in _BESIDE]
        return fingerprint([*weights_files(self.weights), *(path for path in beside if path.is_file())])


def layers_of(folder: Path) -> int:
    """How many layers a network that sees has, as its config says; 0 where it says none."""
    config = read_json(folder, "config.json")
    seeing = config.get("vision_config")
    count = (seeing if isinstance(seeing, dict) else config).get("num_hidden_layers")
    return count if isinstance(count, int) else 0


def shipped() -> dict[str, Path]:
    """The folder of each network that a plugin brings; of two plugins the first keeps a name."""
    found: dict[str, Path] = {}
    for plugin in announced.everything():
        for name, folder in plugin.pretrained().items():
            found.setdefault(name, folder)
    return found


def find(name: str) -> PretrainedFiles:
    """Look a network up.  Raises UnknownModel, NotFetched, BrokenModel."""
    folder = _folder(name)
    config = read_json(folder, "config.json")
    weights = weights_file(folder.parent, folder.name)
    stored_tensors(weights)  # headers that lie are told now
    return PretrainedFiles(folder, str(config.get("model_type", "")), weights)


def _folder(name: str) -> Path:
    own = shipped()
    if name in own:
        return own[name]
    if name.isidentifier() and (brought := user_cache.network(name)) and brought.is_dir():
        return brought
    try:
        place = Path(name).expanduser()
        is_folder, is_file = place.is_dir(), place.is_file()
    except (OSError, RuntimeError, ValueError):  # no such user, a link to itself, a null
        place, is_folder, is_file = Path(), False, False
    if is_folder:
        return place.resolve()
    if is_file:
        raise BrokenModel(f"'{place.name}' is a file; name the folder with its config.json")
    if known := hub.split(name):
        return hub.snapshot(*known)[0]
    if is_address(name):
        raise UnknownModel(
            f"'{name}' is a web address, and no network is looked for there",
            "download its files into a folder, and name that",
        )
    there = sorted([*own, *user_cache.networks()])
    meant = near(name, there) or near_path(name, folder=True)
    mend = meant or f"name a folder, or one of: {', '.join(there) or 'none'}"
    raise UnknownModel(f"there is no '{name}', and no such folder", mend)


class PretrainedNetwork:
    """What a stage gets as `Pretrained`, on the device and in the precision of the run."""

    def __init__(self, folder: Path, weights: Path, device: torch.device, dtype: torch.dtype) -> None:
        self.folder, self._weights, self.device, self.dtype = folder, weights, device, dtype
        self._made: dict[Any, Any] = {}

    @property
    def config(self) -> Mapping[str, Any]:
        """Its config.json."""
        return read_json(self.folder, "config.json")

    def read(self, name: str) -> Mapping[str, Any]:
        """Another JSON file of the folder; nothing if it has no such file."""
        return read_json(self.folder, name) if (self.folder / name).is_file() else {}

    def network(
        self, make: Callable[[Mapping[str, Any]], nn.Module], spelt: Callable[[str], str | None] | None = None
    ) -> Any:
        """The module that `make` builds of the config, filled with these weights: every name, every shape.

        It comes in evaluation mode, without gradients of its own.  Raises BrokenModel.

        spelt: the module's name for a tensor of the file; None for one that the module does without.
        """
        from retouch.models.kit.loading import without_memory
        from retouch.models.weights import fill, fill_with, read_as_stored

        with without_memory():  # but for what no file stores: buffers
            module = make(self.config)
        if spelt is None:
            return fill(module, self._weights, self.device, self.dtype)
        state: dict[str, torch.Tensor] = {}
        for name, (path, stored) in stored_tensors(self._weights).items():
            if own := spelt(name):
                state[own] = read_as_stored(path, {name: stored})[name]
        return fill_with(module, self._weights, state, self.device, self.dtype)

    def once(self, make: Callable[[PretrainedNetwork], T]) -> T:
        """What `make` makes of it, once for all who ask: so that all pictures share the calls of one value."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]
