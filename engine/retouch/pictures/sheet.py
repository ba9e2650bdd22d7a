"""Contact sheets: pictures in rows and columns, each row and column with its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

MOST_PIXELS = 512  # of a cell's longer side; larger pictures are made smaller
LEAST_PIXELS = 128  # smaller pictures are enlarged by a whole number, so that they can be seen
GAP, INK, PAPER, EMPTY = 8, "black", "white", "#e4e4e4"
WIDEST = 12  # columns of a sheet with one list

Cell = tuple[str, str]  # row, column


def draw(cells: Mapping[Cell, NDArray[np.uint8]], rows: Sequence[str], columns: Sequence[str]) -> NDArray[np.uint8]:
    """A sheet [H, W, 3] of pictures [h, w, 3]; a cell without a picture says so."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(14)
    shown = {place: _fitted(Image.fromarray(picture)) for place, picture in cells.items()}
    if len(rows) == 1 and len(columns) > WIDEST:
        return np.asarray(_wrapped(shown, rows[0], columns, font))
    wide = max([image.width for image in shown.values()], default=LEAST_PIXELS)
    tall = max([image.height for image in shown.values()], default=LEAST_PIXELS)
    wide = max(wide, *(_width(font, column) for column in columns))
    left = max(_width(font, row) for row in rows) + (GAP if any(rows) else 0)
    top = 20 if any(columns) else 0
    size = (left + len(columns) * (wide + GAP) + GAP, top + len(rows) * (tall + GAP) + GAP)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for x, column in enumerate(columns):
        pen.text((left + GAP + x * (wide + GAP), 4), column, INK, font)
    for y, row in enumerate(rows):
        pen.text((GAP // 2, top + GAP + y * (tall + GAP) + tall // 2 - 8), row, INK, font)
        for x, column in enumerate(columns):
            _put(sheet, shown.get((row, column)), (left + GAP + x * (wide + GAP), top + GAP + y * (tall + GAP)))
    return np.asarray(sheet)


def _wrapped(shown: Mapping[Cell, Image], row: str, columns: Sequence[str], font: FreeTypeFont | ImageFont) -> Image:
    """One long row as several, each picture under its own label."""
    from PIL import Image, ImageDraw

    wide = max([LEAST_PIXELS, *(image.width for image in shown.values()), *(_width(font, c) for c in columns)])
    tall = max([LEAST_PIXELS, *(image.height for image in shown.values())]) + 20
    lines = -(-len(columns) // WIDEST)
    sheet = Image.new("RGB", (WIDEST * (wide + GAP) + GAP, lines * (tall + GAP) + GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    for place, column in enumerate(columns):
        y, x = divmod(place, WIDEST)
        corner = (GAP + x * (wide + GAP), GAP + y * (tall + GAP))
        pen.text(corner, column, INK, font)
        _put(sheet, shown.get((row, column)), (corner[0], corner[1] + 20))
    return sheet


def _put(sheet: Image, picture: Image | None, corner: tuple[int, int]) -> None:
    from PIL import ImageDraw

    if picture is not None:
        sheet.paste(picture, corner)
        return
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((*corner, corner[0] + LEAST_PIXELS - 1, corner[1] + LEAST_PIXELS - 1), EMPTY)
    pen.text((corner[0] + GAP, corner[1] + GAP), "no result", INK)


def _fitted(image: Image) -> Image:
    from PIL.Image import Resampling

    longer = max(image.size)
    if longer < LEAST_PIXELS:
        times = -(-LEAST_PIXELS // longer)
        return image.resize((image.width * times, image.height * times), Resampling.NEAREST)
    if longer > MOST_PIXELS:
        return image.resize([max(1, side * MOST_PIXELS // longer) for side in image.size], Resampling.LANCZOS)
    return image


def _width(font: FreeTypeFont | ImageFont, text: str) -> int:
    return int(font.getlength(text)) + 1 if text else 0
