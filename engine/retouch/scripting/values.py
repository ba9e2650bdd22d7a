"""What scripts give to recipes, as recipes write it."""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

DIGITS = 40  # of the largest number that a recipe may write


class Spelt(ABC):
    """What a recipe writes neither as a text nor as a number."""

    @property
    @abstractmethod
    def spelt(self) -> str:
        """As a recipe writes it where a value stands."""


def spelt(value: Any) -> str:
    """A value as a recipe writes it.  TypeError for what no recipe has, ValueError for a number that none may write."""
    value = plain(value)
    if isinstance(value, Spelt):
        return value.spelt
    if isinstance(value, list):
        return f"[{', '.join(map(spelt, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a recipe has no number such as {value}: give one that is finite")
    if isinstance(value, int) and abs(value) >= 10**DIGITS:
        raise ValueError(f"a recipe has no number of more than {DIGITS} digits: give a smaller one")
    if isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=False)
    holds = "give a text, a number, a list, an edit or a flow"
    if value is None:
        holds += ", or leave out what is not to be said"
    elif getattr(value, "shape", ()) or hasattr(value, "getbands"):
        holds = "a picture is given when the flow is called: flow = retouch.invert.ddim(…) | …; flow(picture)"
    raise TypeError(f"a recipe has no value such as {shown_in_words(value)}: {holds}")


def plain(value: Any) -> Any:
    """Numbers of numpy or torch as Python's, several and tuples as lists, a path as its text; others as they are."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, os.PathLike):
        return Path(value).as_posix()
    axes = getattr(value, "shape", None)
    return value.tolist() if axes is not None and len(axes) < 2 and hasattr(value, "tolist") else value


def shown_in_words(value: Any) -> str:
    """A value as a message has it: of an array or a long text its type alone."""
    shown = repr(value)
    return shown if len(shown) < 80 and "\n" not in shown else f"{type(value).__module__}.{type(value).__name__}"
