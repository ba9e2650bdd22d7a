"""What stands beside a model's name, its base, its VAE, LoRA files: whose fault a mistake is, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from retouch.models.errors import BrokenModel, UnfitBeside, UnknownModel

_EXAMPLES = {
    "base": 'base="owner/name" of a model that was fetched, or the path of its folder',
    "vae": 'vae="vae.safetensors", or the path of a folder with a VAE',
    "lora": 'lora=["style.safetensors*0.8"], the path of a file and its weight',
}


@contextmanager
def blamed_on(option: str, text: str) -> Iterator[None]:
    """Say of whatever cannot be used in here that it is what this option was given.  Raises UnfitBeside."""
    try:
        yield
    except (BrokenModel, UnknownModel) as why:
        raise UnfitBeside(option, text, why, _mend(option, text)) from why


def _mend(option: str, text: str) -> str:
    """What to type instead, or how to see what is wrong with it."""
    name, star, weight = text.partition("*") if option == "lora" else (text, "", "")
    try:
        path = Path(name).expanduser()
        if path.exists():
            return f"choose another, or leave it out; 'retouch models {name}' tells what it is"
        near = get_close_matches(path.name, [each.name for each in path.parent.iterdir()], n=1)
    except (OSError, RuntimeError, ValueError):  # no such folder, no such user, a null
        near = []
    if not near:
        return f"write {_EXAMPLES[option]}"
    return f"did you mean '{name.removesuffix(Path(name).name)}{near[0]}{star}{weight}'?"
