"""What holds for all tests: none writes to the user's cache, and none fails because the machine is busy."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ["RETOUCH_CACHE"] = "off"
settings.register_profile("retouch", deadline=None)  # the clock on the wall says nothing of one example
settings.load_profile("retouch")
