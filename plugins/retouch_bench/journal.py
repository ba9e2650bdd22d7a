"""What was measured so far: lines of JSON, each whole, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]
Place = tuple[Any, ...]  # of `bench quality` edit, inversion, editor


class Journal:
    """The newest record of each place, which without more is an edit with a pair.

    A record's `key` says what it depends on: where that has changed, the record no longer counts.
    """

    def __init__(self, path: Path, place: Callable[[Record], Place] | None = None) -> None:
        self._path, self._place = path, place or place_of
        self._records: dict[Place, Record] = {}
        if path.exists():
            # Take whole lines; cut off a last one that a kill left unfinished
            data = self._path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):
                with self._path.open("r+b") as file:
                    file.truncate(len(whole))
            records = [json.loads(line) for line in whole.splitlines()]
            self._records = {self._place(record): record for record in records}

    def at(self, place: Place) -> Record | None:
        """The record of a place, if there is one."""
        return self._records.get(place)

    def of(self, edits: Collection[str]) -> dict[Place, Record]:
        """The records of some edits."""
        return {place: record for place, record in self._records.items() if place[0] in edits}

    def add(self, records: Iterable[Record]) -> None:
        """Append records, all of them at once."""
        records = list(records)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
            file.flush()
            os.fsync(file.fileno())
        self._records.update({self._place(record): record for record in records})


def place_of(record: Record) -> Place:
    """Which edit with which pair."""
    return record["edit"], record["inversion"], record["editor"]


def key_of(record: Record) -> Place:
    """All that a record depends on, where that is its place."""
    return tuple(record.get("key", ()))


def find(records: Mapping[Place, Record], place: Place, key: str) -> Record | None:
    """The record of this very work, if it was done."""
    record = records.get(place)
    return record if record and record["key"] == key else None
