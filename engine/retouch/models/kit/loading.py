"""How parts of a model come to memory: the one place that knows files, devices and precisions.

A family asks for a part by its class, configs choose no code, and weights are safetensors alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import local
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from retouch.core.tuning import Update
from retouch.models import weights
from retouch.models.errors import BrokenModel
from retouch.models.family import Names
from retouch.models.files.model_files import ModelFiles
from retouch.models.kit.renaming import renamed
from retouch.models.network.acceleration import EAGER, Acceleration
from retouch.models.network.fusing import prepare
from retouch.models.prompts.clip_vocabulary import read_vocabulary

# Of a text encoder's config, what is bookkeeping, and older spellings that its class still reads.
_BOOKKEEPING = {
    "self",
    "transformers_version",
    "architectures",
    "dtype",
    "output_hidden_states",
    "return_dict",
    "id2label",
}
_OF_TOKENIZER = ("model_max_length", "pad_token", "unk_token", "bos_token", "eos_token")
_OLD_OPTIONS = {"rope_theta", "rope_scaling", "tie_word_embeddings"}

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class ModelLoading:
    """Parts of a model, from wherever its files lie."""

    files: ModelFiles
    device: torch.device = _CPU
    dtype: torch.dtype = torch.float32
    acceleration: Acceleration = EAGER
    made: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)  # modules, by part
    fused: Mapping[str, Sequence[Mapping[str, Sequence[Update]]]] = field(default_factory=dict, repr=False)

    def with_fused(self, updates: Mapping[str, Sequence[Mapping[str, Sequence[Update]]]]) -> ModelLoading:
        """The same parts, those that are named here with these updates in their weights: no module is loaded twice."""
        others = {part: module for part, module in self.made.items() if part not in updates}
        return replace(self, made=others, fused=updates)

    def config(self, name: str) -> Mapping[str, Any]:
        """Read a JSON file of the model."""
        return self.files.read(name)

    def diffusers(self, kind: Any, part: str, unread: Collection[str] = (), names: Names | None = None) -> Any:
        """Build a class of diffusers from the part's config and fill it with its weights.

        unread: what published configs state and the class never takes.
        names: what makes the class's names of its authors', of which diffusers knows nothing.
        """
        config = self.config(f"{part}/config.json")
        if config.get("_class_name") != kind.__name__:
            raise BrokenModel(f"{part}/config.json of '{self.files.place}' is for '{config.get('_class_name')}'")
        options = {key: value for key, value in config.items() if not key.startswith("_") and key not in unread}
        module = self._filled(part, kind.__name__, lambda: kind(**options), config, names)
        prepare(module, self.acceleration)
        return module

    def transformers(self, kind: Any, config: Any, part: str) -> Any:
        """Build a class of transformers from the part's config and fill it with its weights."""
        stated = self.config(f"{part}/config.json")
        if stated.get("model_type") != config.model_type:
            raise BrokenModel(f"{part}/config.json of '{self.files.place}' is for '{stated.get('model_type')}'")
        return self._filled(part, kind.__name__, lambda: kind(_configured(config, stated)), stated)

    def tokenizer(self, part: str, kind: Any = None) -> Any:
        """Read a tokenizer; kind: its class, by default whatever tokenizer.json describes."""
        from transformers import PreTrainedTokenizerFast

        place = self.files.folder(part)
        if place.is_file():
            words, merges = read_vocabulary(place)
            said = self.files.read(f"{part}/tokenizer_config.json")
            return kind(words, merges, **{key: said[key] for key in _OF_TOKENIZER if key in said})
        return (kind or PreTrainedTokenizerFast).from_pretrained(place, local_files_only=True)

    def _filled(
        self,
        part: str,
        kind: str,
        build: Callable[[], nn.Module],
        config: Mapping[str, Any],
        names: Names | None = None,
    ) -> nn.Module:
        if part not in self.made:
            self.made[part] = self._made(part, kind, build, config, names)
            for updates in self.fused.get(part, ()):
                weights_ = dict(self.made[part].named_parameters())
                for name, each in updates.items():
                    weight = weights_[name]
                    whole = weight.float() + sum(update.dense(weight.shape).float() for update in each)
                    weight.data = whole.to(weight.dtype)
        return self.made[part]

    def _made(
        self, part: str, kind: str, build: Callable[[], nn.Module], config: Mapping[str, Any], names: Names | None
    ) -> nn.Module:
        path, inside = self.files.weights(part), self.files.inside.get(part)
        try:
            with torch.device("meta"):
                module = build()
            # Before anything of a size that the config alone states is made.
            if inside:
                bare = renamed(module, kind, inside, weights.without_numbers(inside.tensors()), config, names)
                weights.check_with(module, path, bare)
            else:
                weights.check(module, path)
            if _keeps_its_own(module):
                with without_memory():  # again, for what no file stores: buffers, and tables of positions
                    module = build()
        except (BrokenModel, MemoryError, ImportError):
            raise
        except Exception as why:  # what a config makes the library trip over is the config's fault
            said = (str(why).strip().splitlines() or [""])[0]
            what = f"{type(why).__name__} {said}".strip()
            raise BrokenModel(f"{part}/config.json of '{self.files.place}' does not fit {kind}: {what}") from None
        if inside:
            state = renamed(module, kind, inside, weights.read_as_stored(path, inside.tensors()), config, names)
            return weights.fill_with(module, path, state, self.device, self.dtype)
        return weights.fill(module, path, self.device, self.dtype)


def _keeps_its_own(module: nn.Module) -> bool:
    """Whether a module that was built on the meta device holds tensors there that no file will give it."""
    stored = {id(each) for each in module.state_dict(keep_vars=True).values()}
    seen = set[int]()

    def lost(value: Any) -> bool:
        if isinstance(value, torch.Tensor):
            return value.is_meta and id(value) not in stored
        if id(value) in seen or isinstance(value, type):
            return False
        seen.add(id(value))
        if isinstance(value, Mapping):
            return any(map(lost, value.values()))
        if isinstance(value, list | tuple | set | frozenset):
            return any(map(lost, value))
        return any(map(lost, getattr(value, "__dict__", {}).values()))

    return lost(module)


def _configured(kind: Any, stated: Mapping[str, Any]) -> Any:
    """A config with the options that its class names: the rest of such files is bookkeeping, or asks for other code."""
    known = (inspect.signature(kind.__init__).parameters.keys() | _OLD_OPTIONS) - _BOOKKEEPING
    inner: Mapping[str, Any] = kind.sub_configs
    options = {key: value for key, value in stated.items() if key in known and key not in inner}
    parts = {key: _configured(inner[key], stated[key]) for key in inner if isinstance(stated.get(key), Mapping)}
    if "text_config" in inner.keys() - parts.keys():  # as first published, its options stand beside the others
        parts["text_config"] = _configured(inner["text_config"], stated)
    return kind(**options, **parts)


class _Building(local):
    """Whether this thread builds modules without memory."""

    bare = False


_building = _Building()


@contextmanager
def without_memory() -> Iterator[None]:
    """Build modules whose parameters have no memory until they are given some; buffers do: many are not stored.

    Of this thread alone: what others build meanwhile, in a notebook or a server, is theirs.
    """
    before, _building.bare = _building.bare, True
    try:
        yield
    finally:
        _building.bare = before


def _without_memory(_module: nn.Module, _name: str, param: nn.Parameter | None) -> nn.Parameter | None:
    """What torch is to register in place of a parameter; None for the parameter as it is."""
    if not _building.bare or param is None or param.device.type == "meta":
        return None
    return nn.Parameter(param.to("meta"), requires_grad=False)


# Once and for good: torch walks its hooks while it registers, and other threads may be at that when one is taken away.
register_module_parameter_registration_hook(_without_memory)  # pyright: ignore[reportArgumentType]  # it may return one
