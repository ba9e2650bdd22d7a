"""Values as bytes: a safetensors file, whose metadata tell in JSON how its tensors make up the value.

Only types that say so (`core/declared/storable.py`) are written, and only such are made when bytes are read; a tuned
model is the weights that stand in for its network's.  Equal values have equal bytes.  What is one object stays one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor

from retouch.core.declared.storable import kind_named, name_of, storable
from retouch.core.denoiser import Denoiser
from retouch.core.large.stored import whole
from retouch.core.tuned.weights_file import safetensors_file
from retouch.core.tuning import ModelDelta

_TOLD = "value"
_PLAIN = (type(None), bool, int, float, str)
Network = Callable[[], Denoiser | None]
"""The denoiser that tuned ones were tuned from; None where that is open."""


class Unstorable(Exception):
    """A value that holds something of a type that does not say that it may be kept."""


@storable
@dataclass(frozen=True, slots=True)
class _Tuned:
    """What a tuned denoiser has in the place of its network's weights; what LoRA files add is the model's own."""

    delta: ModelDelta


def encoded(value: Any, network: Network) -> bytes:
    """The bytes of a value.  Raises Unstorable."""
    writer = _Writer(network)
    told = {"is": writer.told(value), "objects": writer.objects}
    return safetensors_file(writer.tensors, {_TOLD: json.dumps(told, sort_keys=True)})


def decoded(data: bytes, device: torch.device, network: Network) -> Any:
    """The value that `encoded` gave these bytes.  Raises ValueError where a type of it is not known here."""
    end = 8 + int.from_bytes(data[:8], "little")
    told = json.loads(json.loads(data[8:end])["__metadata__"][_TOLD])
    # Each in memory of its own, so that its bits depend on nothing but its numbers.
    tensors = {name: each.clone().to(device) for name, each in load(data).items()}
    reader = _Reader(tensors, network)
    for kind, of in told["objects"]:
        reader.objects.append(reader.made(kind, of))
    return reader.value(told["is"])


@dataclass(slots=True)
class _Writer:
    network: Network
    tensors: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    objects: list[Any] = field(default_factory=list[Any])  # each after those that it holds
    _known: dict[int, tuple[Any, Any]] = field(default_factory=dict[int, tuple[Any, Any]])

    def told(self, value: Any) -> Any:
        if type(value) in _PLAIN:
            return value
        if type(value) is tuple:
            return {"tuple": [self.told(each) for each in value]}
        if isinstance(value, Mapping):
            return {"mapping": [[self.told(name), self.told(each)] for name, each in value.items()]}
        if id(value) not in self._known:
            self._known[id(value)] = value, self._object(value)
        return self._known[id(value)][1]

    def _object(self, value: Any) -> Any:
        value = whole(value)
        host = _on_host(value)
        if type(host) is Tensor:  # another kind would come back as this one
            name = f"{len(self.tensors):06}"
            self.tensors[name] = host.detach().contiguous().clone()
            return {"tensor": name}
        if type(value) is Denoiser:
            # LoRA files beside it are the network's own, and are not kept again
            of, delta = self.network(), value.delta
            if of is None or value.core is not of.core or {**delta.beside} != {**of.delta.beside}:
                raise Unstorable("a model of another network")
            value = _Tuned(ModelDelta(delta.weights, delta.low_rank, {}, delta.words, delta.place))
        kind = type(value)
        if kind_named(name_of(kind)) is not kind:
            raise Unstorable(f"a {kind.__name__}")
        of = {each.name: self.told(getattr(value, each.name)) for each in fields(value) if each.init}
        self.objects.append([name_of(kind), of])
        return {"object": len(self.objects) - 1}


def _on_host(value: Any) -> Any:
    return value.cpu() if isinstance(value, Tensor) else None


@dataclass(slots=True)
class _Reader:
    tensors: Mapping[str, Tensor]
    network: Network
    objects: list[Any] = field(default_factory=list[Any])

    def value(self, told: Any) -> Any:
        match told:
            case {"tuple": list(each)}:
                return tuple(self.value(one) for one in each)
            case {"mapping": list(pairs)}:
                return {self.value(name): self.value(each) for name, each in pairs}
            case {"tensor": str(name)}:
                return self.tensors[name]
            case {"object": int(place)}:
                return self.objects[place]
            case _:
                return told

    def made(self, name: str, of: Mapping[str, Any]) -> Any:
        kind = kind_named(name)
        if kind is None:
            raise ValueError(f"no '{name}' is known here")
        value = kind(**{each: self.value(told) for each, told in of.items()})
        if isinstance(value, _Tuned):
            network = self.network()
            if network is None:
                raise ValueError("it is open which network was tuned")
            return network.tuned(value.delta)
        return value
