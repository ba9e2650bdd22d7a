"""Files that many results share: contact sheets and tables, written when all that could come has come."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from retouch import pictures
from retouch.core.values import Image
from retouch.graph.nodes import Graph
from retouch.graph.places import Axes, Beside, shared_places
from retouch.pictures import sheet, stamp
from retouch.pictures.atomic import replacing
from retouch.run.files.outbox import as_bytes, put_signed

Signed = Callable[[bytes], bytes]


class SharedFile(Protocol):
    """A file in the making, and the places of all results in it."""

    places: list[Axes]

    def at(self, axes: Axes) -> Any:
        """The place of one result in it, as a stage is given it."""
        ...

    @property
    def empty(self) -> bool:
        """Whether no result came."""
        ...

    def has(self, axes: Axes) -> bool:
        """Whether the result of this place came."""
        ...

    def entries(self) -> list[Any]:
        """What results put into it, as data that another process can put into its own."""
        ...

    def put(self, entry: Any) -> None:
        """Put in what another process was given."""
        ...

    def write(self, path: Path, metadata: Mapping[str, str], signed: Signed | None = None) -> tuple[str, ...]:
        """Write it, signed if it is to be, and return what a user should know of it."""
        ...


@dataclass(slots=True)
class _Sheet:
    places: list[Axes]
    cells: dict[sheet.Cell, np.ndarray] = field(default_factory=dict[sheet.Cell, np.ndarray])

    @property
    def empty(self) -> bool:
        return not self.cells

    def has(self, axes: Axes) -> bool:
        return _cell(axes) in self.cells

    def entries(self) -> list[Any]:
        # Workers send them through a pipe; the lowest level costs least, and pictures of a sheet are small.
        return [(cell, pixels.shape, zlib.compress(pixels.tobytes(), 1)) for cell, pixels in self.cells.items()]

    def put(self, entry: Any) -> None:
        cell, shape, data = entry
        self.cells[cell] = np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)

    def at(self, axes: Axes) -> _Place:
        return _Place(lambda image: self.cells.__setitem__(_cell(axes), as_bytes(image.data.permute(1, 2, 0))))

    def write(self, path: Path, metadata: Mapping[str, str], signed: Signed | None = None) -> tuple[str, ...]:
        # In the recipe's order, and those of refused pictures too: the sheet shows what is missing.
        rows = list(dict.fromkeys(_cell(axes)[0] for axes in self.places))
        columns = list(dict.fromkeys(_cell(axes)[1] for axes in self.places))
        drawn = sheet.draw(self.cells, rows, columns)
        if signed is None:
            return pictures.write(path, drawn, metadata=metadata)
        return pictures.write(path, drawn, metadata=metadata, ended=lambda file: put_signed(file, signed))


@dataclass(frozen=True, slots=True)
class _Place:
    place: Callable[[Image], None]


@dataclass(slots=True)
class _Table:
    places: list[Axes]
    lines: dict[Axes, Mapping[str, float]] = field(default_factory=dict[Axes, Mapping[str, float]])

    @property
    def empty(self) -> bool:
        return not self.lines

    def has(self, axes: Axes) -> bool:
        return axes in self.lines

    def entries(self) -> list[Any]:
        return [(axes, dict(figures)) for axes, figures in self.lines.items()]

    def put(self, entry: Any) -> None:
        axes, figures = entry
        self.lines[axes] = figures

    def at(self, axes: Axes) -> _Line:
        def put(figures: Mapping[str, float]) -> None:
            self.lines[axes] = {**self.lines.get(axes, {}), **figures}

        return _Line(put)

    def write(self, path: Path, metadata: Mapping[str, str], signed: Signed | None = None) -> tuple[str, ...]:
        names = list(dict.fromkeys(name for axes in self.places for name, _ in axes))
        # In the order of the places: lines come as pictures end, and from several workers.
        columns = list(dict.fromkeys(name for axes in self.places for name in self.lines.get(axes, ())))
        text = io.StringIO()
        if metadata:  # in the first line, which readers of tables are told to leave out
            text.write(f"# {stamp.KEY} {stamp.fit(metadata)[0]}\n")
        out = csv.writer(text, lineterminator="\n")
        out.writerow([*names, *columns])
        for axes in dict.fromkeys(self.places):
            # A line without figures would read as if everything had been measured as nothing.
            if (figures := self.lines.get(axes)) is not None:
                told = dict(axes)
                numbers = [figures.get(column) for column in columns]
                out.writerow([*(told.get(name, "") for name in names), *(_number(each) for each in numbers)])
        with replacing(path) as file:
            file.write(text.getvalue().encode())
        return ()


@dataclass(frozen=True, slots=True)
class _Line:
    put: Callable[[Mapping[str, float]], None]


def _cell(axes: Axes) -> sheet.Cell:
    """The row and the column of a result."""
    labels = [label for _, label in axes] or [""]
    return " · ".join(labels[:-1]), labels[-1]


def _number(value: float | None) -> str:
    # Six digits: behind them is what float32 rounds.
    return "" if value is None else f"{value:.6g}"


_KINDS: Mapping[str, Callable[[list[Axes]], SharedFile]] = {"Sheet": _Sheet, "Figures": _Table}


class SharedFiles:
    """All shared files of a run; what goes into each is known before anything runs.

    refused: pictures that do not run, with those that do and go through the same flows.  Their places stay empty.
    """

    def __init__(self, graphs: Iterable[Graph], refused: Beside | None = None) -> None:
        self.places = shared_places(graphs, refused or {})
        self.made: dict[str, SharedFile] = {
            path: _KINDS[places[0].type]([place.axes for place in places]) for path, places in self.places.items()
        }

    def at(self, settings: Mapping[str, Any]) -> Any:
        """What the port of a stage is given."""
        return self.made[settings["path"]].at(settings["axes"])

    def entries(self) -> list[tuple[str, list[Any]]]:
        """What results put into each file, as data."""
        return [(path, file.entries()) for path, file in self.made.items() if not file.empty]

    def put(self, entries: Iterable[tuple[str, list[Any]]]) -> None:
        """Put in what results of another process put into theirs."""
        for path, given in entries:
            for entry in given:
                self.made[path].put(entry)
