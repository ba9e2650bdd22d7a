"""Editing of things seen from many sides: posed photographs, one field that explains them all, and any turn on all."""

from retouch import hookimpl


@hookimpl
def retouch_stages():
    """Every stage of this package."""
    from retouch.api import stages_in

    return stages_in(__name__)


@hookimpl
def retouch_port_types():
    """Photographs with their cameras, what they show in space, and a part of that."""
    from retouch_scenes.field import Field
    from retouch_scenes.views import Views
    from retouch_scenes.volume import Volume

    return [Views, Field, Volume]
