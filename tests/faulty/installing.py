"""Distributions of one module on a path, and the runs that they must not disturb."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.command import Ran, retouch

NEIGHBOURS = """open "cat.png" | invert ddim "cat"->"dog" steps=2 | mask box right=50% | blend latent | save "one.png"
open "cat.png" | mask box right=50% bottom=50% | save mask "two.png"
"""


def install(
    site: Path, name: str, source: str | None, *, requires: str = "", version: str = "0.1", entry: str = ""
) -> None:
    """Put a distribution on a path, with one module that it announces.  entry: announces something else instead."""
    if source is not None:
        (site / f"f_{name}.py").write_text(source)
    info = site / f"f_{name}-{version}.dist-info"
    info.mkdir()
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: f_{name}\nVersion: {version}\n{needs}")
    announced = entry or f"f_{name} = f_{name}"
    (info / "entry_points.txt").write_text(f"[retouch.plugins]\n{announced}\n", encoding="utf-8")


def run(folder: Path, recipe: str, *more: str) -> Ran:
    return retouch("run", "-e", recipe, "--exact", "--stamp", "none", "--force", *more, folder=folder)
