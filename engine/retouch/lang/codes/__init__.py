"""The one table of diagnostic codes; each phase owns a range."""

from retouch.lang.codes.code import Code
from retouch.lang.codes.folders import FOLDERS
from retouch.lang.codes.journals import JOURNALS
from retouch.lang.codes.models import MODELS
from retouch.lang.codes.names import NAMES
from retouch.lang.codes.planning import PLANNING
from retouch.lang.codes.plugins import PLUGINS
from retouch.lang.codes.running import RUNNING
from retouch.lang.codes.text import TEXT
from retouch.lang.codes.wiring import WIRING

CODES: dict[str, Code] = {**TEXT, **NAMES, **WIRING, **PLANNING, **MODELS, **RUNNING, **FOLDERS, **JOURNALS, **PLUGINS}

__all__ = ["CODES", "Code"]
