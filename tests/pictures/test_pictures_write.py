"""Pictures are written whole or not at all, and say that Retouch made them."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from retouch.pictures import Unwritable, atomic, inspect, made_by_retouch, metadata, read, stamp, write, write_mask
from retouch.pictures.atomic import replacing
from retouch.pictures.journal import NAME, journal_of
from retouch.pictures.pixels import pixels_at
from retouch.run.files.run_journal import RunJournal
from tests.pictures.picture_makers import noise

EXACT = ["cat.png", "cat.webp", "cat.tif"]
STAMP = {"recipe": 'invert ddim | "cat" → "dog"', "version": "1"}


@given(
    pixels=array_shapes(min_dims=2, max_dims=2, max_side=24).flatmap(lambda s: arrays(np.uint8, (*s, 4))),
    name=st.sampled_from(EXACT),
    has_alpha=st.booleans(),
)
def test_what_is_written_is_what_is_read(tmp_path_factory, pixels: np.ndarray, name: str, has_alpha: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "round" / name
    rgb, alpha = np.ascontiguousarray(pixels[..., :3]), pixels[..., 3] if has_alpha else None
    assert write(path, rgb, alpha, metadata=STAMP) == ()
    picture = read(path)
    assert np.array_equal(picture.rgb, rgb)
    if name.endswith(".webp") and alpha is not None and (alpha == 255).all():
        alpha = None  # a WebP that is opaque everywhere has no alpha, which shows the same
    assert (picture.alpha is None) if alpha is None else np.array_equal(picture.alpha, alpha)
    assert picture.notices == ()


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.png", noise(9, 9), metadata=STAMP)
    write(tmp_path / "b.png", noise(9, 9), metadata=STAMP)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_jpeg_is_written_with_a_warning_that_it_loses(tmp_path: Path) -> None:
    smooth = np.kron(noise(2, 2), np.ones((16, 16, 1), np.uint8))
    (notice,) = write(tmp_path / "cat.jpg", smooth)
    assert "JPEG loses" in notice
    assert np.abs(read(tmp_path / "cat.jpg").rgb.astype(int) - smooth).mean() < 3
    clear = write(tmp_path / "cat.jpeg", smooth, np.zeros((32, 32), np.uint8))
    assert "laid on white" in clear[1]
    assert (read(tmp_path / "cat.jpeg").rgb == 255).all()


@pytest.mark.parametrize("mask", [np.eye(5), np.eye(5, dtype=np.float32), np.eye(5, dtype=bool)])
def test_a_mask_is_a_grey_picture(tmp_path: Path, mask: np.ndarray) -> None:
    write_mask(tmp_path / "mask.png", mask * 1.0, metadata=STAMP)
    with Image.open(tmp_path / "mask.png") as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), np.eye(5) * 255)
    assert made_by_retouch(tmp_path / "mask.png")


def test_a_mask_of_bytes_is_kept(tmp_path: Path) -> None:
    grey = noise(5, 6, 1)[..., 0]
    write_mask(tmp_path / "mask.png", grey)
    assert np.array_equal(read(tmp_path / "mask.png").rgb[..., 0], grey)


@pytest.mark.parametrize("name", [*EXACT, "cat.jpg"])
def test_a_picture_says_how_it_was_made(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, noise(9, 9), metadata=STAMP)
    assert metadata(tmp_path / name) == {**STAMP, "pixels": pixels_at(tmp_path / name)}
    assert made_by_retouch(tmp_path / name)


def test_other_pictures_are_not_ours(tmp_path: Path, photo: Path) -> None:
    assert metadata(photo) is None
    assert not made_by_retouch(tmp_path / "missing.png")
    assert not made_by_retouch(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"recipe": 1}', "[" * 100_000, " " * 300_000 + "{}"])
def test_a_forged_note_is_not_believed(tmp_path: Path, text: str) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("retouch", text)
    Image.fromarray(noise(4, 4)).save(tmp_path / "cat.png", pnginfo=info)
    assert metadata(tmp_path / "cat.png") is None


@pytest.mark.parametrize(("name", "limit"), [("cat.png", 256), ("cat.jpg", 60), ("cat.webp", 256), ("cat.tif", 256)])
def test_a_note_too_long_costs_the_note_and_not_the_picture(tmp_path: Path, name: str, limit: int) -> None:
    note = {"short": "kept", "graph": "x" * (limit * 1024), "full": "y" * (limit * 1024 - 200)}
    notices = write(tmp_path / name, noise(9, 9), metadata=note)
    assert set(metadata(tmp_path / name) or {}) == {"short", "full", "pixels"}
    assert sum("'graph' was not stored" in notice for notice in notices) == 1


def test_folders_are_made_on_the_way(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "cat.png", noise(4, 4))
    assert inspect(tmp_path / "a" / "b" / "cat.png").width == 4


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    for name in ("cat.gif", "cat.bmp", "cat.exe", "cat"):
        with pytest.raises(Unwritable, match="write \\.png"):
            write(tmp_path / name, noise(4, 4))
    assert os.listdir(tmp_path) == []


def test_a_picture_too_large_for_its_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unwritable, match="WebP limit"):
        write(tmp_path / "cat.webp", np.zeros((1, 16384, 3), np.uint8))
    assert os.listdir(tmp_path) == []


def test_arrays_of_another_kind_are_a_programming_error(tmp_path: Path) -> None:
    for wrong in (noise(4, 4, 4), noise(4, 4).astype(float), noise(4, 4)[..., 0]):
        with pytest.raises(ValueError, match="uint8"):
            write(tmp_path / "cat.png", wrong)


class _Raises(Mapping[str, str]):
    """Metadata that fails while it is written down."""

    def __getitem__(self, key: str) -> str:
        raise RuntimeError("no value")

    def __iter__(self) -> Iterator[str]:
        return iter(["recipe"])

    def __len__(self) -> int:
        return 1


@pytest.fixture
def old(tmp_path: Path) -> Path:
    (tmp_path / "cat.png").write_bytes(b"the old file")
    return tmp_path / "cat.png"


def untouched(old: Path) -> bool:
    return old.read_bytes() == b"the old file" and os.listdir(old.parent) == [old.name]


def test_metadata_that_raises_leaves_the_old_file(old: Path) -> None:
    with pytest.raises(RuntimeError):
        write(old, noise(4, 4), metadata=_Raises())
    assert untouched(old)


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_a_writer_that_fails_half_way_leaves_the_old_file(old: Path, error: type[BaseException]) -> None:
    def failing_writer() -> None:
        with replacing(old) as file:
            file.write(b"half of the new")
            raise error

    with pytest.raises(error):
        failing_writer()
    assert untouched(old)


def test_a_full_disk_leaves_the_old_file(old: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(Unwritable, match="cannot be written: File too large"):
            write(old, noise(50, 50))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert untouched(old)


def test_a_kill_half_way_leaves_the_old_file(old: Path) -> None:
    code = (
        "import os, sys, pathlib; from retouch.pictures.atomic import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write(b'half of the new'); file.flush(); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, old], check=False)
    assert done.returncode == -signal.SIGKILL
    assert old.read_bytes() == b"the old file"


def test_a_place_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "cat.png").mkdir()
    with pytest.raises(Unwritable, match="Is a directory"):
        write(tmp_path / "cat.png", noise(4, 4))
    (tmp_path / "file").touch()
    with pytest.raises(Unwritable):
        write(tmp_path / "file" / "cat.png", noise(4, 4))
    assert sorted(os.listdir(tmp_path)) == ["cat.png", "file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_said_in_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Unwritable, match="Permission denied"):
        write(tmp_path / "cat.png", noise(4, 4))


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write(tmp_path / "cat.png", noise(4, 4))
    assert (tmp_path / "cat.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("letter", ["x", "ü", "\N{GRINNING FACE}", "\udcff"])
def test_a_name_as_long_as_names_may_be_is_written_and_spoken_for(tmp_path: Path, letter: str) -> None:
    """Neither what is half written nor what stands beside it has a longer one."""
    path = tmp_path / f"{letter * (251 // len(os.fsencode(letter)))}.png"
    write(path, noise(8, 8))
    stamp.put_beside(path, path, json.dumps({"retouch": "1"}))
    assert stamp.is_beside(path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_was_made_for_a_file_goes_with_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "new/deep/cat.png"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    (tmp_path / "old").mkdir()
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "old/cat.png"):
        raise KeyboardInterrupt
    assert [each.name for each in tmp_path.rglob("*")] == ["old"]


def test_a_folder_that_another_has_removed_meanwhile_is_made_again(tmp_path: Path, monkeypatch) -> None:
    made = atomic.make_folder

    def and_removed(folder: Path) -> list[Path]:
        monkeypatch.setattr(atomic, "make_folder", made)
        found = made(folder)
        folder.rmdir()
        return found

    monkeypatch.setattr(atomic, "make_folder", and_removed)
    with replacing(tmp_path / "new/cat.txt") as file:
        file.write(b"cat")
    assert (tmp_path / "new/cat.txt").read_bytes() == b"cat"


@pytest.mark.parametrize("before", ["", "made", "of another run"])
def test_a_run_that_is_stopped_leaves_one_journal_and_no_empty_folder(tmp_path: Path, before: str) -> None:
    journal, out = RunJournal(()), tmp_path / "out"
    folders = {out / "new": 1, tmp_path / "other/new": 2, out: 3}
    journal._results, journal._saved, journal._failed = folders, dict.fromkeys(folders, 0), dict.fromkeys(folders, 0)
    if before:
        (out / "new").mkdir(parents=True)
    if before == "of another run":
        journal_of(out / "new").add("run", run="another")

    def stopped() -> None:
        with journal.going():
            assert all((folder / NAME).exists() for folder in folders)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    left = {str(each.relative_to(tmp_path)) for each in tmp_path.rglob(NAME)}
    assert left == ({f"out/{NAME}", f"out/new/{NAME}"} if before else {f"out/{NAME}"})
    assert not (tmp_path / "other").exists()
    assert (out / "new").exists() == bool(before)
