"""What was read of a file is kept while the file stays as it was, and no longer."""

from __future__ import annotations

import os
from pathlib import Path
from time import time_ns

import pytest

from retouch import paths
from retouch.models.files import digest
from retouch.models.files.digest import fingerprint
from retouch.paths import content, unchanged


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ten seconds later than it is."""
    monkeypatch.setattr(paths, "time_ns", lambda: time_ns() + 10**10)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (path := tmp_path / "file.py").write_bytes(b"one")
    return path


def test_what_was_changed_a_moment_ago_may_change_again_unseen(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "time_ns", lambda: file.stat().st_ctime_ns + 1)
    assert unchanged(file) is None
    os.utime(file, ns=(0, 0))  # the time of a copy is its original's
    assert unchanged(file) is None


@pytest.mark.parametrize("read", [content, lambda path: fingerprint([path])], ids=["content", "fingerprint"])
def test_another_text_of_that_length_and_time_is_seen(file: Path, later: None, read) -> None:
    before, stamp = read(file), file.stat().st_mtime_ns
    assert read(file) is before
    file.write_bytes(b"two")
    os.utime(file, ns=(stamp, stamp))
    assert read(file) != before


@pytest.mark.parametrize("read", [content, lambda path: fingerprint([path])], ids=["content", "fingerprint"])
def test_another_file_in_its_place_is_seen(file: Path, later: None, read) -> None:
    before = read(file)
    (other := file.with_name("other")).write_bytes(b"two")
    other.replace(file)
    assert read(file) != before
    file.unlink()
    with pytest.raises(FileNotFoundError):
        read(file)


def test_weights_are_read_once(file: Path, later: None, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = list[object]()
    monkeypatch.setattr(digest, "_read", lambda paths: str(reads.append(paths)))
    for _ in range(3):
        fingerprint([file])
    assert len(reads) == 1
    assert unchanged(file.parent) is None
