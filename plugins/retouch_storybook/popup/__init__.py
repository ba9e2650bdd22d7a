"""The drawn world as a pop-up book: one scene from many sides, and the exact picture of every edit of it from each."""

from retouch_storybook.popup.book import PopUp, angles, region
from retouch_storybook.popup.edits import EDITS, KINDS, SCENES, SpaceEdit
from retouch_storybook.popup.folder import write_views

__all__ = ["EDITS", "KINDS", "SCENES", "PopUp", "SpaceEdit", "angles", "region", "write_views"]
