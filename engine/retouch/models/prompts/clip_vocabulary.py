"""CLIP's byte pairs, as packages bring them under its licence (MIT): one file, which is read and not run.

A model in a single file has no vocabulary.  That of CLIP is the same in all models that read by CLIP.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from zlib import error as DamagedStream

from retouch.models.errors import BrokenModel

FILE = "bpe_simple_vocab_16e6.txt.gz"
PACKAGES = ("open_clip", "clip")
WORDS = 49408
_MERGES = 49152 - 256 - 2  # that are used, of those in the file
_START, _END = "<|startoftext|>", "<|endoftext|>"


def installed_vocabulary() -> Path | None:
    """Return the file in an installed package; no package is imported."""
    for package in PACKAGES:
        try:
            spec = find_spec(package)
        except (ImportError, ValueError):
            continue
        for folder in (spec.submodule_search_locations if spec else None) or ():
            if (file := Path(folder) / FILE).is_file():
                return file
    return None


def read_vocabulary(file: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the words with their ids, and the merges in their order."""
    try:
        lines = gzip.decompress(file.read_bytes()).decode("utf-8").split("\n")[1 : _MERGES + 1]
        merges = [(left, right) for left, right in (line.split() for line in lines)]
    except (OSError, EOFError, ValueError, DamagedStream) as why:
        raise BrokenModel(f"'{file}' is no vocabulary of CLIP: {why}") from None
    # One letter for each byte: itself where it can be seen, else one further up
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = len([byte for byte in range(256) if byte not in seen])
    letters = [chr(code) for code in (*seen, *range(256, 256 + rest))]
    words = [
        *letters,
        *(f"{letter}</w>" for letter in letters),
        *(left + right for left, right in merges),
        _START,
        _END,
    ]
    return {word: i for i, word in enumerate(words)}, merges
