"""A result in the hands of a script: a picture of Pillow's that remembers how it was made."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, cast

from PIL import Image

from retouch.core.values import Image as Pixels
from retouch.pictures import About, How, Unwritable, formats
from retouch.pictures.atomic import replacing
from retouch.pictures.stamp import WORK
from retouch.pictures.writing import Refused, encode
from retouch.run.files.outbox import drawn


class EditedImage(Image.Image):
    """A picture that a recipe made: its `save` writes the recipe inside, as the command line does.

    What Pillow makes of it (`resize`, `crop`, `convert` …) is a picture like any other, of which no recipe tells.
    """

    told: Mapping[str, str] = MappingProxyType({})  # what it says of itself
    about: About = About()  # what its source said

    @classmethod
    def of(cls, image: Pixels, told: Mapping[str, str], about: About) -> EditedImage:
        """The picture of a value, with its alpha."""
        return cls._like(drawn(image), told, about)

    @classmethod
    def _like(cls, image: Image.Image, told: Mapping[str, str], about: About) -> EditedImage:
        made = cls()
        made.__setstate__([image.info, image.mode, image.size, image.getpalette(), image.tobytes()])
        made.told, made.about = dict(told), about
        return made

    def copy(self) -> EditedImage:
        """The same picture, with what it says of itself."""
        return self._like(self, self.told, self.about)

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process with what it says of itself."""
        return EditedImage._like, (super().copy(), dict(self.told), self.about)

    def save(
        self,
        fp: Any,
        format: str | None = None,
        *,
        quality: int | None = None,
        size: int = 0,
        keep: Collection[str] = (),
        **params: Any,
    ) -> None:
        """Write it to a path, whole or not at all, or to an open file, in the format of the ending or of `format`.

        quality, size, keep: as of the stage `save`.  Other parameters, and formats that it lacks, are Pillow's.
        Raises Unwritable, a ValueError.
        """
        path = Path(fp) if isinstance(fp, str | os.PathLike) else None
        found = formats.of_key(format.upper().replace("JPG", "JPEG")) if format else path and formats.of_file(path)
        plain = super().copy()
        # What retouch does not write itself is Pillow's affair, and says nothing of how it was made.
        if found is None or not found.written:
            plain.save(fp, format, **({"quality": quality} if quality else {}), **params)
            return
        how = How(quality, size, self.about.only(keep))
        told = self._told(path.name if path else "", quality=quality, size=size, keep=list(keep) or None)
        try:
            if path is None:
                encode(cast("BinaryIO", fp), plain, found, told, how, **params)
            else:
                with replacing(path) as file:
                    encode(file, plain, found, told, how, **params)
        except (OSError, Refused) as why:
            raise Unwritable.of(str(fp), why) from None

    def _told(self, name: str, **options: Any) -> Mapping[str, str]:
        """What it says of itself in a file of this name, written with these options."""
        if "stages" not in self.told:
            return self.told
        stages = cast("list[dict[str, Any]]", json.loads(self.told["stages"]))
        for stage in stages:
            if stage["id"] == self.told["result"]:
                known = {key: value for key, value in options.items() if key in stage["options"] and value}
                same = Path(str(stage["options"].get("path"))).suffix == Path(name).suffix and not known
                stage["options"] |= {"path": name, **known}
                # Saved otherwise than the recipe says it is another work, which no run would come to.
                told = self.told if same else {key: text for key, text in self.told.items() if key != WORK}
                return {**told, "stages": json.dumps(stages)}
        return self.told
