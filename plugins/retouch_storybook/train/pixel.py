"""The pixel-space denoiser, unconditional."""

from collections.abc import Mapping
from operator import eq
from typing import Any

import torch
from diffusers.models.unets.unet_2d import UNet2DModel
from diffusers.pipelines.ddim.pipeline_ddim import DDIMPipeline
from torch import Tensor

from retouch_storybook.judge import at_side, load_judge
from retouch_storybook.train import base
from retouch_storybook.train.diffusion import Levels, pixel_scheduler, v_loss
from retouch_storybook.train.loop import TrainingSettings
from retouch_storybook.train.sampling import sheet
from retouch_storybook.train.workspace import Workspace, pick

SIDE = 64  # pixels
LEVELS = Levels(0.3, 1.6)  # more noise than in latents: pixels repeat one another, it takes more to hide a thing
SAMPLES, SHOWN, STEPS = 100, 40, 50  # pictures, of them on the sheet, steps of a whole walk
HALF = 0.36  # how deep a picture goes into noise to be kept: sigma / alpha = 1.7
SURE = 0.9  # a probability: of nearly all drawings the judge has more


class Pixel:
    """Learns to tell noise from drawings."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.settings = TrainingSettings(adam=1e-3, muon=0.01, hold=0.45, seed=4, bfloat16=True)
        self.batch = 256 if workspace.on_gpu else 32
        self.drawings = workspace.training()
        self.network: Any = self._model().to(workspace.device).train()
        self.alphas_cumprod = pixel_scheduler().alphas_cumprod

    def is_plain(self, name: str) -> bool:
        """The first and the last convolution make features of colours and colours of features."""
        return name in {"conv_in.weight", "conv_out.weight"}

    def loss(self, draws: torch.Generator) -> Tensor:
        """Mean square error of v."""
        index = pick(len(self.drawings), self.batch, draws).to(self.workspace.device)
        clean = at_side(self.drawings.pictures(index), SIDE) * 2 - 1
        return v_loss(lambda x, t: self.network(x, t).sample, clean, self.alphas_cumprod, draws, LEVELS)

    def export(self) -> None:
        """Write denoiser and scheduler, as a pipeline of diffusers has them."""
        folder = self.workspace.weights / "pixel"
        self.network.half()
        DDIMPipeline(self.network, pixel_scheduler()).save_pretrained(folder)
        self.network.float()
        base.forget_origin(folder / "unet")

    @torch.no_grad()
    def measure(self) -> Mapping[str, float]:
        """The loss on held-out drawings, and what the judge makes of them, into noise and back, and of samples."""
        held_out, draws = self.workspace.held_out(), torch.Generator().manual_seed(0)
        clean, network = at_side(held_out.pictures(slice(None)), SIDE) * 2 - 1, self.network.eval()
        losses = [
            v_loss(lambda x, t: network(x, t).sample, part, self.alphas_cumprod, draws, LEVELS)
            for part in clean.split(50)
        ]
        noise = torch.randn((SAMPLES, 3, SIDE, SIDE), generator=draws).to(clean.device)
        kept, drawn = self._walk(noise, HALF, clean[:SAMPLES]), clean[:SAMPLES] / 2 + 0.5
        sampled = self._walk(noise, 1.0)
        sheet([*sampled[:SHOWN].split(10), drawn[:10], kept[:10]], self.workspace.weights / "pixel.png")
        judge = load_judge(self.workspace.part_of("judge") / "judge", device=self.workspace.device)
        readings, sure = judge(kept), {"samples": judge.certainty(sampled), "drawings": judge.certainty(drawn)}
        figures = {"held-out loss of v": float(torch.stack(losses).mean())}
        for name in ("subject", "setting"):
            shown = [getattr(scene, name) for scene in held_out.scenes[:SAMPLES]]
            right = map(eq, (getattr(reading, name) for reading in readings), shown)
            figures[f"{name} of drawings, into noise and back"] = sum(right) / SAMPLES
            for what, certainty in sure.items():
                figures[f"{name} of {what}, judge sure of it"] = float((certainty[name] > SURE).float().mean())
        return figures

    def _walk(self, noise: Tensor, strength: float, clean: Tensor | None = None) -> Tensor:
        """DDIM from noise, or from pictures in as much noise as a strength says.  Pictures in [0, 1]"""
        steps: Any = pixel_scheduler()
        steps.set_timesteps(STEPS)
        timesteps = steps.timesteps[round(STEPS * (1 - strength)) :]
        x = noise if clean is None else steps.add_noise(clean, noise, timesteps[:1].expand(len(clean)))
        for timestep in timesteps.tolist():
            (x, *_) = steps.step(self.network(x, timestep).sample, timestep, x, return_dict=False)
        return (x / 2 + 0.5).clamp(0, 1)

    def _model(self) -> Any:
        if not self.workspace.begins_anew("pixel"):
            return base.pixel_denoiser(self.workspace.part_of("pixel"))
        torch.manual_seed(self.settings.seed)
        channels = (48, 96, 160, 192) if self.workspace.on_gpu else (32, 64, 128, 192)
        return UNet2DModel(
            sample_size=SIDE,
            block_out_channels=channels,
            layers_per_block=1,
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            norm_num_groups=16,
            attention_head_dim=32,  # heads of 8 take three times as long on a CPU
        )
