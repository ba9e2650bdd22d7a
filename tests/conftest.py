"""What holds for all tests: none writes to the user's cache."""

from __future__ import annotations

import os

os.environ["RETOUCH_CACHE"] = "off"
