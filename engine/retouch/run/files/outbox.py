"""Files in and out, for one item: what was read, what was written, and what a user should know of either."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image as Picture
from torch import Tensor

from retouch import pictures
from retouch.core.device.transfer import upload
from retouch.core.large.stored import LARGE, PlacedMask, StoredImage, unit, whole
from retouch.core.rectangle import Rectangle
from retouch.core.values import Image, Mask
from retouch.graph.folders import FilesBelow
from retouch.pictures import albums, stamp
from retouch.pictures.atomic import folder_for, replacing, sync, sync_folder, taken_back, unfinished_folder
from retouch.pictures.bands.file import in_bands
from retouch.pictures.standing import digest, standing
from retouch.pictures.writing import encode, format_of, grey_picture
from retouch.run.files.pixels import Decoded, InFile, Laid, as_bytes, drawn
from retouch.run.strangers.wrong_results import WrongResult


@dataclass(slots=True)
class FileIn:
    """Pictures that a recipe opens, as tensors on the device.

    called: what notices call a file, by its path, where that is not its name.
    """

    device: torch.device
    notices: list[str] = field(default_factory=list[str])
    called: Mapping[str, str] = field(default_factory=dict[str, str])

    def at(self, settings: Mapping[str, Any]) -> FileIn:
        """What a port is given."""
        return self

    def area(self, path: str, label: int | None, height: int, width: int) -> Mask:
        """The mask there, of a picture of this size: 1 is edited.  label: of its numbers, None if it holds none."""
        picture = pictures.read_mask(path, label)
        picture.check_size(height, width)
        self._tell(path, picture.notices)
        if height * width < LARGE:
            return Mask(unit(self._sent(picture.data)))
        left, top, right, bottom = Picture.fromarray(picture.data).getbbox() or (0, 0, 1, 1)
        inner = self._sent(picture.data[top:bottom, left:right])
        return PlacedMask(unit(inner), Rectangle(left, top, right, bottom), (height, width))

    def image(self, path: str, size: int, *, as_stored: bool = False) -> Image:
        """The picture there, its longer side no more than `size` pixels (0: as it is)."""
        if not size and (found := in_bands(path, LARGE)):
            self._tell(path, found.notices)
            return StoredImage(InFile(found), self.device)
        decoded, notices = pictures.decoded(path, size=size or None, as_stored=as_stored)
        self._tell(path, notices)
        stored = StoredImage(Decoded(decoded), self.device)
        if decoded.width * decoded.height < LARGE:
            return Image(stored.data, stored.alpha)
        return stored

    def _tell(self, path: str, notices: Iterable[str]) -> None:
        self.notices += [f"{self.called.get(path) or Path(path).name}: {notice}" for notice in notices]

    def _sent(self, array: np.ndarray) -> Tensor:
        """The bytes on the device."""
        return upload(torch.tensor(array), self.device)  # a copy: what the decoder gave may not be written to


@dataclass(frozen=True, slots=True)
class FolderIn:
    """A folder that a stage opens: the files that the check has seen in it."""

    files: FileIn
    folder: Path = Path()
    held: Collection[str] = ()

    def at(self, settings: Mapping[str, Any]) -> FolderIn:
        """What a port is given."""
        return FolderIn(self.files, Path(settings["folder"]), frozenset(settings["held"]))

    def there(self, name: str) -> bool:
        """Whether the description listed such a file."""
        return name in self.held

    def text(self, name: str) -> str:
        """A text there."""
        return self._below(name).text(name)

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of the picture there, as stored."""
        return self._below(name).size(name)

    def alpha(self, name: str) -> bool:
        """Whether the picture there says what of it is transparent."""
        return self._below(name).alpha(name)

    def image(self, name: str) -> Image:
        """A picture there, as stored: what a camera is told for is not what EXIF turns."""
        return self._image(name, self.files)

    def lit(self, name: str) -> Tensor:
        """Where a picture there is not black."""
        return self._image(name, FileIn(self.files.device)).data.amax(0) > 0

    def _image(self, name: str, files: FileIn) -> Image:
        return whole(files.image(str(self._below(name).place(name)), 0, as_stored=True))

    def _below(self, name: str) -> FilesBelow:
        if name not in self.held:
            raise ValueError(f"'{name}' is none of the files that the folder's description listed")
        return FilesBelow(self.folder)


@dataclass(slots=True)
class FileOut:
    """Results, each file whole or not at all, with the recipe that made it inside.

    metadata: what the file at a path says of itself.  about: what the source of the file at a path said.
    missed: by part, in words, what sources said and no result of theirs keeps.
    written: is told of each file that is in its place, with the sha256 of its bytes.
    signed: signs the bytes of the file that goes to a path; None where nothing is signed.
    """

    metadata: Callable[[str], Mapping[str, str]]
    about: Callable[[str], pictures.About] = lambda _path: pictures.About()
    files: list[Path] = field(default_factory=list[Path])
    notices: list[str] = field(default_factory=list[str])
    missed: dict[str, str] = field(default_factory=dict[str, str])
    written: Callable[[Path, str], None] = lambda _path, _sha256: None
    signed: Callable[[str, bytes], bytes] | None = None

    def at(self, settings: Mapping[str, Any]) -> FileOut:
        """What a port is given."""
        return self

    @contextmanager
    def file(self, path: str) -> Iterator[BinaryIO]:
        """An open file that takes its place at the end, or vanishes if anything is raised."""
        recipe, place = self.stamp(path), Path(path)
        with replacing(place) as file:
            yield file
            file.flush()
            made = Path(file.name)
            if not made.stat().st_size:
                raise WrongResult(f"the file '{place.name}'", "an empty one")
            # Signed before anything is said of its bytes, which that changes.
            if self.signed:
                put_signed(file, lambda data: self.signed(path, data) if self.signed else data)
            foreign = stamp.is_foreign_beside(place)
            # The format has no place of its own for it, so a file beside it says how it was made.
            if recipe and stamp.metadata(made) is None:
                if foreign:
                    name = stamp.beside(place).name
                    what = f"'{name}', which would tell its recipe, is there and retouch did not make it"
                    raise pictures.Unwritable(path, what, f"move '{name}', or choose another folder")
                stamp.put_beside(place, made, recipe)
            # Left from an earlier file of this name, it would speak of that.
            elif not foreign:
                stamp.beside(place).unlink(missing_ok=True)
            sha256 = digest(made)
        self.files.append(place)
        self.written(place, sha256)

    def stamp(self, path: str) -> str:
        """How the file at this path was made, as a text to be put into it; empty if it is to say nothing."""
        told = self.metadata(path)
        return stamp.fit(told)[0] if told else ""

    def note(self, path: str, words: str) -> None:
        """Tell the user something about a file."""
        self.notices.append(f"{Path(path).name}: {words}")

    def image(
        self,
        path: str,
        image: Image,
        *,
        quality: int | None = None,
        size: int = 0,
        keep: Collection[str] | None = None,
    ) -> None:
        """Write a picture."""
        said = self.about(path)
        if keep is None:  # else the user has chosen
            self.missed |= said.worth_keeping()
        made = Laid(image) if isinstance(image, StoredImage) else drawn(image)
        self._write(path, made, pictures.How(quality, size, said.only(keep or ())))

    def animation(self, path: str, images: Sequence[Image], milliseconds: int, quality: int | None = None) -> None:
        """Write pictures of one size that follow each other, again and again."""
        first, *rest = map(drawn, images)
        moving = {"save_all": True, "append_images": rest, "duration": milliseconds, "loop": 0}
        self._write(path, first, pictures.How(quality), **moving)

    @contextmanager
    def album(self, path: str, images: Mapping[str, Image]) -> Iterator[str]:
        """A new folder of pictures beside a file that lists them, by its name; it vanishes if anything is raised."""
        place = Path(path)
        before = {*albums.listed(place)} if standing(place).kind in ("own", "edited") else set[str]()
        with folder_for(place):
            with unfinished_folder(place) as part:
                for name, image in images.items():
                    made, format = drawn(image), format_of(name)
                    with (part / name).open("xb") as file:
                        encode(file, made, format, {}, pictures.How())
                        sync(file)
                folder = albums.named_by(place, part, images)
                # A folder of the same content may be there already, and others list it: only a new one is taken back.
                fresh = not folder.exists()
                albums.put(part, folder)
                # Before the list is: a list on disk never names pictures that a power cut has taken.
                sync_folder(folder)
            with taken_back(folder) if fresh else nullcontext():
                yield folder.name
        # The list has its place now, so nothing names the older pictures any more.
        for name in before - {folder.name}:
            shutil.rmtree(place.with_name(name), ignore_errors=True)

    def mask(self, path: str, pixels: Tensor) -> None:
        """Write a mask [H, W] in [0, 1] as a grey picture."""
        self._write(path, grey_picture(as_bytes(pixels)), pictures.How())

    def _write(self, path: str, made: Picture.Image | Laid, how: pictures.How, **more: Any) -> None:
        format, told = format_of(path), self.metadata(path)
        with self.file(path) as file:
            notices = encode(file, made, format, told, how, **more)
        for notice in notices:
            self.note(path, notice)


def put_signed(file: BinaryIO, signed: Callable[[bytes], bytes]) -> None:
    """Put signed bytes into a file that is to take its place, instead of those that it has.  Raises Unfit."""
    made = signed(Path(file.name).read_bytes())
    # The same open file: its lock and its place in the folder are what others look at.
    file.seek(0)
    file.truncate()
    file.write(made)
    file.flush()


@dataclass(frozen=True, slots=True)
class RunNotices:
    """What stages tell of one picture beside its files."""

    notices: list[str]
    stage: str = ""

    def at(self, settings: Mapping[str, Any]) -> RunNotices:
        """What a port is given."""
        return RunNotices(self.notices, str(settings.get("stage", "")))

    def tell(self, words: str) -> None:
        """Say one sentence about this picture."""
        self.notices.append(f"{self.stage}: {words}")
