"""The parts of a whole model that is trained while its drawings are made: the VAE, then denoiser and text encoder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from retouch_storybook.train import base
from retouch_storybook.train.captions import draw_caption
from retouch_storybook.train.diffusion import Levels, scheduler, v_loss
from retouch_storybook.train.latent import PLAIN, text_config
from retouch_storybook.train.latents import encode
from retouch_storybook.train.loop import TrainingSettings
from retouch_storybook.train.pool import Pool, pick
from retouch_storybook.train.vae import KL, PLAIN_LAYERS, reconstruction

LEVELS = Levels(0.15, 1.3)
BETA_END = 0.016  # sigma / alpha ends at 29, not at 14.6: of four times as many cells noise hides the mean half as well
CAPTIONS = 8  # of each drawing
ENCODED = 500  # drawings at once


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the networks and batches are."""

    vae: Sequence[int] = (32, 64, 128)
    unet: Sequence[int] = (64, 128, 160)  # 7.4 M parameters: below 15 MB in float16
    text: int = 256
    text_layers: int = 4
    vae_batch: int = 64
    unet_batch: int = 256


class PoolVae:
    """Encoder and decoder, to a quarter of the side and four channels."""

    def __init__(self, pool: Pool, sizes: Sizes) -> None:
        self.pool, self.batch = pool, sizes.vae_batch
        self.settings = TrainingSettings(adam=1e-3, muon=0.01, hold=0.4, seed=1)
        torch.manual_seed(self.settings.seed)
        make: Any = AutoencoderKL
        self.network = make(
            down_block_types=("DownEncoderBlock2D",) * len(sizes.vae),
            up_block_types=("UpDecoderBlock2D",) * len(sizes.vae),
            block_out_channels=tuple(sizes.vae),
            layers_per_block=2,
            latent_channels=4,
            norm_num_groups=8,
            sample_size=pool.size,
            mid_block_add_attention=False,
        ).to(pool.pixels.device)

    def is_plain(self, name: str) -> bool:
        """The last layer makes colours, not features."""
        return name in PLAIN_LAYERS

    def loss(self, draws: torch.Generator) -> Tensor:
        """Reconstruction from a sample of the posterior, and its divergence from a unit normal."""
        index = pick(self.pool.filled, self.batch, draws)
        pixels = self.pool.pixels[index].float() / 127.5 - 1
        taken = pixels.to(self.network.dtype)
        (posterior,) = self.network.encode(taken, return_dict=False)
        noise = torch.randn(posterior.mean.shape, generator=draws, device=draws.device, dtype=taken.dtype)
        (again,) = self.network.decode(posterior.mean + posterior.std * noise, return_dict=False)
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        return reconstruction(again.float(), pixels) + KL * divergence

    def take_in(self) -> None:
        """Take in the drawings that have come since."""
        self.pool.take_in()

    def export(self, weights: Path) -> None:
        """Write the VAE, with the factor that brings its latents to unit variance."""
        self.network.eval()
        parts = self.pool.pixels[: min(len(self.pool), 1000)].split(100)
        latents = torch.cat([encode(self.network, part.float() / 255) for part in parts])
        factor = self.network.config["scaling_factor"]
        self.network.register_to_config(scaling_factor=float(factor / latents.std()))
        base.export(self.network, weights / "vae")


class PoolLatent:
    """The denoiser and its text encoder, on latents and captions that are kept beside the pool's drawings."""

    def __init__(self, pool: Pool, sizes: Sizes, weights: Path) -> None:
        self.pool, self.batch = pool, sizes.unet_batch
        self.settings = TrainingSettings(adam=1e-3, muon=0.01, seed=2)
        device = str(pool.pixels.device)
        self.vae = base.vae(weights).to(device).eval()
        self.tokenizer = base.tokenizer(base.SHIPPED)
        self.words = Words(self.tokenizer)
        side, most = pool.size // 2 ** (len(sizes.vae) - 1), len(pool.pixels)
        self.latents = torch.empty(most, 4, side, side, device=device)
        self.captions = torch.empty(most, CAPTIONS, self.tokenizer.model_max_length, dtype=torch.int16, device=device)
        self.encoded = 0
        self.filled = torch.zeros((), device=device)  # the same number
        torch.manual_seed(self.settings.seed)
        networks: Any = nn.ModuleDict(
            {
                "unet": _unet(side, sizes),
                "text": CLIPTextModel(text_config(self.tokenizer, sizes.text, sizes.text_layers)),
            }
        )
        self.network = networks.to(device).train()
        self.alphas_cumprod = scheduler(BETA_END).alphas_cumprod.to(device)
        self.take_in()

    def is_plain(self, name: str) -> bool:
        """The first convolution and embeddings are no matrices to turn."""
        return name.endswith(PLAIN)

    def loss(self, draws: torch.Generator) -> Tensor:
        """Mean square error of v."""
        index = pick(self.filled, self.batch, draws)
        which = torch.randint(CAPTIONS, (self.batch,), generator=draws, device=draws.device)
        words = self.network["text"](self.captions[index, which].long()).last_hidden_state
        unet = self.network["unet"]

        def predict(noisy: Tensor, timesteps: Tensor) -> Tensor:
            return unet(noisy.to(words.dtype), timesteps, words, return_dict=False)[0]

        return v_loss(predict, self.latents[index], self.alphas_cumprod, draws, LEVELS)

    def take_in(self) -> None:
        """Encode the drawings that have come since, and say what they show."""
        self.pool.take_in()
        for start in range(self.encoded, len(self.pool), ENCODED):
            stop = min(start + ENCODED, len(self.pool))
            device = self.pool.pixels.device.type
            with torch.autocast(device, torch.float16, enabled=device == "cuda"):
                latents = encode(self.vae, self.pool.pixels[start:stop].float() / 255)
            self.latents[start:stop] = latents
            draws = Random(f"captions {start}")  # of the chunk, so that a resumed training hears the same words
            scenes = self.pool.scenes[start:stop]
            ids = [[self.words.ids(draw_caption(scene, draws)) for _ in range(CAPTIONS)] for scene in scenes]
            self.captions[start:stop] = torch.tensor(ids, dtype=torch.int16, device=device)
            self.encoded = stop
        self.filled.fill_(self.encoded)

    def export(self, weights: Path) -> None:
        """Write denoiser, text encoder, tokenizer, noise levels and the index beside the VAE."""
        self.network.eval()
        base.export(self.network["unet"], weights / "unet")
        base.export(self.network["text"], weights / "text_encoder")
        self.tokenizer.save_pretrained(weights / "tokenizer")
        scheduler(BETA_END).save_pretrained(weights / "scheduler")
        (weights / "model_index.json").write_bytes((base.SHIPPED / "model_index.json").read_bytes())


class Words:
    """The tokenizer's ids of captions, put together from those of their words, each asked for once."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        self.tokenizer, self.known = tokenizer, {}

    def ids(self, caption: str) -> list[int]:
        """Ids with both ends, padded to the tokenizer's length."""
        words, length = self.tokenizer, self.tokenizer.model_max_length
        for word in caption.split():
            if word not in self.known:
                self.known[word] = list(words(word, add_special_tokens=False).input_ids)
        inner = [id_ for word in caption.split() for id_ in self.known[word]][: length - 2]
        ends: tuple[Any, Any, Any] = (words.bos_token_id, words.eos_token_id, words.pad_token_id)
        start, end, pad = map(int, ends)
        return [start, *inner, end] + [pad] * (length - 2 - len(inner))


def write_card(weights: Path, name: str, size: int, measured: dict[str, Any]) -> None:
    """Write the card: the shipped one's settings, this model's sizes and figures."""
    card = json.loads((base.SHIPPED / "card.json").read_text())
    card |= {"name": name, "trained_size": size, "largest_side": 2 * size, "measured": measured}
    card["measured_on"] = "held-out triples with unseen seeds"
    card["held_out"] = "no part saw 29 of the 600 (subject, colour, setting) triples"
    (weights / "card.json").write_text(json.dumps(card, indent=2) + "\n")


def _unet(side: int, sizes: Sizes) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=side,
        in_channels=4,
        out_channels=4,
        block_out_channels=tuple(sizes.unet),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=sizes.text,
        attention_head_dim=4,
        norm_num_groups=16,
    )
