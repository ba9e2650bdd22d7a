"""Endings of the files that stages write: each stage declares its own, and options may be for some of them alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from retouch.check.reading.calls import StageCall
from retouch.check.reading.given import Given
from retouch.graph.origins import DEFAULTS, SIGNATURE
from retouch.lang import syntax as s
from retouch.pictures import formats
from retouch.plugins.signatures import StageCard

if TYPE_CHECKING:
    from retouch.check.wiring.context import Context


def check_endings(call: StageCall, options: Mapping[str, Given], context: Context) -> dict[str, Given]:
    """Report a file that the stage does not write, and options that are not for such files.

    Return the options without those lines of `defaults` that are for other files.
    """
    path = options.get("path")
    if path is None or not isinstance(path.value, str) or not path.value:
        return {}
    ending = Path(path.value).suffix.lower()
    if not may_end(call.card, path.value):
        _report(call, path, ending, context)
        return {}
    found: dict[str, Given] = {}
    for option in call.card.options:
        given, fitting = options[option.name], formats.endings(option.kind.endings)
        if option.name == "path" or not fitting or ending in fitting or given.value == option.default:
            continue
        if given.origin == DEFAULTS.name:  # said for all stages, and so for those that have it
            found[option.name] = Given(option.default, s.NOWHERE, SIGNATURE.name)
            continue
        wanted = formats.listed(fitting)
        context.report.add("RT426", given.span, source=given.source, name=option.name, ending=ending, wanted=wanted)
    return found


def may_end(card: StageCard, path: str) -> bool:
    """Whether a stage writes a file of this ending; one that declares none writes any."""
    option = card.option("path")
    known = formats.endings(option.kind.endings) if option else ()
    return not known or Path(path).suffix.lower() in known


def possible(card: StageCard) -> tuple[str, ...]:
    """The endings that a stage's file may have."""
    option = card.option("path")
    return formats.endings(option.kind.endings) if option else ()


def _report(call: StageCall, path: Given, ending: str, context: Context) -> None:
    output, known = context.world.output, possible(call.card)
    own = call.given.get("path")
    if output is not None and not context.world.to_folder and (own is None or path.origin == "command line"):
        span, source, lead, text = s.Span(3, 3 + len(str(output))), f"-o {output}", "-o ", str(output)
        shown = f"{lead}{Path(text).with_suffix(known[0])}"
    else:
        span, source = path.span, path.source
        text = own.value if own and isinstance(own.value, str) else Path(path.value).name
        name = text[: len(text) - len(ending)]
        shown = f'"{name}{"{name}" if not name or name.endswith("/") else ""}{known[0]}"'
    others = [card for card in context.world.registry.cards if card.family == call.card.family and card != call.card]
    writers = [card.name for card in others if ending and ending in possible(card)]
    mend = f"write {shown}; it may end in {formats.listed(known)}"
    mend += f", and '{writers[0]}' writes {ending}" if writers else ""
    what = f"writes no {ending} file" if ending else "goes by the ending of its file, and this has none"
    context.report.add("RT425", span, source=source, stage=call.card.name, what=what, mend=mend)
