"""A folder of files as few archives, each below a size."""

import tarfile
from pathlib import Path

LIMIT = 15 * 2**20  # bytes, headers included


def pack(folder: Path, out: Path, name: str, limit: int = LIMIT) -> list[Path]:
    """Put the files of a folder into OUT/NAME.0.tar, NAME.1.tar, …; unpacked in one place they are the folder again.

    Raises ValueError for a file that fits none.
    """
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: -_room(path))
    bins: list[list[Path]] = []
    for file in files:
        if _room(file) + 10240 > limit:
            raise ValueError(f"{file.name} has {file.stat().st_size} bytes, more than an archive of {limit} holds")
        fitting = (each for each in bins if sum(map(_room, [*each, file])) + 10240 <= limit)
        found = next(fitting, None)
        if found is None:
            bins.append([file])
        else:
            found.append(file)
    out.mkdir(parents=True, exist_ok=True)
    archives = [out / f"{name}.{i}.tar" for i in range(len(bins))]
    for archive, members in zip(archives, bins, strict=True):
        with tarfile.open(archive, "w") as tar:
            for member in members:
                tar.add(member, arcname=f"{name}/{member.relative_to(folder)}")
    return archives


def _room(path: Path) -> int:
    return path.stat().st_size + 2048  # its header, and the block that it ends in
