"""What stands beside a model's name, its base, its VAE, LoRA files: whose fault a mistake is, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retouch.addresses import file_instead, is_address, model_instead
from retouch.models.errors import BrokenModel, UnfitBeside, UnknownModel
from retouch.near import nearest_path
from retouch.paths import is_there

_EXAMPLES = {
    "base": 'base="owner/name" of a model that was fetched, or the path of its folder',
    "vae": 'vae="vae.safetensors", or the path of a folder with a VAE',
    "lora": 'lora=["style.safetensors*0.8"], the path of a file and its weight',
}


@contextmanager
def blamed_on(option: str, text: str) -> Iterator[None]:
    """Say of whatever cannot be used in here that it is what this option was given.  Raises UnfitBeside."""
    if is_address(text) and not is_there(Path(text)):
        mend = model_instead(text) if option == "base" else file_instead(text)
        raise UnfitBeside(option, text, BrokenModel("it is a web address, and nothing is looked for there"), mend)
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
    except (OSError, RuntimeError, ValueError):  # no such user, a null
        return f"write {_EXAMPLES[option]}"
    meant = nearest_path(str(path)) or nearest_path(str(path), folder=True)
    return f"did you mean '{meant}{star}{weight}'?" if meant else f"write {_EXAMPLES[option]}"
