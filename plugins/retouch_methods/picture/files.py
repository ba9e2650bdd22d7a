"""Pictures, masks and latents from and to files."""

from __future__ import annotations

from typing import Annotated, Literal

from retouch.api import (
    Ending,
    Frame,
    Image,
    Latents,
    Mask,
    Outbox,
    Pictures,
    Range,
    Sheet,
    on_host,
    safetensors_file,
    stage,
)


@stage("open", "image", default=True)
def open_image(
    pictures: Pictures, *, path: str = "", caption: str = "", size: Annotated[int, Range(0, 8192, "pixels")] = 0
) -> Image:
    """Read a picture.

    path: the file; without one, the picture that the command line names.
    caption: what the picture shows; edits replace words of it.
    size: the most pixels of the longer side, 0 for the picture's own; smaller pictures are not enlarged.
    """
    return pictures.image(path, size)


@stage("save", "image", default=True, facts={"parts": 1})
def save_image(
    image: Image,
    outbox: Outbox,
    *,
    path: Annotated[str, Ending("picture")] = "",
    quality: Annotated[int, Range(1, 100, "percent"), Ending("picture:quality")] | None = None,
    size: Annotated[int, Range(0, 8192, "pixels")] = 0,
    keep: tuple[Literal["exif", "gps", "dpi", "profile", "xmp", "text", "all"], ...] | None = None,
) -> None:
    """Write the picture, with the recipe that made it inside.

    path: the file, whose ending decides the format; fields such as {name} stand for the source's name.
    quality: of JPEG, 95 by default, and of WebP, which loses nothing without one.
    size: the most pixels of the longer side, 0 for the picture's own; smaller pictures are not enlarged.
    keep: what the source said that stays: "exif" (date, copyright, camera), "gps" (where it was taken), "dpi",
        "profile" (its colours), "xmp", "text" (of other programs), or "all"; [] keeps nothing and says nothing of it.
    """
    outbox.image(path, image, quality=quality, size=size, keep=keep)


@stage("save", "mask")
def save_mask(mask: Mask, frame: Frame, outbox: Outbox, *, path: Annotated[str, Ending("picture")]) -> None:
    """Write the mask as a grey picture of the source's size: white where the picture is edited.

    path: the file, whose ending decides the format.
    """
    outbox.mask(path, mask.pixels(*frame.size))


@stage("save", "latents")
def save_latents(latents: Latents, outbox: Outbox, *, path: Annotated[str, Ending(".safetensors")]) -> None:
    """Write the latents as they are now, as safetensors under the key "latents": [C, h, w], scaled.

    path: the file.
    """
    canvas, recipe = latents.canvas, outbox.stamp(path)
    said = {"height": str(canvas.height), "width": str(canvas.width), "scale": str(canvas.scale)}
    tensors = {"latents": latents.data.detach().cpu().contiguous()}
    with outbox.file(path) as file:
        file.write(safetensors_file(tensors, said | ({"retouch": recipe} if recipe else {})))


@stage("sheet", "contact", default=True)
async def contact(image: Image, sheet: Sheet, *, path: Annotated[str, Ending("picture")]) -> None:
    """Lay results out side by side: the last list that the path does not name makes columns, those before it rows.

    path: the file; a field such as {name} makes a sheet for each of its values.
    """
    sheet.place(Image(await on_host(image.data), image.alpha))
