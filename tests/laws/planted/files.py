"""Figures and files that other pictures would not have, or that nobody hears of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from retouch.api import Ending, Figures, Image, Outbox, SourceImage, stage
from tests.laws.planted.faults import planted


@planted("figures are put for each picture, and here none are")
@stage("measure", "a")
def measures_nothing(image: Image, figures: Figures, *, path: Annotated[str, Ending(".csv")]) -> None: ...


@planted("'mean' is Tensor, and a figure is a float")
@stage("measure", "a")
def measures_a_tensor(image: Image, figures: Figures, *, path: Annotated[str, Ending(".csv")]) -> None:
    figures.put({"mean": image.data.mean()})  # pyright: ignore[reportArgumentType]


@planted("the columns were ['psnr'], and for another picture []")
@stage("measure", "a")
def measures_only_what_changed(
    image: Image, source: SourceImage, figures: Figures, *, path: Annotated[str, Ending(".csv")]
) -> None:
    gap = float((image.data - source.data).square().mean())
    figures.put({"psnr": gap} if gap else {})


@planted("was written past the outbox")
@stage("save", "a")
def opens_the_file_itself(image: Image, outbox: Outbox, *, path: Annotated[str, Ending(".txt")]) -> None:
    Path(path).write_text("mine")


@planted("it declares no ending")
@stage("save", "a")
def declares_no_ending(image: Image, outbox: Outbox, *, path: str) -> None:
    with outbox.file(path) as file:
        file.write(b"mine")


@planted("the disk was full, and nothing was raised")
@stage("save", "a")
def swallows_a_full_disk(image: Image, outbox: Outbox, *, path: Annotated[str, Ending(".txt")]) -> None:
    try:
        with outbox.file(path) as file:
            file.write(b"mine")
    except OSError:
        pass


@planted("the same picture gave another file")
@stage("save", "a")
def writes_the_time(image: Image, outbox: Outbox, *, path: Annotated[str, Ending(".json")]) -> None:
    WRITTEN.append(0)
    with outbox.file(path) as file:
        file.write(json.dumps(len(WRITTEN)).encode())


WRITTEN: list[int] = []
