"""Trying a plugin's stages on a small random network: whether each runs, and evaluates the rows that its card says."""

from __future__ import annotations

from collections.abc import Iterator

from retouch.plugins.interrupts import is_stop
from retouch.plugins.registry import PluginError, Registry
from retouch.plugins.signatures import StageCard


def trials(plugin: str, found: Registry) -> Iterator[tuple[str, str, str]]:
    """Return for each stage of the plugin its name, what came of it, and what to do if that is wrong."""
    for card in found.cards:
        if card.plugin == plugin:
            yield (f"stage {card.name}", *_tried(card, found))


def _tried(card: StageCard, found: Registry) -> tuple[str, str]:
    from retouch.testing import laws
    from retouch.testing.worlds import tiny_world

    mend = f"mend '{card.function}' in {card.file}:{card.line}"
    if card.output is None or any(option.required for option in card.options):
        return "it was read, and not tried: it needs a file or options of a recipe", ""
    try:
        rows = laws.rows_law(found.function(card), tiny_world(steps=4), facts={"guide": 1})
    except AssertionError as err:
        return f"the rows that it declares are wrong: {err}", mend
    except PluginError as err:
        return f"it cannot be used: {err}", mend
    except BaseException as err:
        if is_stop(err):
            raise
        # Values that only recipes make, such as a scene: no fault of the stage.
        if str(err).startswith("a world has no"):
            return f"it was read, and not tried: {err}", ""
        return f"it failed on a small random network: {type(err).__name__}: {err}".splitlines()[0], mend
    return f"it ran, and evaluated {rows} rows as it declares", ""
