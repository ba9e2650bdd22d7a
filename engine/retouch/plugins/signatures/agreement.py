"""Whether a card says what the imported function does: the card was read, the function is real."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from retouch.plugins.signatures.signature import StageCard


def differences(card: StageCard, function: Callable[..., Any]) -> list[str]:
    """Compare the card with the imported function; empty when they agree."""
    return list(_differences(card, inspect.signature(function)))


def _differences(card: StageCard, signature: inspect.Signature) -> Iterator[str]:
    parameters = signature.parameters.values()
    ports = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
    if ports != tuple(port.name for port in card.ports):
        yield f"its ports are {', '.join(ports) or 'none'}"
    options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    if list(options) != [option.parameter for option in card.options]:
        yield f"its options are {', '.join(options) or 'none'}"
        return
    for option in card.options:
        real = options[option.parameter]
        stated = inspect.Parameter.empty if option.required else option.default
        if (tuple(real) if isinstance(real, list) else real) != stated:
            yield f"the default of '{option.name}' is {real!r}"
