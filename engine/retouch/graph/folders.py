"""Folders that a stage opens as one thing: described by its plugin, and told from others by what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path

from retouch import pictures
from retouch.core.declared.folders import DescribedFolder, UnfitFolder
from retouch.lang.encodings import not_utf8, readable
from retouch.near import near_path, nearest_path
from retouch.pictures import Unreadable, standing
from retouch.pictures.refusals import may_read
from retouch.plugins.importing import surrounded

MOST_TEXT = 16_000_000  # bytes
LONG = 60  # characters of a name that are shown


@dataclass(frozen=True, slots=True)
class FilesBelow:
    """The files of one folder, by their names in it: nothing that lies elsewhere, links included."""

    folder: Path

    def place(self, name: str) -> Path:
        """Where a file lies.  Raises UnfitFolder if that is outside of the folder, or no file can be called so."""
        path = self.folder / name
        try:
            path = path.resolve()
            path.exists()  # some names are refused only where they are looked for
        except (OSError, ValueError, RuntimeError) as err:  # too long, a null or half a character, links in a ring
            said = name if len(name) <= LONG else f"{name[:LONG]}…"
            shown = said.encode("utf-8", "backslashreplace").decode("utf-8")
            raise UnfitFolder(f"no file can be called '{shown}'", "name its files as they are called", "RT572") from err
        if not path.is_relative_to(self.folder.resolve()):
            what, mend = f"'{name}' lies outside of it", "put its files below it, and name them from there"
            raise UnfitFolder(what, mend, "RT572")
        return path

    def there(self, name: str) -> bool:
        """Whether such a file is there."""
        return self.place(name).is_file()

    def text(self, name: str) -> str:
        """A text of at most 16 MB."""
        path = self.place(name)
        if not path.is_file():
            raise UnfitFolder(f"it has no '{name}'", f"name a folder that holds {name}")
        if path.stat().st_size > MOST_TEXT:
            raise UnfitFolder(f"'{name}' has more than {MOST_TEXT // 1_000_000} MB", "give it fewer pictures")
        try:
            data = path.read_bytes()
        except OSError as err:
            raise UnfitFolder(f"'{name}' cannot be read: {err.strerror}", may_read(err)) from err
        if wrong := not_utf8(data):
            raise UnfitFolder(f"'{name}' is not UTF-8: {wrong[0]}", wrong[1])
        return readable(data)

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of the picture there, as it is stored: its header tells them."""
        info = self._inspected(name)
        return info.height, info.width

    def alpha(self, name: str) -> bool:
        """Whether the picture there says what of it is transparent, as its header tells."""
        return self._inspected(name).alpha

    def _inspected(self, name: str) -> pictures.PictureInfo:
        path = self.place(name)
        if not path.is_file():
            meant = near_path(name, self.folder, may_look=lambda place: place.is_relative_to(self.folder.resolve()))
            mend = meant or "put the picture there, or take it out of the list"
            raise UnfitFolder(f"'{name}' is not there", mend, "RT572")
        try:
            return pictures.inspect(path, max_pixels=pictures.MAX_PIXELS, as_stored=True)  # it is worked on whole
        except Unreadable as err:
            raise UnfitFolder(f"'{name}' {err.what}", err.mend, "RT572") from err


def described(where: str, folder: Path) -> tuple[DescribedFolder, str]:
    """What "module:function" says of a folder, and the digest of all files that it names.  Raises UnfitFolder."""
    if not folder.is_dir():
        if folder.exists():
            raise UnfitFolder("it is a file", "name a folder that is there")
        meant = nearest_path(folder.name, folder.parent, folder=True)
        raise UnfitFolder("it is not there", f"did you mean '{meant}/'?" if meant else "name a folder that is there")
    module, _, name = where.partition(":")
    below = FilesBelow(folder)
    with surrounded(module):
        said: DescribedFolder = getattr(import_module(module), name)(below)
    names = list(dict.fromkeys(said.files))
    digest = sha256()
    for each in names:
        digest.update(f"{standing.digest(below.place(each))} {each}\n".encode())
    return said, digest.hexdigest()


def digest(folder: Path, kinds: list[str]) -> str:
    """The digest of a folder as the first of these functions describes it; empty where none can."""
    for where in kinds:
        try:
            return described(where, folder)[1]
        except (UnfitFolder, ImportError, AttributeError):
            continue
    return ""
