"""The latent denoiser and its text encoder, trained together."""

from collections.abc import Mapping
from operator import eq
from random import Random
from shutil import copytree
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from retouch_storybook.judge import load_judge
from retouch_storybook.train import base
from retouch_storybook.train.captions import draw_caption, token_ids
from retouch_storybook.train.diffusion import scheduler, v_loss
from retouch_storybook.train.judge import accuracy
from retouch_storybook.train.latents import latents_of
from retouch_storybook.train.loop import TrainingSettings
from retouch_storybook.train.sampling import Painter, sheet
from retouch_storybook.train.workspace import Workspace, pick
from retouch_storybook.world import SUBJECTS, sample

SAMPLES = 100  # pictures for each figure
PLAIN = ("unet.conv_in.weight", "token_embedding.weight", "position_embedding.weight")


class Latent:
    """Learns to tell noise from latents, given a caption of any length."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        anew = workspace.begins_anew("unet")
        self.settings = (
            TrainingSettings(1e-3, 0.01, seed=2) if anew else TrainingSettings(5e-4, 0.006, hold=0.3, seed=2)
        )
        self.batch = 1024 if workspace.on_gpu else 64
        drawings = workspace.training()
        vae_folder = workspace.part_of("vae")
        self.scenes = drawings.scenes
        self.latents = latents_of(drawings, vae_folder, workspace.folder, workspace.device)
        self.tokenizer = base.tokenizer(workspace.base)
        self.unet, self.text = self._models()
        self.network = nn.ModuleDict({"unet": self.unet, "text": self.text}).to(workspace.device).train()
        self.alphas_cumprod = scheduler().alphas_cumprod

    def is_plain(self, name: str) -> bool:
        """The first convolution and embeddings are no matrices to turn."""
        return name.endswith(PLAIN)

    def loss(self, draws: torch.Generator) -> Tensor:
        """Mean square error of v, for captions drawn anew at every step."""
        index = pick(len(self.scenes), self.batch, draws)
        rng = Random(int(torch.randint(2**31, (), generator=draws)))
        captions = [draw_caption(self.scenes[i], rng) for i in index.tolist()]
        words = self.text(token_ids(self.tokenizer, captions).to(self.workspace.device)).last_hidden_state
        clean = self.latents[index.to(self.latents.device)]
        return v_loss(lambda x, t: self.unet(x, t, words).sample, clean, self.alphas_cumprod, draws)

    def export(self) -> None:
        """Write a whole model: denoiser, text encoder, tokenizer and scheduler, and the VAE beside them."""
        folder = self.workspace.weights
        base.export(self.unet, folder / "unet")
        base.export(self.text, folder / "text_encoder")
        self.tokenizer.save_pretrained(folder / "tokenizer")
        scheduler().save_pretrained(folder / "scheduler")
        (folder / "model_index.json").write_bytes((self.workspace.base / "model_index.json").read_bytes())
        if not (folder / "vae").is_dir():
            copytree(self.workspace.base / "vae", folder / "vae")

    def measure(self) -> Mapping[str, float]:
        """What the judge reads in samples: of held-out captions, of any captions, of bare nouns."""
        judge = load_judge(self.workspace.part_of("judge") / "judge", device=self.workspace.device)
        painter = Painter.of(self.workspace.weights, self.workspace.device)
        figures = {}
        rng = Random("text to image")
        for kind, scenes in (
            ("held-out", rng.sample(list(self.workspace.held_out().scenes), SAMPLES)),
            ("any", [sample(rng) for _ in range(SAMPLES)]),
        ):
            pictures = painter.paint([scene.caption() for scene in scenes])
            figures |= {f"{kind}: {name}": share for name, share in accuracy(judge, pictures, scenes).items()}
            sheet(pictures.split(10), self.workspace.weights / f"text_to_image_{kind}.png")
        nouns = [SUBJECTS[i % len(SUBJECTS)] for i in range(SAMPLES)]
        pictures = painter.paint(nouns)
        sheet(pictures.split(10), self.workspace.weights / "text_to_image_nouns.png")
        read = [reading.subject for reading in judge(pictures)]
        return figures | {"one noun: subject": sum(map(eq, read, nouns)) / SAMPLES}

    def _models(self) -> tuple[Any, Any]:
        if not self.workspace.begins_anew("unet"):
            folder = self.workspace.part_of("unet")
            return base.denoiser(folder), base.text_encoder(folder)
        torch.manual_seed(self.settings.seed)
        width, channels = (256, (96, 160, 224)) if self.workspace.on_gpu else (128, (64, 96, 128))
        unet = UNet2DConditionModel(
            sample_size=self.latents.shape[-1],
            in_channels=self.latents.shape[1],
            out_channels=self.latents.shape[1],
            block_out_channels=channels,
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=width,
            attention_head_dim=4,
            norm_num_groups=16,
        )
        return unet, CLIPTextModel(text_config(self.tokenizer, width, layers=4 if self.workspace.on_gpu else 3))


def text_config(tokenizer: Any, width: int, layers: int) -> CLIPTextConfig:
    """A small text encoder for a tokenizer."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
