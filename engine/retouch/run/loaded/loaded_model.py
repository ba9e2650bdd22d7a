"""A model ready to run: the parts that stages are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from retouch.core.awaited.resources import Codec
from retouch.core.denoiser import Denoiser
from retouch.core.schedule import Schedule
from retouch.core.tuning import ModelDelta, Update
from retouch.models import embeddings, families, tuned_weights
from retouch.models.errors import BrokenModel
from retouch.models.family import Loaded, ModelFamily, ModelTexts
from retouch.models.info import ModelInfo
from retouch.models.lora.layers import Lora
from retouch.models.network.acceleration import EAGER, Acceleration
from retouch.models.own_weights import OwnWeights
from retouch.models.pretrained import PretrainedNetwork
from retouch.models.single_file import NETWORKS
from retouch.models.strange_family import FamilyGuard, guard_of
from retouch.run.collector import quiet_collector
from retouch.run.loaded.base_weights import copy_weights, modules_of

if TYPE_CHECKING:
    from retouch.models.kit.loading import ModelLoading


@contextmanager
def blamed_on(info: ModelInfo) -> Iterator[None]:
    """Whatever a library trips over while it reads a model is the model's fault, not that of a stage that waits."""
    try:
        yield
    except (BrokenModel, MemoryError, torch.OutOfMemoryError, ImportError):
        raise
    except Exception as why:
        said = (str(why).strip().splitlines() or [""])[0]
        raise BrokenModel(f"'{info.folder}' cannot be loaded: {type(why).__name__} {said}".strip()) from why


class Machine:
    """One model on one device; its weights load when they are first asked for."""

    def __init__(
        self,
        info: ModelInfo,
        device: str,
        dtype: torch.dtype,
        acceleration: Acceleration = EAGER,
        plain: Machine | None = None,
    ) -> None:
        """plain: the same model without its LoRA files, with which it shares all that they leave as it is."""
        if info.plain and plain is None:
            plain = Machine(info.plain, device, dtype, acceleration)
        self.plain = plain
        self._own: dict[tuple[tuple[str, str], ...], OwnWeights] = {}
        self._beside: dict[str, PretrainedNetwork] = {}
        self.info, self.device, self.dtype, self.acceleration = info, torch.device(device), dtype, acceleration

    @cached_property
    def family(self) -> ModelFamily:
        """What reads models of its kind."""
        return families.named(self.info.pipeline)

    @cached_property
    def guard(self) -> FamilyGuard | None:
        """What surrounds its family, if that is a stranger's; the model without its LoRA files has the same."""
        return self.plain.guard if self.plain else guard_of(self.info.pipeline)

    def _guarded(self, what: str, *known: type[Exception]) -> AbstractContextManager[None]:
        return self.guard.around(what, *known) if self.guard else nullcontext()

    def schedule(self, steps: int, size: tuple[int, int]) -> Schedule:
        """A walk of so many steps for latents of this size [h, w].  Raises ValueError where there are not that many."""
        try:
            with self._guarded("schedule()", ValueError):
                made: object = self.family.schedule(self.info.files.read, steps, size)
        except (BrokenModel, ValueError):
            raise
        except Exception as why:
            what = f"its schedule() raises {type(why).__name__}: {why}"
            raise families.at_fault(self.info.pipeline, what) from why
        if not isinstance(made, Schedule):
            raise families.at_fault(self.info.pipeline, f"its schedule() gives a {type(made).__name__}, not a Schedule")
        return made

    @cached_property
    def parts(self) -> ModelLoading:
        """What brings parts to memory, and keeps them."""
        from retouch.models.kit.loading import ModelLoading

        return ModelLoading(self.info.files, self.device, self.dtype, self.acceleration)

    @cached_property
    def loaded(self) -> Loaded:
        """All parts, in evaluation mode and without gradients."""
        with blamed_on(self.info):
            if self.plain is None:
                return self._load(self.parts)
            updates = {part: each for part, each in self._updates.items() if part}
            # LoRA files of the network alone change no other part, so all of the plain model's are shared.
            if not updates:
                return self.plain.loaded
            return self._load(self.plain.parts.with_fused(updates))

    def _load(self, parts: ModelLoading) -> Loaded:
        with quiet_collector(), self._guarded("load()"):
            made: object = self.family.load(self.info.known, parts)
        if self.guard:
            return self.guard.loaded(made)
        if not isinstance(made, Loaded):
            raise families.at_fault(self.info.pipeline, f"its load() gives a {type(made).__name__}, not a Loaded")
        return made

    @cached_property
    def denoiser(self) -> Denoiser:
        """The network."""
        from retouch.models.network.core import NetworkCore

        if self.plain is not None:
            delta = ModelDelta()
            with blamed_on(self.info):
                for each in self._updates.get("", ()):
                    delta = delta.under(ModelDelta(beside=each)) if delta.beside else ModelDelta(beside=each)
            # The same core: rows with LoRA files and rows without share memory, and the network is there once.
            return self.plain.denoiser.tuned(delta)
        known = self.info.known
        digest = tuned_weights.network_digest(self.info)
        net, part = self.loaded.net, next((part for part in known.parts if part in NETWORKS), "unet")
        return Denoiser(NetworkCore(net, known.prediction, known.sites, known.told, self.acceleration, digest, part))

    def restore(self, modules: Sequence[nn.Module]) -> None:
        """Read weights anew, into the same memory: somebody has written to these modules, if they are of this model."""
        from retouch.models.kit.loading import ModelLoading

        if "loaded" not in vars(self) or not any(each is own for each in modules for own in _modules(self.loaded)):
            return
        if self.plain is not None and self.loaded is self.plain.loaded:
            return self.plain.restore(modules)
        parts = ModelLoading(self.info.files, self.device, self.dtype, self.acceleration)
        if self.plain is not None:
            parts = parts.with_fused({part: each for part, each in self._updates.items() if part})
        # Into the same memory: graphs and kernels that were captured read those addresses.
        for fresh, own in zip(_modules(self._load(parts)), _modules(self.loaded), strict=True):
            if any(own is each for each in modules):
                copy_weights(fresh, own)

    @cached_property
    def _updates(self) -> dict[str, list[dict[str, tuple[Update, ...]]]]:
        """What LoRA files add: to the denoiser (""), and to text encoders."""
        from retouch.models.lora.fitting import placed_on
        from retouch.models.lora.updates import updates

        assert self.plain
        shapes = self.plain.shapes
        found: dict[str, list[dict[str, tuple[Update, ...]]]] = {}
        for lora in self.info.loras:
            for part, placed in placed_on(self.info, lora, shapes).items():
                found.setdefault(part, []).append(updates(lora, placed, self.device, self.dtype))
        return found

    @cached_property
    def shapes(self) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
        """Of the weights that LoRA files act on: of the denoiser (""), and of text encoders."""
        net, made = self.loaded.net, (self.plain or self).parts.made
        modules = {part: module for part, module in made.items() if part.startswith("text_encoder")}
        modules[""] = net.module
        return {
            part: {name: tuple(weight.shape) for name, weight in module.named_parameters()}
            for part, module in modules.items()
        }

    def lora(self, path: str, scale: float) -> ModelDelta:
        """What a LoRA file adds to the denoiser: what stages get as Adapters."""
        from retouch.models.lora.fitting import placed_on
        from retouch.models.lora.updates import updates

        file = Lora(Path(path), scale)
        with blamed_on(self.info):
            placed = placed_on(self.info, file, self.shapes).get("", [])
            return ModelDelta(beside=updates(file, placed, self.device, self.dtype))

    def tuning(self, path: str) -> ModelDelta:
        """What a file of `save weights` holds: what stages get as TunedWeights."""
        with blamed_on(self.info):
            return tuned_weights.load(self.info, Path(path), self.shapes[""], self.device, self.dtype)

    def words(self, path: str, word: str) -> Mapping[str, Sequence[Tensor]]:
        """The word that a file of textual inversion holds: what stages get as Adapters."""
        with blamed_on(self.info):
            return embeddings.load(self.info, Path(path), word, self.device)

    def own_weights(self, files: Sequence[tuple[str, str, str]]) -> OwnWeights:
        """What a plugin's own weights are here: once in this machine, by their digests."""
        if self.plain is not None:
            return self.plain.own_weights(files)
        key = tuple((name, digest) for name, _, digest in files)
        if key not in self._own:
            places = {name: Path(place) for name, place, _ in files}
            self._own[key] = OwnWeights(places, self.device, self.dtype)
        return self._own[key]

    def pretrained(self, folder: str, weights: str, digest: str) -> PretrainedNetwork:
        """What a recipe names beside the model: once in this machine, by its digest."""
        if self.plain is not None:
            return self.plain.pretrained(folder, weights, digest)
        if digest not in self._beside:
            self._beside[digest] = PretrainedNetwork(Path(folder), Path(weights), self.device, self.dtype)
        return self._beside[digest]

    @cached_property
    def codec(self) -> Codec:
        """Pictures to latents and back; one object, so that all share its calls."""
        from retouch.models.kit.tiled_codec import TiledCodec

        codec = self.loaded.codec
        # One object, or calls of pictures with LoRA files and without would not meet.
        if self.plain is not None and codec is self.plain.loaded.codec:
            return self.plain.codec
        return TiledCodec.of(codec, self.acceleration.vae_tiling) if hasattr(codec, "vae") else codec

    @property
    def texts(self) -> ModelTexts:
        """Prompts."""
        return self.loaded.texts


def _modules(loaded: Loaded) -> list[nn.Module]:
    return [*modules_of(loaded.net.module), *modules_of(loaded.codec), *modules_of(loaded.texts)]
