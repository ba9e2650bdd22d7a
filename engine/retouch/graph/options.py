"""The options of a node, each with where its value comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from retouch.cards import Option, StageCard
from retouch.graph.calls import Call, Given
from retouch.graph.ports import SEED, turn_options
from retouch.graph.values import REFUSED
from retouch.lang import syntax as s

if TYPE_CHECKING:
    from retouch.graph.context import Context
    from retouch.graph.settings import Setting


def resolve(call: Call, context: Context, setting: Setting, turn: int) -> dict[str, Given]:
    """Every option of the stage: as written on it, as its turn says, or by default."""
    found: dict[str, Given] = {}
    for option in call.card.options:
        if call.card.family == "open" and option.name == "caption":
            found[option.name] = Given(option.default, s.NOWHERE, "signature")  # it decides prompts, not pixels
            continue
        given = _given(option, call, setting)
        if option.name == "path" and call.card.takes("Pictures"):
            given = _read(given, call, context)
        elif option.name == "path" and call.card.takes("Outbox"):
            given = _write(given, call, context, setting, turn)
        elif option.required and given.value is None:
            what, mend = f"needs '{option.name}'", f"write {option.name}=…"
            context.report.add("RT223", call.span, stage=call.card.name, what=what, mend=mend)
        found[option.name] = given
    return found


def origins(card: StageCard, setting: Setting) -> dict[str, str]:
    """Where the turn's options come from that this stage uses."""
    return {name: setting.of(option).origin for name, option in turn_options(card).items()}


def _given(option: Option, call: Call, setting: Setting) -> Given:
    if option.name in call.given:
        return call.given[option.name]
    if call.card.output == "Guidance" and option.name == "guidance":
        return setting.of(option)
    return setting.defaults.of(option, setting.model, (call.card.name,))


def _read(given: Given, call: Call, context: Context) -> Given:
    if call.card.family != "open":
        path = context.files.to_read(given) if given.value else None
        if not given.value:
            context.report.add("RT223", call.span, stage=call.card.name, what="needs a file", mend='write "mask.png"')
        return Given(str(path), given.span, given.origin)
    picture = context.picture(call)
    if picture is None:
        return given
    size = call.given.get("size")
    size_value = size.value if size and size.value is not REFUSED else 0
    where = given if given.value else Given(picture.path.name, call.span, "command line")
    context.files.check_picture(picture, size_value, context.model, where)
    return Given(str(picture.path), given.span, given.origin if given.value else "command line")


def _write(given: Given, call: Call, context: Context, setting: Setting, turn: int) -> Given:
    world = context.world
    whole = world.output is not None and not world.to_folder and call.card == world.registry.default("save")
    if given.value and not whole:
        path = context.files.to_write(given, fields(context, setting, turn))
        found = Given(str(path or given.value), given.span, given.origin)
    else:
        place = given.span if given.value else call.span
        path = _unnamed(context, call.card.method)
        found = Given(str(path), place, "command line" if world.output else "engine")
    context.places[found.value] = found.span
    return found


def fields(context: Context, setting: Setting, turn: int) -> dict[str, object]:
    """What `{…}` in a path stands for."""
    item = context.item
    known = {"name": item.name, "index": item.index} if item else {}
    return {**known, "turn": turn, "seed": setting.of(SEED).value}


def _unnamed(context: Context, method: str) -> Path:
    """The file of a result that the recipe does not name."""
    world, item = context.world, context.item
    if world.output and not world.to_folder:
        return world.output.resolve()
    context.names_taken += 1
    name = item.name if item else "result"
    mask = "-mask" if method == "mask" else "" if world.output else "-edited"
    number = f"-{context.names_taken}" if context.names_taken > 1 else ""
    return ((world.output or world.here) / f"{name}{mask}{number}.png").resolve()
