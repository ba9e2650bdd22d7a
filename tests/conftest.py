"""What holds for all tests: none writes to the user's cache, and none fails because the machine is busy."""

from __future__ import annotations

import gc
import os

from hypothesis import settings

os.environ["RETOUCH_CACHE"] = "off"
settings.register_profile("retouch", deadline=None)  # the clock on the wall says nothing of one example
settings.load_profile("retouch")


def pytest_collection_finish() -> None:
    """What is imported and collected by now stays: no collection of garbage looks through it again."""
    gc.collect()
    gc.freeze()
