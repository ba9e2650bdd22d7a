"""The image-text model: how well a picture and a caption agree, and what its image tower sees of a picture."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from retouch_storybook.judge import at_side


@dataclass(frozen=True, slots=True)
class StorybookImageText:
    """A CLIP of the drawn world.  Pictures are in [0, 1], of any size; all but the text is differentiable."""

    model: Any  # transformers.CLIPModel, in evaluation mode
    tokenizer: CLIPTokenizer

    def similarity(self, pictures: Tensor, captions: Sequence[str]) -> Tensor:
        """Cosine of each picture with the caption of the same place.  [n, 3, H, W], n captions -> [n]"""
        if len(pictures) != len(captions):
            raise ValueError(f"{len(pictures)} pictures and {len(captions)} captions: give as many of each")
        return (self.image_features(pictures) * self.text_features(captions)).sum(dim=1)

    def image_features(self, pictures: Tensor) -> Tensor:
        """Directions in the space shared with captions.  [n, 3, H, W] -> [n, d], of length 1"""
        return F.normalize(self.model.get_image_features(pixel_values=self._seen(pictures)).pooler_output, dim=1)

    @torch.no_grad()
    def text_features(self, captions: Sequence[str]) -> Tensor:
        """Directions in the space shared with pictures.  n captions -> [n, d], of length 1"""
        tokens = self.tokenizer(
            list(captions),
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        ids = tokens.input_ids.to(self.model.device)
        return F.normalize(self.model.get_text_features(input_ids=ids).pooler_output, dim=1)

    def keys(self, pictures: Tensor) -> Tensor:
        """Keys of the deepest self-attention of the image tower.  [n, 3, H, W] -> [n, tokens, d], class token first

        Their self-similarity says how a picture is built, whatever it shows.  Tumanyan et al. 2022, arXiv:2201.00424.
        """
        tower = self.model.vision_model
        deepest = tower.encoder.layers[-1]
        hidden = tower.pre_layrnorm(tower.embeddings(self._seen(pictures)))
        for layer in tower.encoder.layers[:-1]:
            hidden = layer(hidden, attention_mask=None)
        return deepest.self_attn.k_proj(deepest.layer_norm1(hidden))

    def _seen(self, pictures: Tensor) -> Tensor:
        return at_side(pictures, self.model.config.vision_config.image_size) * 2 - 1


def load_image_text(folder: Path | None = None, *, device: str = "cpu") -> StorybookImageText:
    """Load the model that ships with the weights, or another one from its folder."""
    folder = folder or Path(__file__).parent / "weights" / "image_text"
    model: Any = CLIPModel(CLIPConfig(**json.loads((folder / "config.json").read_text())))
    state = load_file(folder / "model.safetensors")
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    return StorybookImageText(model.to(device).eval().requires_grad_(False), tokenizer)
