"""Where the store lies, and how large it may grow: the folder `store` of the user's cache.

`RETOUCH_STORE` says how many gigabytes it may hold, 10 unless said, or "off"; `RETOUCH_CACHE` moves it or turns it off.
"""

from __future__ import annotations

import os

from retouch.models import user_cache
from retouch.run.store.blobs import Store

VARIABLE, GIGABYTES = "RETOUCH_STORE", 10.0


def store() -> Store | None:
    """The user's store, there or not; None where the user wants none.  Raises ValueError for a size that is none."""
    base, said = user_cache.folder(), os.environ.get(VARIABLE, "").strip()
    if base is None or said.lower() == "off":
        return None
    try:
        limit = float(said or GIGABYTES)
        if not 0 < limit < 1e9:
            raise ValueError(limit)
    except ValueError:
        raise ValueError(f"{VARIABLE} takes gigabytes, such as 20, or off, and this is '{said}'") from None
    return Store(base / "store", int(limit * 1e9))
