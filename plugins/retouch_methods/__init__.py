"""The methods that ship with retouch, one file each, through the same door as anybody's."""

from retouch.api import hookimpl, stages_in


@hookimpl
def retouch_stages():
    """Every stage of this package."""
    return stages_in(__name__)
