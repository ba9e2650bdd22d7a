"""What was measured, told at once and kept in files that are whole after every figure."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from retouch_bench.speed.budget import LeftOut
from retouch_bench.speed.table import line, tables

Row = dict[str, Any]


class SpeedReport:
    """Rows by section, with what they were measured on; each is said, and written down, as it comes."""

    def __init__(self, folder: Path, about: Mapping[str, Any], say: Callable[[str], None]) -> None:
        self.folder, self.about, self.say = folder, about, say
        self.sections: dict[str, list[Row]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._write()

    @property
    def data(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {"about": dict(self.about), "sections": self.sections}

    @property
    def markdown(self) -> str:
        """Everything, as tables."""
        return tables(self.about, self.sections)

    def add(self, section: str, row: Row) -> None:
        """Say a row, and write all that there are."""
        self.sections.setdefault(section, []).append(row)
        self.say(f"{section}: {line(row)}")
        self._write()

    def attempt(self, section: str, what: Mapping[str, Any], measure: Callable[[], Mapping[str, Any]]) -> Row | None:
        """Measure a row; where that fails, the row says why, and None comes back."""
        row: Row = dict(what)
        try:
            row |= measure()
        except LeftOut as why:
            row["left_out"] = str(why)
        except Exception as why:  # a row that fails leaves the others
            said = str(why).strip().splitlines()
            row["failed"] = f"{type(why).__name__}: {said[0][:200] if said else ''}".rstrip(": ")
        failed = "left_out" in row or "failed" in row
        if failed:
            release()
        self.add(section, row)
        return None if failed else row

    def _write(self) -> None:
        for name, text in (("speed.json", json.dumps(self.data, indent=1)), ("speed.md", self.markdown)):
            unfinished = self.folder / f"{name}.unfinished"
            unfinished.write_text(text + "\n", encoding="utf-8")
            unfinished.replace(self.folder / name)


def release() -> None:
    """Give memory that nobody holds back to the device, so that a peak is the next measurement's own."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
