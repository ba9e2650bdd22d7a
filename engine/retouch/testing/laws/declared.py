"""That the host can read a stage, and that it makes what it declares: what a run would refuse, told by a test."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from retouch.plugins.signatures.reading import read_module
from retouch.run.strangers.results import Declared, check_size
from retouch.run.strangers.wrong_results import NotFinite, WrongResult
from retouch.testing.worlds import World

Stage = Callable[..., Any]
_PICTURES = ("Image", "SourceImage", "Latents", "SourceLatents", "Frame")


def card_law(stage: Stage) -> None:
    """Hosts read it without running it, as recipes are checked: what `retouch plugins` would tell."""
    function: Any = inspect.unwrap(stage)
    if (file := _file(function)) is None:
        return
    lines, first = inspect.getsourcelines(function)
    _, faults = read_module(file, function.__module__, "")
    wrong = [fault for fault in faults if first <= fault.line < first + len(lines) or fault.facts["stage"] == "@stage"]
    assert not wrong, f"no recipe can use it: {wrong[0].facts['what']} ({file.name}, line {wrong[0].line})"


def result_law(stage: Stage, world: World, made: Any) -> None:
    """What it makes has the type, shape, dtype and range that its signature declares."""
    function: Any = inspect.unwrap(stage)
    if (file := _file(function)) is None:
        return
    cards, _ = read_module(file, function.__module__, "")
    card = next(card for card in cards if card.function == function.__name__)
    try:
        for doubt in Declared(card.output, world.latents.data.device.type).check(made):
            if not bool(doubt.fine):
                raise doubt.error
        check_size(made, [world.image, world.latents] if card.takes(*_PICTURES) else [])
    except (WrongResult, NotFinite) as wrong:
        raise AssertionError(str(wrong) or "it made values that are not finite") from None


def _file(function: Any) -> Path | None:
    """Where the text of a stage is; None of one that a test makes, which no host would find either."""
    file = inspect.getsourcefile(function)
    return Path(file) if file and "<locals>" not in function.__qualname__ and Path(file).is_file() else None
