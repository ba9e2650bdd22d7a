"""The options of a node, each with where its value comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.check.reading.calls import StageCall
from retouch.check.reading.files import fields_of
from retouch.check.reading.given import Given
from retouch.check.reading.option_values import REFUSED
from retouch.check.reading.variants import PICTURES
from retouch.graph.ports import SEED, WRITERS, turn_options
from retouch.lang import syntax as s
from retouch.plugins.signatures import Option, StageCard

if TYPE_CHECKING:
    from retouch.check.wiring.context import Context
    from retouch.check.wiring.turn_settings import TurnSettings
    from retouch.models.catalog import ModelInfo


def resolve(call: StageCall, context: Context, setting: TurnSettings, model: ModelInfo, turn: int) -> dict[str, Given]:
    """Return every option of the stage: as written on it, as its turn says, or by default."""
    found: dict[str, Given] = {}
    for option in call.card.options:
        if call.card.family == "open" and option.name == "caption":
            found[option.name] = Given(option.default, s.NOWHERE, "signature")  # it decides prompts, not pixels
            continue
        given = _given(option, call, setting)
        if option.name == "path" and call.card.takes("Pictures"):
            given = _read(given, call, context, setting, turn)
        elif option.name == "path" and call.card.takes(*WRITERS):
            given = _write(given, call, context, setting, turn)
        elif option.required and given.value is None:
            what, mend = f"needs '{option.name}'", f"write {option.name}=…"
            context.report.add("RT223", call.span, stage=call.card.name, what=what, mend=mend)
        found[option.name] = given
    return found


def origins(card: StageCard, setting: TurnSettings) -> dict[str, str]:
    """Return the origins of the turn's options that this stage uses."""
    return {name: setting.of(option).origin for name, option in turn_options(card).items()}


def _given(option: Option, call: StageCall, setting: TurnSettings) -> Given:
    own = call.given.get(option.name)
    if own is None and call.card.output == "Guidance" and option.name == "guidance":
        return setting.of(option)
    return setting.precedence.of(option, setting.model, (call.card.name,), own)


def _read(given: Given, call: StageCall, context: Context, setting: TurnSettings, turn: int) -> Given:
    if call.card.family != "open":
        return Given(str(_beside(given, call, context, setting, turn)), given.span, given.origin, given.source)
    picture = context.picture(call)
    if picture is None:
        return given
    where = given if given.value else Given(picture.path.name, call.span, "command line")
    context.opened[str(picture.path)] = where
    context.files.check_picture(picture, where, alone=not context.many)
    return Given(str(picture.path), given.span, given.origin if given.value else "command line")


def _beside(given: Given, call: StageCall, context: Context, setting: TurnSettings, turn: int) -> Path | None:
    """A file that a stage reads besides its picture; its path may name that picture."""
    if not given.value or given.value is REFUSED:
        if not given.value:
            context.report.add("RT223", call.span, stage=call.card.name, what="needs a file", mend='write "mask.png"')
        return None
    known = fields(context, setting, turn)
    text = context.files.filled(given, given.value, known)
    named = {"name", "index"}.intersection(fields_of(given.value))
    sure = not named or not (context.many or (context.item and not context.item.known))
    return context.files.to_read(given, text, sure=sure) if text else None


def _write(given: Given, call: StageCall, context: Context, setting: TurnSettings, turn: int) -> Given:
    world, saves = context.world, call.card.family == "save"
    whole = world.output is not None and not world.to_folder and call.card == world.registry.default("save")
    if given.value and not whole:
        path = context.files.to_write(given, given.value, fields(context, setting, turn))
        return Given(str(path or given.value), given.span, given.origin)
    if not saves:
        mend = f'write {call.card.family} "out.png"'
        context.report.add("RT223", call.span, stage=call.card.name, what="needs a file", mend=mend)
        return given
    place = given.span if given.value else call.span
    return Given(str(_unnamed(context, call)), place, "command line" if world.output else "engine")


def fields(context: Context, setting: TurnSettings, turn: int) -> dict[str, object]:
    """Return the text of each `{…}` in a path."""
    item, seed = context.item, setting.of(SEED).value
    known = {"name": item.name, "index": item.index} if item else {}
    return {**context.choices.fields(), **known, "turn": turn, "seed": seed}


def cell(call: StageCall, context: Context) -> dict[str, Any]:
    """Where a result stands in a file of many: its picture, and its items of the lists that the path does not name."""
    named = set(fields_of(call.given["path"].value if "path" in call.given else ""))
    pictures = {"name", "index", PICTURES}
    told: dict[str, str] = {}
    if context.item in context.world.pictures and len(context.world.pictures) > 1 and not named & pictures:
        told["picture"] = context.item.name if context.item else ""
    for axis in context.choices.axes.values():
        is_picture = PICTURES in axis.labels
        if not named & (pictures if is_picture else axis.labels.keys()):
            told["picture" if is_picture else ", ".join(axis.labels)] = axis.label
    return {"axes": tuple(told.items())}


def _unnamed(context: Context, call: StageCall) -> Path:
    """Return the file of a result that the recipe does not name."""
    world, item = context.world, context.item
    if world.output and not world.to_folder:
        return world.output.resolve()
    parts = [item.name if item else "result", *context.choices.fields_but_pictures()]
    mask = "-mask" if call.card.method == "mask" else "" if world.output else "-edited"
    number = context.number(call.span)
    name = f"{'-'.join(parts)}{mask}{f'-{number}' if number > 1 else ''}.png"
    return ((world.output or world.here) / name).resolve()
