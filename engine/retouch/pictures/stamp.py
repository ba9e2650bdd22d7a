"""How a file says that Retouch made it, and how: a JSON object of texts, wherever the file has room for one.

A picture has it in an iTXt chunk (PNG) or in the EXIF description.  Any other file may hold the text wherever its
format has a place for words, as it is or as a JSON string; where it has none, the text stands in a file beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING

from retouch.pictures.about import DESCRIPTION
from retouch.pictures.names import LONGEST_NAME, begun
from retouch.pictures.opening import LARGEST, Unreadable, opened

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

KEY = "retouch"
MARK = f'{{"{KEY}": "'  # how the object of texts begins
_ESCAPED = MARK.replace('"', '\\"')
_LIMIT = 256 * 1024
PIXELS, WORK = "pixels", "work"  # digests: of what the picture shows, and of all that it was made of
_SHA256 = "file_sha256"  # of the file that the one beside it is about


def fit(metadata: Mapping[str, str], limit: int = _LIMIT) -> tuple[str, list[str]]:
    """The metadata as JSON; entries too long for `limit` bytes are left out, longest first, with a notice each."""
    kept, notices = dict(metadata), []
    while len(text := json.dumps(kept)) > limit:
        longest = max(kept, key=lambda name: len(json.dumps(kept[name])) + len(json.dumps(name)))
        notices.append(f"'{longest[:40]}' was not stored in the picture: it is over {limit // 1024} KB")
        del kept[longest]
    return text, notices


def png_chunks(recipe: str, texts: Mapping[str, str], xmp: bytes | None) -> PngInfo:
    """For Pillow's `pnginfo=`: the recipe, and what the source said."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    if recipe:
        info.add_itxt(KEY, recipe)
    for name, words in texts.items():
        info.add_itxt(name, words)
    if xmp:
        info.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    return info


def metadata(path: str | os.PathLike[str]) -> dict[str, str] | None:
    """What Retouch wrote into a file, or beside it; None if it did not, or the file cannot be read."""
    text = _written(path)
    return _parsed(text) if text is not None and len(text) <= _LIMIT else None


def damaged(path: str | os.PathLike[str]) -> bool:
    """Whether something stands where Retouch writes, and is not of its form."""
    return _written(path) is not None and metadata(path) is None


def made_by_retouch(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of ours, and may be made again."""
    return metadata(path) is not None


def put_beside(path: Path, file: Path, text: str) -> None:
    """Write what the file at `path` says of itself into one beside it.  file: where its bytes are now."""
    from retouch.pictures.atomic import replacing

    told = {**json.loads(text), _SHA256: _digest(file)}
    with replacing(beside(path)) as out:
        out.write(json.dumps(told).encode())


def beside(path: Path) -> Path:
    """The file that speaks for one whose format has no place for words."""
    name = f"{path.name}.{KEY}.json"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f"{begun(path.name)}.{sha256(os.fsencode(path.name)).hexdigest()[:16]}.{KEY}.json"
    return path.with_name(name)


def is_foreign_beside(path: Path) -> bool:
    """Whether a file that Retouch did not make stands where one would speak for this one."""
    return os.path.lexists(beside(path)) and _SHA256 not in (_told_beside(path) or {})


def is_beside(path: Path) -> bool:
    """Whether a file beside it speaks for it, with the digest of these very bytes."""
    return _beside(path) is not None


def _written(path: str | os.PathLike[str]) -> str | None:
    try:
        with opened(path, LARGEST) as image:
            text = image.info.get(KEY) if image.format == "PNG" else _described(image.getexif().get(DESCRIPTION))
            if isinstance(text, str):
                return str(text)
    except Unreadable:
        pass
    file = Path(path)
    return next(_texts_within(file), None) or _beside(file) if os.path.isfile(file) else None


def _texts_within(path: Path) -> Iterator[str]:
    """The object of texts, looked for where formats have their words: at the beginning and at the end."""
    try:
        with path.open("rb") as file:
            data = file.read(2 * _LIMIT)
            if path.stat().st_size > len(data):
                file.seek(max(len(data), path.stat().st_size - 2 * _LIMIT))
                data += b"\n" + file.read()
    except OSError:
        return
    for mark in (MARK, _ESCAPED):
        if (start := data.find(mark.encode())) >= 0:
            words = data[start : start + 2 * _LIMIT].decode("utf-8", "replace")
            try:
                plain = words if mark == MARK else json.JSONDecoder(strict=False).raw_decode(f'"{words}')[0]
                yield plain[: json.JSONDecoder().raw_decode(plain)[1]]
            except (ValueError, RecursionError):
                continue


def _beside(path: Path) -> str | None:
    try:
        told = _told_beside(path)
        return json.dumps(told) if told and told.pop(_SHA256, "") == _digest(path) else None
    except (OSError, ValueError):
        return None


def _told_beside(path: Path) -> dict[str, str] | None:
    try:
        if not beside(path).is_file():  # a pipe would be waited for
            return None
        with beside(path).open(encoding="utf-8") as file:
            text = file.read(2 * _LIMIT + 1)
    except (OSError, ValueError):
        return None
    return _parsed(text) if len(text) <= 2 * _LIMIT else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _described(description: object) -> str | None:
    text = str(description)
    return text.removeprefix(f"{KEY} ") if text.startswith(f"{KEY} ") else None


def _parsed(text: str) -> dict[str, str] | None:
    """Anyone can write this text: it is believed only if it is a flat object of strings."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    flat = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
    return found if flat else None
