"""An example of every name of `retouch.api`, which `help` shows below its docstring; each is run by a test.

They lie in `examples.txt`.  There `world` is `retouch.testing.worlds.tiny_world(steps=2)`, and `run` drives what
a stage would await.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def examples() -> dict[str, str]:
    """Each name with its example, as an interactive session."""
    _, *parts = re.split(r"^# (\w+)\n", files("retouch.api").joinpath("examples.txt").read_text("utf-8"), flags=re.M)
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


def shown(name: str, value: Any) -> Any:
    """The value, with its example at the end of its docstring; what has none of its own stays as it is."""
    said, example = getattr(value, "__doc__", None), examples().get(name)
    if example and said and example not in said:
        with suppress(AttributeError, TypeError):  # names of types have none that may be written
            value.__doc__ = f"{said.rstrip()}\n\n{example}\n"
    return value
