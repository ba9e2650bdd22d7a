"""Prompts of several lengths as ones of one length: some models give each prompt as many tokens as it has words."""

from __future__ import annotations

import torch
from torch import Tensor


def as_long(*embeds: Tensor) -> list[Tensor]:
    """All as long as the longest, by their last tokens, which go on.  [tokens, dim] each"""
    length = max(map(len, embeds))
    return [torch.cat((each, each[-1:].expand(length - len(each), -1))) for each in embeds]
