"""Where all of a model lies: a folder in the layout of diffusers, a single file, and what stands in for parts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from retouch.models.errors import MissingFile
from retouch.models.files.digest import fingerprint
from retouch.models.files.headers import Stored, read_header
from retouch.models.files.layout import INDEX, is_index, read_json, stored_tensors, weights_file, weights_files

SCHEDULER = "scheduler"
# In configs, what says by whom and how they were written, and in what type the weights are, which their headers know.
_BOOKKEEPING = {"_diffusers_version", "_name_or_path", "transformers_version", "torch_dtype", "dtype"}
_OF_WORDS = {".json", ".txt", ".model"}
FLAT = ("unet", SCHEDULER)  # parts that may lie beside the index, as the first models of diffusers have them


@dataclass(frozen=True, slots=True)
class InOneFile:
    """The weights of one part in a file that holds more, or that has its authors' names.

    prefix: what the part's tensors begin with; others: what those of other parts begin with, where it has none itself.
    """

    file: Path
    prefix: str = ""
    others: tuple[str, ...] = ()

    def tensors(self) -> dict[str, Stored]:
        """Its tensors, by their whole names in the file."""
        return {name: stored for name, stored in read_header(self.file).tensors.items() if self.has(name)}

    def has(self, name: str) -> bool:
        """Whether a tensor of the file is this part's."""
        return name.startswith(self.prefix) and not name.startswith(self.others)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of one model; all light questions about it go here.

    place: the folder or file that was named.
    configs: the folder of everything that is not said to lie elsewhere.
    inside: parts whose weights lie in a single file.
    elsewhere: folders of parts and vocabularies that lie elsewhere, or the file of a vocabulary.
    """

    place: Path
    configs: Path
    inside: Mapping[str, InOneFile] = field(default_factory=dict[str, InOneFile])
    elsewhere: Mapping[str, Path] = field(default_factory=dict[str, Path])

    @classmethod
    def of_folder(cls, folder: Path) -> ModelFiles:
        """All in one folder: each part in its own, or, of a model with one network alone, beside the index."""
        flat = (folder / INDEX).is_file() and (folder / "config.json").is_file() and not (folder / "unet").is_dir()
        return cls(folder, folder, elsewhere=dict.fromkeys(FLAT, folder) if flat else {})

    def read(self, name: str) -> Mapping[str, Any]:
        """Read a JSON file of the model, such as "vae/config.json".  Raises BrokenModel."""
        part, slash, rest = name.partition("/")
        folder = self.elsewhere.get(part) if slash else None
        if folder is None or folder.is_file():
            return read_json(self.configs, name)
        return read_json(folder.parent, f"{folder.name}/{rest}")

    def config_names(self) -> list[str]:
        """The names of all configs of parts."""
        here = {f"{path.parent.name}/config.json" for path in self.configs.glob("*/config.json")}
        there = {f"{part}/config.json" for part, at in self.elsewhere.items() if (at / "config.json").is_file()}
        return sorted(here | there - {f"{SCHEDULER}/config.json"})

    def has_config(self, name: str) -> bool:
        """Whether there is a JSON file of this name."""
        try:
            return bool(self.read(name))
        except MissingFile:
            return False

    def folder(self, part: str) -> Path:
        """Where a part or a vocabulary lies."""
        return self.elsewhere.get(part, self.configs / part)

    def weights(self, part: str) -> Path:
        """The file of a part's weights, or the index of its shards.  Raises BrokenModel where there is none."""
        if part in self.inside:
            return self.inside[part].file
        folder = self.folder(part)
        return weights_file(folder.parent, folder.name)

    def tensors(self, part: str) -> dict[str, Stored]:
        """What headers say of a part, by the names that its file has."""
        if part in self.inside:
            return self.inside[part].tensors()
        return {name: stored for name, (_, stored) in stored_tensors(self.weights(part)).items()}

    def has(self, part: str) -> bool:
        """Whether there are weights of a part."""
        try:
            return bool(self.weights(part))
        except MissingFile:
            return False

    def other_part(self, part: str, there: InOneFile | Path) -> ModelFiles:
        """The same with another part in the place of one: in a file, or in a folder with its config."""
        if isinstance(there, InOneFile):
            return replace(self, inside={**self.inside, part: there})
        inside = {name: each for name, each in self.inside.items() if name != part}
        return replace(self, inside=inside, elsewhere={**self.elsewhere, part: there})

    def digest(self, parts: tuple[str, ...]) -> str:
        """Fingerprint of all the files that hold these parts."""
        return fingerprint(dict.fromkeys(file for part in parts for file in weights_files(self.weights(part))))

    def digest_of_configs(self, parts: tuple[str, ...], tokenizers: tuple[str, ...]) -> str:
        """Fingerprint of what decides beside the weights what a model makes: what configs say, and vocabularies."""
        names = (INDEX, f"{SCHEDULER}/scheduler_config.json", *(f"{part}/config.json" for part in parts))
        told: dict[str, Any] = {
            name: {key: value for key, value in self.read(name).items() if key not in _BOOKKEEPING}
            for name in names
            if self.has_config(name)
        }
        for each in tokenizers:
            at = self.folder(each)
            words = [at] if at.is_file() else [path for path in sorted(at.iterdir()) if path.suffix in _OF_WORDS]
            told[each] = fingerprint(words)
        return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]

    def digest_of_parts(self, parts: tuple[str, ...]) -> str:
        """Fingerprint of these parts alone, whatever else their files hold."""
        if not any(part in self.inside for part in parts):
            return self.digest(parts)
        digest = sha256()
        for part in parts:
            for text in _marks(self.tensors(part), self.weights(part)):
                digest.update(text)
        return digest.hexdigest()[:32]


def _marks(tensors: Mapping[str, Stored], file: Path) -> Iterator[bytes]:
    """Names, types, shapes, and some numbers of each tensor."""
    if is_index(file):
        yield fingerprint(weights_files(file)).encode()
        return
    with file.open("rb") as numbers:
        for name, stored in sorted(tensors.items()):
            yield f"{name.rpartition('model.')[2]} {stored.dtype} {stored.shape}".encode()
            numbers.seek(stored.begin)
            yield numbers.read(min(256, stored.end - stored.begin))
