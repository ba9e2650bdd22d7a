"""The pixel-space denoiser, unconditional."""

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.unets.unet_2d import UNet2DModel
from diffusers.pipelines.ddim.pipeline_ddim import DDIMPipeline
from torch import Tensor

from retouch_storybook.judge import at_side
from retouch_storybook.train import base
from retouch_storybook.train.diffusion import scheduler, v_loss
from retouch_storybook.train.loop import Settings
from retouch_storybook.train.workspace import Workspace, pick

SIDE = 64  # pixels


class Pixel:
    """Learns to tell noise from drawings."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.settings = Settings(adam=1e-3, muon=0.01, hold=0.45, seed=4)
        self.batch = 256 if workspace.on_gpu else 16
        self.drawings = workspace.training()
        self.network: Any = self._model().to(workspace.device).train()
        self.alphas_cumprod = scheduler().alphas_cumprod

    def is_plain(self, name: str) -> bool:
        """The first and the last convolution make features of colours and colours of features."""
        return name in {"conv_in.weight", "conv_out.weight"}

    def loss(self, draws: torch.Generator) -> Tensor:
        """Mean square error of v."""
        index = pick(len(self.drawings), self.batch, draws).to(self.workspace.device)
        clean = at_side(self.drawings.pictures(index), SIDE) * 2 - 1
        return v_loss(lambda x, t: self.network(x, t).sample, clean, self.alphas_cumprod, draws)

    def export(self) -> None:
        """Write denoiser and scheduler, as a pipeline of diffusers has them."""
        folder = self.workspace.weights / "pixel"
        self.network.half()
        DDIMPipeline(self.network, scheduler()).save_pretrained(folder)
        self.network.float()

    @torch.no_grad()
    def measure(self) -> Mapping[str, float]:
        """Mean square error of v on held-out drawings."""
        pictures = at_side(self.workspace.held_out().pictures(slice(None)), SIDE) * 2 - 1
        draws = torch.Generator().manual_seed(0)
        network = self.network.eval()
        parts = pictures.split(50)
        losses = [v_loss(lambda x, t: network(x, t).sample, part, self.alphas_cumprod, draws) for part in parts]
        return {"held-out loss of v": float(torch.stack(losses).mean())}

    def _model(self) -> Any:
        if not self.workspace.begins_anew("pixel"):
            return base.pixel_denoiser(self.workspace.part_of("pixel"))
        torch.manual_seed(self.settings.seed)
        channels = (48, 96, 144, 192) if self.workspace.on_gpu else (32, 64, 96, 128)
        return UNet2DModel(
            sample_size=SIDE,
            block_out_channels=channels,
            layers_per_block=1,
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            norm_num_groups=16,
        )
