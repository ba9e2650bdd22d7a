"""What the engine's own modules keep for everyone: the functions that stages are computed with."""

from __future__ import annotations

from collections.abc import Mapping

import PIL.Image
import PIL.ImageFile

from retouch.core import attention, denoiser, levels, recorded, schedule, solvers, tuning, values, walk
from retouch.core.awaited import requests
from retouch.core.declared import touches
from retouch.plugins.surroundings.thing import Thing, names

_OURS = (attention, denoiser, levels, recorded, requests, schedule, solvers, touches, tuning, values, walk)
_CLASSES = [
    each
    for module in _OURS
    for each in vars(module).values()
    if getattr(each, "__module__", "") == module.__name__ and isinstance(each, type)
]

OF_RETOUCH: Mapping[str, Thing] = {
    "how pictures are written": names(PIL.Image.Image),
    "how large pictures may be": names(PIL.Image, only=("MAX_IMAGE_PIXELS", "open")),
    "whether half a picture is one": names(PIL.ImageFile, only=("LOAD_TRUNCATED_IMAGES", "MAXBLOCK")),
    "a function of retouch": names(*_OURS, *_CLASSES),
}
