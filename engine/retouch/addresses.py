"""Web addresses, which nothing here opens: what to type in place of one, where a model or any other file is meant."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

# Of the places that people copy from, addresses are told without a scheme as well.
_ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]+:/+|(?:www\.)?(?:hf\.co|huggingface\.co|civitai\.com|github\.com)/|www\.|git@[\w.-]+:", re.I
)
_OF_HUB = re.compile(
    r"(?:(?:https?|git|ssh):/+)?(?:www\.|git@)?(?:hf\.co|huggingface\.co)[/:](?!(?:datasets|spaces|docs|api|papers|collections)/)"
    r"(?P<id>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*?)(?:\.git)?"
    r"(?:/(?:tree|blob|resolve|raw)/(?P<revision>[^/?#]+)(?:/(?P<file>[^?#]+))?)?/?(?:[?#].*)?",
    re.ASCII | re.IGNORECASE,
)
_CIVITAI = re.compile(r"(?:https?:/+)?(?:www\.)?civitai\.com/", re.IGNORECASE)
_ENDING = re.compile(r"[^/]+\.[A-Za-z0-9]{2,11}")


def is_address(text: str) -> bool:
    """Whether a text is the address of something elsewhere, where a name or a path is wanted."""
    return _ADDRESS.match(text) is not None


def model_instead(address: str) -> str:
    """What to do where a model is named by its address."""
    found = _OF_HUB.fullmatch(address)
    if found is None:
        where = "its safetensors file from there" if _CIVITAI.match(address) else "its folder or its safetensors file"
        return f"download {where}, and name that"
    name, revision, file = found["id"], found["revision"], found["file"] or ""
    got = f"type 'retouch models get {name}' once, and name '{name}'"
    if revision not in (None, "main"):
        got = f"type 'retouch models get {name}@{revision}' once, which says what to name"
    return f"{got}; or {file_instead(address)}" if file.endswith(".safetensors") else got


def file_instead(address: str) -> str:
    """What to do where a file, such as a picture, a mask or a LoRA, is named by its address."""
    address = address.partition("*")[0]  # the weight of a LoRA
    if address.lower().startswith("file:/"):
        return f'write its path: "/{unquote(urlsplit(address).path).lstrip("/")}"'
    address = re.sub(r":/+", "://", address, count=1)  # of paths, slashes are one
    path = unquote(urlsplit(address if "://" in address else f"https://{address}").path)
    name = path.rstrip("/").rpartition("/")[2]
    told = f' "{name}"' if _ENDING.fullmatch(name) else " the file"
    found = _OF_HUB.fullmatch(address)
    if found and found["file"]:  # what a browser shows is a page about the file
        return (
            f"download https://huggingface.co/{found['id']}/resolve/{found['revision']}/{found['file']} and name{told}"
        )
    return f"download it and name{told}"
