"""For which model a LoRA file says that it was trained: trainers write it into the header, and few readers look.

kohya's scripts say `ss_base_model_version`, the standard ModelSpec `modelspec.architecture`; diffusers and peft name
the base by its repository.  Where layers of two families share names and shapes, nothing else tells them apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from retouch.models.files.headers import read_header
from retouch.models.files.kinds import TITLES

_KEYS = ("ss_base_model_version", "modelspec.architecture", "base_model", "base_model_name_or_path")
_PEFT = "lora_adapter_metadata"  # JSON of peft's configs, in which each part names its base
_FAMILIES = (  # the first that is found in what a file says, its blanks, dots and underscores as hyphens
    ("sdxl", re.compile(r"sdxl|sd-xl|stable-diffusion-xl")),
    ("sd3", re.compile(r"sd-?3|stable-diffusion-v?3")),
    ("sd2", re.compile(r"sd-?v?2|stable-diffusion-v?2")),
    ("sd1", re.compile(r"sd-?v?1|stable-diffusion-v?1")),
    ("flux2", re.compile(r"flux-?2")),
    ("flux", re.compile(r"flux")),
    ("qwen-image", re.compile(r"qwen-?image")),
    ("z-image", re.compile(r"z-?image")),
)


class Stated(NamedTuple):
    """What a file says it was trained for: by its kind, its name, and in the file's own words."""

    family: str
    title: str
    said: str


def stated(path: Path) -> Stated | None:
    """For what a file says that it was trained; None where it says nothing, or nothing that is known here."""
    for text in _texts(read_header(path).metadata):
        plain = re.sub(r"[ ._]+", "-", text.lower())
        for family, pattern in _FAMILIES:
            if pattern.search(plain):
                return Stated(family, TITLES[family], text[:80])
    return None


def peft_settings(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    """What peft kept of its configs, by part and name; nothing where it is not of that form."""
    try:
        said = json.loads(metadata.get(_PEFT, "{}"))
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _texts(metadata: Mapping[str, str]) -> Iterator[str]:
    yield from (metadata[key] for key in _KEYS if key in metadata)
    told = peft_settings(metadata).items()
    yield from (text for key, text in told if key.endswith("base_model_name_or_path") and isinstance(text, str))
