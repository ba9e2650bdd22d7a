"""The diffusers folder layout of a model: which file is where."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from retouch.models.errors import BrokenModel, MissingFile
from retouch.models.files.headers import Stored, read_header
from retouch.models.files.pickles import is_pickle, refusal

INDEX = "model_index.json"
WEIGHTS = ("diffusion_pytorch_model", "model")  # of diffusers' parts, and of transformers'
VARIANTS = ("", "fp16", "bf16")  # which is taken where there are several: the fullest precision
TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")
CARD = "card.json"
LARGEST_JSON = 64 * 2**20  # bytes; a tokenizer of 250,000 words has 17 MB


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A config of the model, which must be a JSON object."""
    path = folder / name
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
            raise BrokenModel(f"{name} of '{folder}' is not a file")
        if status.st_size > LARGEST_JSON:
            raise BrokenModel(f"{name} of '{folder}' has {status.st_size:,} bytes, too many for a config")
        config = json.loads(path.read_text(encoding="utf-8"))
    except BrokenModel:
        raise
    except FileNotFoundError:
        raise MissingFile(f"'{folder}' has no {name}; it is not a model in the diffusers layout") from None
    except (OSError, ValueError, RecursionError) as why:
        raise BrokenModel(f"{name} of '{folder}' cannot be read: {getattr(why, 'strerror', None) or why}") from None
    if not isinstance(config, dict):
        raise BrokenModel(f"{name} of '{folder}' is not a JSON object")
    return config


def weights_file(folder: Path, part: str) -> Path:
    """The safetensors of one part, or the index of its shards; the full-precision one if there are several."""
    for variant in VARIANTS:
        said = f".{variant}" if variant else ""
        for stem in WEIGHTS:
            for name in (f"{stem}{said}.safetensors", f"{stem}.safetensors.index{said}.json"):
                if (path := folder / part / name).is_file():
                    return path
    others = sorted(path for path in (folder / part).glob("*.*") if is_pickle(path))
    why = f"; {refusal(others[0])}" if others else ""
    raise (BrokenModel if others else MissingFile)(f"'{folder}' has no safetensors in {part}/{why}")


def is_index(path: Path) -> bool:
    """Whether these weights lie in shards."""
    return path.suffix == ".json"


def weights_files(path: Path) -> tuple[Path, ...]:
    """The files in which the numbers are: the one, or all shards of an index, in order."""
    return tuple(sorted(set(shards(path).values()))) if is_index(path) else (path,)


def shards(index: Path) -> dict[str, Path]:
    """Which shard has which tensor; every shard is there, in the index's own folder."""
    said = read_json(index.parent, index.name).get("weight_map")
    if not (isinstance(said, dict) and said and all(isinstance(name, str) for name in said.values())):
        raise BrokenModel(f"'{index}' has no weight_map of tensors to shards")
    for name in dict.fromkeys(said.values()):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise BrokenModel(f"'{index}' names the shard '{name}', which is no safetensors file beside it")
        if not (index.parent / name).is_file():
            raise MissingFile(f"'{index}' names the shard '{name}', which is not there")
    return {tensor: index.parent / name for tensor, name in said.items()}


def stored_tensors(path: Path) -> dict[str, tuple[Path, Stored]]:
    """Every tensor of a part, by its name, with its file: from headers alone, and from the index where there is one."""
    if not is_index(path):
        return {name: (path, stored) for name, stored in read_header(path).tensors.items()}
    where = shards(path)
    found: dict[str, tuple[Path, Stored]] = {}
    for file in weights_files(path):
        for name, stored in read_header(file).tensors.items():
            if where.get(name) != file:
                raise BrokenModel(f"'{file}' has {name}, which '{path.name}' does not place there")
            found[name] = (file, stored)
    if missing := sorted(where.keys() - found.keys()):
        raise BrokenModel(f"'{where[missing[0]]}' lacks {missing[0]}, which '{path.name}' places there")
    return found
