"""The image-text model: a CLIP of the drawn world."""

import json
from collections.abc import Mapping
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel

from retouch_storybook.image_text import StorybookImageText
from retouch_storybook.judge import ATTRIBUTES, at_side
from retouch_storybook.train import base
from retouch_storybook.train.captions import draw_caption, token_ids
from retouch_storybook.train.judge import labels, spoilt
from retouch_storybook.train.latent import text_config
from retouch_storybook.train.loop import TrainingSettings
from retouch_storybook.train.workspace import Workspace, pick

SIDE, PATCH = 64, 8  # pixels
PLAIN = ("embedding.weight", "class_embedding", "logit_scale")


class ImageTextPart:
    """Contrast of pictures and captions; reading the attributes, at first the easier task, shapes the image tower."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.settings = TrainingSettings(adam=1e-3, muon=0.01, hold=0.4, seed=3)
        self.batch = 1024 if workspace.on_gpu else 128
        self.drawings = workspace.training()
        self.labels = labels(self.drawings.scenes)
        self.tokenizer = base.tokenizer(workspace.base)
        self.clip = self._model()
        width: int = self.clip.config.projection_dim
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(values)) for name, values in ATTRIBUTES.items()})
        self.network = nn.ModuleDict({"clip": self.clip, "heads": self.heads}).to(workspace.device).train()

    def is_plain(self, name: str) -> bool:
        """Embeddings and heads are no matrices to turn."""
        return name.endswith(PLAIN) or name.startswith("heads")

    def loss(self, draws: torch.Generator) -> Tensor:
        """Cross-entropy both ways, equal captions sharing their due, and of the attributes."""
        index = pick(len(self.drawings), self.batch, draws)
        rng = Random(int(torch.randint(2**31, (), generator=draws)))
        device = self.workspace.device
        captions = [draw_caption(self.drawings.scenes[i], rng, empty=0.0) for i in index.tolist()]
        ids = token_ids(self.tokenizer, captions).to(device)
        pictures = spoilt(at_side(self.drawings.pictures(index.to(device)), SIDE), draws)
        out = self.clip(input_ids=ids, pixel_values=pictures * 2 - 1)
        logits = out.logits_per_image.float()
        same = (ids[:, None] == ids[None]).all(-1).float()
        due = same / same.sum(1, keepdim=True)
        read = [
            F.cross_entropy(head(out.image_embeds).float() * 10, self.labels[name][index].to(device))
            for name, head in self.heads.items()
        ]
        contrast = (F.cross_entropy(logits, due) + F.cross_entropy(logits.T, due)) / 2
        return contrast + torch.stack(read).mean()

    def export(self) -> None:
        """Write the model, its tokenizer, and how its pictures are prepared."""
        folder = self.workspace.weights / "image_text"
        base.export(self.clip, folder)
        self.tokenizer.save_pretrained(folder)
        preparation = {
            "image_processor_type": "CLIPImageProcessor",
            "do_resize": True,
            "size": {"height": SIDE, "width": SIDE},
            "do_center_crop": False,
            "do_rescale": True,
            "do_normalize": True,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(preparation, indent=2) + "\n")

    def measure(self) -> Mapping[str, float]:
        """How often a held-out picture is nearest to its own caption, of a hundred different ones."""
        held_out = self.workspace.held_out()
        model = StorybookImageText(self.clip.eval(), self.tokenizer)
        first = {scene.caption(): i for i, scene in reversed(list(enumerate(held_out.scenes)))}
        chosen = sorted(first.values())[:100]
        with torch.no_grad():
            images = model.image_features(held_out.pictures(torch.tensor(chosen)))
        cosines = images @ model.text_features([held_out.scenes[i].caption() for i in chosen]).T
        own = torch.arange(len(chosen), device=cosines.device)
        return {
            "picture to caption, top-1": float((cosines.argmax(1) == own).float().mean()),
            "caption to picture, top-1": float((cosines.argmax(0) == own).float().mean()),
        }

    def _model(self) -> Any:
        torch.manual_seed(self.settings.seed)
        if not self.workspace.begins_anew("image_text"):
            return base.image_text(self.workspace.part_of("image_text"))
        width, layers = (192, 6) if self.workspace.on_gpu else (128, 4)
        image = {
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": width // 32,
            "image_size": SIDE,
            "patch_size": PATCH,
        }
        text = text_config(self.tokenizer, width, layers=3).to_dict()
        return CLIPModel(CLIPConfig(text_config=text, vision_config=image, projection_dim=width))
