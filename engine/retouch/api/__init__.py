"""Everything a plugin may import: here what stages are made of, in submodules what families of models and tools need.

Nothing else of retouch is promised to stay.  Importing this package or `retouch.api.families` loads no torch: names
come when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retouch.api._stages import *  # noqa: F403 (for type checkers: the names that come when asked)


def __getattr__(name: str) -> Any:
    """Load what stages are made of."""
    if name.startswith("_") and name != "__all__":
        raise AttributeError(f"module 'retouch.api' has no attribute '{name}'")
    try:
        value = getattr(import_module("retouch.api._stages"), name)
    except AttributeError:
        raise AttributeError(f"module 'retouch.api' has no attribute '{name}'") from None
    globals()[name] = import_module("retouch.api._examples").shown(name, value)
    return value
