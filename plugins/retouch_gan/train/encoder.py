"""The encoder: drawings, and pictures that the generator made, to styles that make them again.

The loss is one of latents, through the generator, so that no decoder runs; of what the generator made, the styles are
known too.  Offsets between the styles are held back, since edits are truer near one style for all.  Tov et al. 2021,
arXiv:2102.02766, section 4.
"""

from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from retouch_gan.networks import NOISE, Generator, StyleEncoder
from retouch_gan.train.gan import labels_of
from retouch_storybook.train import base
from retouch_storybook.train.latents import decode, latents_of
from retouch_storybook.train.loop import TrainingSettings
from retouch_storybook.train.sampling import sheet
from retouch_storybook.train.workspace import Workspace, pick

REAL, MADE = 24, 8  # pictures of a batch
OFFSETS, KNOWN = 0.02, 0.2  # weights of the offsets, and of styles that are known


class EncoderPart:
    """Learns to say of which styles a picture is made."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.settings = TrainingSettings(adam=1e-3, muon=0.01, hold=0.4, average=0.998, seed=12, bfloat16=True)
        drawings = workspace.training()
        self.vae = workspace.part_of("vae")
        self.latents = latents_of(drawings, self.vae, workspace.folder, workspace.device)
        self.labels = labels_of(drawings.scenes)
        self.generator: Any = Generator()
        weights = load_file(workspace.weights / "generator.safetensors")
        self.generator.load_state_dict({name: each.float() for name, each in weights.items()})
        self.generator.eval().requires_grad_(False)
        torch.manual_seed(self.settings.seed)
        self.network: nn.Module = StyleEncoder()
        nn.init.zeros_(self.network.offsets.weight)
        self.network.style.bias.data.copy_(self.generator.mean)

    def is_plain(self, name: str) -> bool:
        """The first and the last layers are no features."""
        return name in {"body.0.0.weight", "style.weight", "offsets.weight"}

    def loss(self, draws: torch.Generator) -> Tensor:
        """Squares of latents, of offsets, and of styles that are known."""
        real = self.latents[pick(len(self.latents), REAL, draws)]
        labels = self.labels[pick(len(self.labels), MADE, draws)]
        with torch.no_grad():
            known = self.generator.styles(torch.randn(MADE, NOISE, generator=draws), labels)
            made = self.generator(known)
        latents = torch.cat([real, made.float()])
        styles = self.network(latents).float()
        missed = F.mse_loss(self.generator(styles).float(), latents)
        apart = (styles - styles.mean(dim=1, keepdim=True)).square().mean()
        return missed + OFFSETS * apart + KNOWN * F.mse_loss(styles[REAL:], known.float())

    def export(self) -> None:
        """Write the encoder."""
        state = {name: each.half().contiguous() for name, each in self.network.state_dict().items()}
        save_file(state, self.workspace.weights / "encoder.safetensors")

    @torch.no_grad()
    def measure(self) -> Mapping[str, float]:
        """How far held-out drawings come back, in latents and in pixels."""
        held_out, network = self.workspace.held_out(), self.network.eval()
        latents = latents_of(held_out, self.vae, self.workspace.folder / "held_out", self.workspace.device)
        again = torch.cat([self.generator(network(some)) for some in latents.split(50)])
        vae, wanted = base.vae(self.vae).eval(), held_out.pictures(slice(None))
        pictures = torch.cat([decode(vae, some) for some in again.split(50)])
        error = (pictures - wanted).square().mean((1, 2, 3))
        sheet([wanted[:10], pictures[:10]], self.workspace.weights / "encoded.png")
        return {
            "held-out latents, mean square": float(F.mse_loss(again, latents)),
            "held-out drawings, dB": float((-10 * error.log10()).mean()),
        }
