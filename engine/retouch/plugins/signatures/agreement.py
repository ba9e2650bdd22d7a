"""Whether a card says what the imported function does: the card was read, the function is real."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from retouch.plugins.signatures.signature import StageCard


def differences(card: StageCard, function: Callable[..., Any]) -> list[str]:
    """Compare the card with the imported function; empty when they agree."""
    found: list[str] = []
    parameters = inspect.signature(function).parameters.values()
    ports = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
    if ports != tuple(port.name for port in card.ports):
        found.append(f"its ports are {', '.join(ports) or 'none'}")
    options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    if list(options) != [option.parameter for option in card.options]:
        return [*found, f"its options are {', '.join(options) or 'none'}"]
    for option in card.options:
        real = options[option.parameter]
        stated = inspect.Parameter.empty if option.required else option.default
        if (tuple(real) if isinstance(real, list) else real) != stated:
            found.append(f"the default of '{option.name}' is {real!r}")
    return found
