"""The judge: learns to read drawings, their VAE round trips, and both a little moved, blurred and noisy."""

import json
from collections.abc import Iterable, Mapping, Sequence

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from retouch_storybook.judge import ATTRIBUTES, SIDE, Judge, JudgeNetwork, at_side, load_judge
from retouch_storybook.train import base
from retouch_storybook.train.latents import round_trip, round_trips_of
from retouch_storybook.train.loop import TrainingSettings
from retouch_storybook.train.workspace import Workspace, pick
from retouch_storybook.world import Scene

WIDTHS = (32, 64, 128, 128)
ZOOM, SHIFT, NOISE = 0.12, 0.1, 0.07  # at most; shift in half sides, noise in standard deviations
ROUND_TRIPS = 3000


class JudgePart:
    """Cross-entropy of every attribute."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.settings = TrainingSettings(adam=2e-3, muon=0.02, hold=0.4, average=0.998, seed=5)
        self.batch = 512 if workspace.on_gpu else 64
        drawings = workspace.training()
        self.vae_folder = workspace.part_of("vae")
        again = round_trips_of(drawings.first(ROUND_TRIPS), self.vae_folder, workspace.folder, workspace.device)
        self.pixels = torch.cat([drawings.pixels, again])
        self.labels = labels([*drawings.scenes, *drawings.scenes[: len(again)]])
        self.network = self._network().to(workspace.device).train()

    def is_plain(self, name: str) -> bool:
        """The first layer and the heads are no matrices to turn."""
        return name.startswith(("body.0.0", "heads"))

    def loss(self, draws: torch.Generator) -> Tensor:
        """Cross-entropy, summed over attributes."""
        index = pick(len(self.pixels), self.batch, draws)
        pictures = at_side(self.pixels[index.to(self.pixels.device)].float() / 255, SIDE)
        logits = self.network(spoilt(pictures, draws))
        device = self.workspace.device
        losses = [F.cross_entropy(logits[name].float(), self.labels[name][index].to(device)) for name in ATTRIBUTES]
        return torch.stack(losses).sum()

    def export(self) -> None:
        """Write the network and its widths."""
        folder = self.workspace.weights / "judge"
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: tensor.half().contiguous().cpu() for name, tensor in self.network.state_dict().items()}
        save_file(state, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"widths": WIDTHS}) + "\n")

    def measure(self) -> Mapping[str, float]:
        """Shares read right, of held-out drawings and of their round trips."""
        held_out = self.workspace.held_out()
        pictures, judge = held_out.pictures(slice(None)), Judge(self.network.eval())
        vae = base.vae(self.vae_folder).to(self.workspace.device).eval()
        again = accuracy(judge, round_trip(vae, pictures), held_out.scenes)
        return accuracy(judge, pictures, held_out.scenes) | {
            f"{name}, round trip": share for name, share in again.items()
        }

    def _network(self) -> JudgeNetwork:
        if not self.workspace.begins_anew("judge"):
            return load_judge(self.workspace.part_of("judge") / "judge").network.requires_grad_()
        torch.manual_seed(self.settings.seed)
        return JudgeNetwork(WIDTHS)


def labels(scenes: Sequence[Scene]) -> dict[str, Tensor]:
    """For each attribute the place of each scene's value among all values."""
    return {
        name: torch.tensor([values.index(getattr(scene, name)) for scene in scenes])
        for name, values in ATTRIBUTES.items()
    }


def accuracy(judge: Judge, pictures: Tensor, scenes: Sequence[Scene]) -> dict[str, float]:
    """The share of pictures in which each attribute is read as it is; sketches apart for the colour they lack."""
    readings = [reading for part in pictures.split(100) for reading in judge(part)]
    pairs = list(zip(readings, scenes, strict=True))
    shares = {
        name: _share(getattr(reading, name) == getattr(scene, name) for reading, scene in pairs) for name in ATTRIBUTES
    }
    shares["color, sketches apart"] = _share(
        reading.color == scene.color for reading, scene in pairs if scene.style != "sketch"
    )
    return shares


def spoilt(pictures: Tensor, draws: torch.Generator) -> Tensor:
    """Move, zoom and mirror pictures, blur some and add noise to some.  [n, 3, side, side]"""
    count, device = len(pictures), pictures.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=draws)

    frames = torch.zeros(count, 2, 3)
    zoom = 1 + ZOOM * (2 * uniform(count) - 1)
    frames[:, 0, 0] = zoom * torch.where(uniform(count) < 0.5, 1.0, -1.0)
    frames[:, 1, 1] = zoom
    frames[:, :, 2] = SHIFT * (2 * uniform(count, 2) - 1)
    grid = F.affine_grid(frames.to(device), list(pictures.shape), align_corners=False)
    moved = F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    soft = F.avg_pool2d(F.pad(moved, (1, 1, 1, 1), mode="replicate"), 3, 1)
    blur = 2 * (uniform(count, 1, 1, 1) - 0.6).clamp(min=0)
    noise = NOISE / 0.6 * (uniform(count, 1, 1, 1) - 0.4).clamp(min=0)
    grain = torch.randn(pictures.shape, generator=draws)
    return moved.lerp(soft, blur.to(device)) + (noise * grain).to(device)


def _share(right: Iterable[bool]) -> float:
    answers = list(right)
    return sum(answers) / len(answers)
