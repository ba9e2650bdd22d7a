"""A file that lists pictures in a folder beside it is as it was left only as long as these are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from retouch.core.values import Image
from retouch.pictures.journal import NAME, FolderJournal
from retouch.pictures.standing import Standing, standing
from retouch.run.files.outbox import FileOut
from tests.pictures.picture_makers import paint


def write(path: Path, names: tuple[str, ...] = ("b.png", "a.png")) -> Path:
    """A list of two pictures, and a line of the journal; gives the folder of the pictures."""
    journal = FolderJournal(path.parent)
    out = FileOut(
        lambda _path: {"retouch": "1", "work": "w"},
        written=lambda file, sha256: journal.add("saved", file=file.name, sha256=sha256, work="w"),
    )
    pictures = {name: Image(torch.full((3, 32, 32), shade)) for name, shade in (("a.png", 0.2), ("b.png", 0.8))}
    with out.album(str(path), pictures) as folder, out.file(str(path)) as file:
        told = [f"{folder}/{name}" for name in names]
        file.write(json.dumps({"files": told, "retouch": out.stamp(str(path))}).encode())
    return path.with_name(folder)


@pytest.mark.parametrize("journal", ["kept", "lost"])
def test_pictures_of_an_album_count_as_the_list_does(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "list.json"

    def stands() -> Standing:
        if journal == "lost":
            (tmp_path / NAME).unlink(missing_ok=True)
        return standing(path)

    own = Standing("own", "w" if journal == "kept" else "")  # a list holds no digest of its own
    folder = write(path)
    whole = {each.name: each.read_bytes() for each in folder.iterdir()}
    assert stands() == own
    (folder / "notes.txt").write_text("mine")
    assert stands() == own, "what no list names is nobody's business"
    paint(folder / "b.png")
    assert stands() == Standing("edited")
    write(path)  # as with --force
    assert stands() == own
    (folder / "a.png").unlink()
    assert stands() == Standing("own"), "to be made again"
    write(path)
    assert stands() == own
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == {**whole, "notes.txt": b"mine"}
    assert {each.name for each in tmp_path.iterdir()} - {NAME} == {path.name, folder.name}
