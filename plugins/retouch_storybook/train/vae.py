"""The VAE, whole or its decoder alone."""

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

from retouch_storybook.train import base
from retouch_storybook.train.latents import encode, latents_of, round_trip
from retouch_storybook.train.loop import TrainingSettings
from retouch_storybook.train.workspace import Workspace, pick

KL = 1e-4  # weight of the divergence from a unit normal, per element of the latent
NOISE = 0.04  # standard deviations of the latents, at most, that the decoder learns to bear
SLOPE = 1.0  # weight of the image gradients
PLAIN_LAYERS = {"decoder.conv_out.weight", "encoder.conv_in.weight"}  # whose one side are colours, not features


class Vae:
    """Encoder and decoder, from drawings to drawings."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.settings = TrainingSettings(adam=1e-3, muon=0.01, hold=0.4, average=0.998, seed=1)
        self.batch = 96 if workspace.on_gpu else 12
        self.drawings = workspace.training()
        self.vae = self._model().to(workspace.device).train()
        self.network = self.vae

    def is_plain(self, name: str) -> bool:
        """The last layer makes colours, not features."""
        return name in PLAIN_LAYERS

    def loss(self, draws: torch.Generator) -> Tensor:
        """Reconstruction from a sample of the posterior, and its divergence from a unit normal."""
        index = pick(len(self.drawings), self.batch, draws)
        pixels = self.drawings.pictures(index.to(self.workspace.device)) * 2 - 1
        (posterior,) = self.vae.encode(pixels, return_dict=False)
        noise = torch.randn(posterior.mean.shape, generator=draws).to(pixels.device)
        (again,) = self.vae.decode(posterior.mean + posterior.std * noise, return_dict=False)
        divergence = posterior.kl().float().mean() / posterior.mean[0].numel()
        return reconstruction(again.float(), pixels) + KL * divergence

    def export(self) -> None:
        """Write the VAE, with the factor that brings its latents to unit variance."""
        self.vae.eval()
        parts = self.drawings.pictures(slice(2000)).split(50)
        latents = torch.cat([encode(self.vae, part) for part in parts]) / self.vae.config["scaling_factor"]
        self.vae.register_to_config(scaling_factor=float(1 / latents.std()))
        base.export(self.vae, self.workspace.weights / "vae")

    def measure(self) -> Mapping[str, float]:
        """Peak signal-to-noise ratio of held-out round trips, in dB."""
        pictures = self.workspace.held_out().pictures(slice(None))
        error = (round_trip(self.vae.eval(), pictures) - pictures).square().mean((1, 2, 3))
        return {"round trip, dB": float((-10 * error.log10()).mean())}

    def _model(self) -> Any:
        if not self.workspace.begins_anew("vae"):
            return base.vae(self.workspace.part_of("vae"))
        torch.manual_seed(self.settings.seed)
        large = self.workspace.on_gpu and self.workspace.size >= 128
        channels, latent = ((32, 64, 128, 128), 8) if large else ((24, 48, 64), 4)
        make: Any = AutoencoderKL
        return make(
            down_block_types=("DownEncoderBlock2D",) * len(channels),
            up_block_types=("UpDecoderBlock2D",) * len(channels),
            block_out_channels=channels,
            layers_per_block=2,
            latent_channels=latent,
            norm_num_groups=8,
            sample_size=self.workspace.size,
            mid_block_add_attention=False,
        )


class Decoder(Vae):
    """The decoder alone: encoder and latents, and so the denoiser, stay as they are."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        if workspace.begins_anew("vae"):
            raise ValueError("the decoder is trained for an encoder that is there: train the part 'vae' first")
        folder = workspace.part_of("vae")
        self.latents = latents_of(self.drawings, folder, workspace.folder, workspace.device)
        self.vae.encoder.requires_grad_(False)
        self.vae.quant_conv.requires_grad_(False)
        self.batch = 96 if workspace.on_gpu else 16

    def loss(self, draws: torch.Generator) -> Tensor:
        """Reconstruction from latents with a little noise."""
        index = pick(len(self.drawings), self.batch, draws).to(self.workspace.device)
        pixels, latents = self.drawings.pictures(index) * 2 - 1, self.latents[index]
        strength = NOISE * torch.rand(len(index), 1, 1, 1, generator=draws).square()
        noise = strength * torch.randn(latents.shape, generator=draws)
        noisy = latents + noise.to(latents.device)
        (again,) = self.vae.decode(noisy / self.vae.config["scaling_factor"], return_dict=False)
        return reconstruction(again.float(), pixels)

    def export(self) -> None:
        """Write the VAE; the factor of its latents stays."""
        base.export(self.vae, self.workspace.weights / "vae")


def reconstruction(again: Tensor, pixels: Tensor) -> Tensor:
    """L1, L2, and L1 of the image gradients, which keeps edges sharp."""
    slopes = sum(((again - pixels).diff(dim=axis).abs().mean() for axis in (-1, -2)), start=again.new_zeros(()))
    return (again - pixels).abs().mean() + F.mse_loss(again, pixels) + SLOPE * slopes
