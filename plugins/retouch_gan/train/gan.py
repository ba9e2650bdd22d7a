"""The generator and its discriminator, on latents of drawings."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from retouch_gan.networks import NOISE, Generator
from retouch_gan.train.adversary import Real
from retouch_gan.train.discriminator import Discriminator
from retouch_storybook.judge import ATTRIBUTES, load_judge
from retouch_storybook.train import base
from retouch_storybook.train.latents import decode, latents_of
from retouch_storybook.train.loop import TrainingSettings
from retouch_storybook.train.sampling import sheet
from retouch_storybook.train.workspace import Workspace, pick
from retouch_storybook.world import Scene

BATCH = 32


class Gan:
    """Two networks against each other."""

    penalty = 0.5

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.settings = TrainingSettings(adam=2.5e-3, muon=0.0, hold=0.6, average=0.9975, seed=11, bfloat16=True)
        drawings = workspace.training()
        self.latents = latents_of(drawings, workspace.part_of("vae"), workspace.folder, workspace.device)
        self.labels = labels_of(drawings.scenes)
        torch.manual_seed(self.settings.seed)
        self.generator: Any = Generator()
        self.discriminator: nn.Module = Discriminator()
        self.network: nn.Module = nn.ModuleDict({"generator": self.generator, "discriminator": self.discriminator})

    def is_plain(self, name: str) -> bool:
        """All of it is Adam's."""
        return True

    def loss(self, draws: torch.Generator) -> Tensor:
        """There is none for both at once."""
        raise NotImplementedError("the networks of a GAN have a loss each: train them by AdversarialTraining")

    def real(self, draws: torch.Generator) -> Real:
        """Latents of drawings."""
        index = pick(len(self.latents), BATCH, draws)
        return Real(self.latents[index], self.labels[index])

    def fake(self, labels: Tensor, draws: torch.Generator) -> Tensor:
        """Latents that show these labels, as the generator now has it."""
        return self.generator(self.generator.styles(torch.randn(len(labels), NOISE, generator=draws), labels))

    def export(self) -> None:
        """Write the generator, averaged, with the mean of its styles."""
        with torch.no_grad():
            noise = torch.randn(len(self.labels), NOISE, generator=torch.Generator().manual_seed(0))
            self.generator.mean.copy_(self.generator.mapping(noise, self.labels).mean(dim=0))
        self.workspace.weights.mkdir(parents=True, exist_ok=True)
        state = {name: tensor.half().contiguous() for name, tensor in self.generator.state_dict().items()}
        save_file(state, self.workspace.weights / "generator.safetensors")

    @torch.no_grad()
    def measure(self) -> Mapping[str, float]:
        """How often the judge reads in samples what they were to show, and how far pairs of one caption differ."""
        count, draws = 400, torch.Generator().manual_seed(0)
        labels = self.labels[pick(len(self.labels), count, draws)]
        vae = base.vae(self.workspace.part_of("vae")).eval()
        pictures = torch.cat([decode(vae, self.fake(some, draws)) for some in labels.split(50)])
        sheet(pictures[:40].split(10), self.workspace.weights / "samples.png")
        logits = [load_judge().network(some) for some in pictures.split(100)]
        wanted = labels.split([len(values) for values in ATTRIBUTES.values()], dim=1)
        right = {
            name: torch.cat([part[name] for part in logits]).argmax(dim=1) == some.argmax(dim=1)
            for name, some in zip(ATTRIBUTES, wanted, strict=True)
        }
        return {name: float(which.float().mean()) for name, which in right.items()}


def labels_of(scenes: Sequence[Scene]) -> Tensor:
    """What scenes show, as numbers: for each attribute 1 at its value.  [n, LABELS]"""
    columns = [
        F.one_hot(torch.tensor([values.index(getattr(scene, name)) for scene in scenes]), len(values))
        for name, values in ATTRIBUTES.items()
    ]
    return torch.cat(columns, dim=1).float()
