"""The options of a node, each with where its value comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.check.reading.calls import StageCall
from retouch.check.reading.files import fields_of
from retouch.check.reading.given import Given
from retouch.check.reading.option_values import REFUSED
from retouch.check.reading.variants import PICTURES
from retouch.check.wiring.endings import check_endings
from retouch.graph.ports import PICTURE_AXIS, READERS, SEED, WRITERS, turn_options
from retouch.lang import syntax as s
from retouch.paths import is_file, resolved
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
        if option.name == "path" and call.card.takes(*READERS) and not (option.kind.optional and given.value is None):
            given = _read(given, call, context, setting, turn)
        elif option.name == "path" and call.card.takes(*WRITERS):
            given = _write(given, call, context, setting, turn)
        elif option.required and given.value is None:
            what, mend = f"needs '{option.name}'", f"write {option.name}=…"
            if call.card.takes("Pretrained"):
                what, mend = "needs a network to look with", f'write {call.card.name} "folder" before it'
            context.report.add("RT223", call.span, stage=call.card.name, what=what, mend=mend)
        found[option.name] = given
    return found | check_endings(call, found, context) if call.card.takes(*WRITERS) else found


def origins(card: StageCard, setting: TurnSettings) -> dict[str, str]:
    """Return the origins of the turn's options that this stage uses."""
    return {name: setting.of(option).origin for name, option in turn_options(card).items()}


def _given(option: Option, call: StageCall, setting: TurnSettings) -> Given:
    own = call.given.get(option.name)
    if own is None and call.card.output == "Guidance" and option.name == "guidance":
        return setting.of(option)
    return setting.precedence.of(option, setting.model, (call.card.name,), own)


def _read(given: Given, call: StageCall, context: Context, setting: TurnSettings, turn: int) -> Given:
    """The file that a stage reads: the picture that it opens, or one besides, whose path may name the picture."""
    if call.card.family != "open":
        path = None
        if not given.value:
            mend = f'write "{call.card.family}.png"' if call.card.takes("Pictures") else 'write "style.safetensors"'
            context.report.add("RT223", call.span, stage=call.card.name, what="needs a file", mend=mend)
        elif given.value is not REFUSED and (
            text := context.files.filled(given, given.value, fields(context, setting, turn))
        ):
            # A path that names a picture which is not known yet, or one of many, may name a file that comes with it.
            named = {"name", "index"}.intersection(fields_of(given.value))
            sure = not named or not (context.many or (context.item and not context.item.known))
            path = context.files.to_read(given, text, sure=sure, fields=fields(context, setting, turn))
            if path and call.card.takes("Pictures") and call.card.output != "Mask" and is_file(path):
                context.files.check_readable(path, given)  # masks are held to the size of their picture later
        return Given(str(path), given.span, given.origin, given.source)
    picture = context.picture(call)
    if picture is None:
        return given
    where = given if given.value else Given(picture.path.name, call.span, "command line")
    context.opened[str(picture.path)] = where
    context.files.check_picture(picture, where)
    return Given(str(picture.path), given.span, given.origin if given.value else "command line")


def _write(given: Given, call: StageCall, context: Context, setting: TurnSettings, turn: int) -> Given:
    """The file that a stage writes: as the recipe names it, as the command line does, or by what the result is of."""
    world, item = context.world, context.item
    if given.value and not is_whole(call, context):
        path = context.files.to_write(given, given.value, fields(context, setting, turn))
        return Given(str(path or given.value), given.span, given.origin)
    if call.card.family != "save":
        mend = f'write {call.card.family} "out.png"'
        context.report.add("RT223", call.span, stage=call.card.name, what="needs a file", mend=mend)
        return given
    place = given.span if given.value else call.span
    if world.output and not world.to_folder:
        named = str(world.output)
        option = Given(named, s.Span(len("-o "), len(f"-o {named}")), "command line", f"-o {named}")
        known = fields(context, setting, turn)
        odd = context.files.is_foreign(option, named, known, written=True)
        path = resolved(Path((None if odd else context.files.filled(option, named, known)) or named))
        return Given(str(path), place, "command line")
    parts = [item.name if item else "result", *context.choices.fields_but_pictures()]
    kind = "-mask" if call.card.method == "mask" else "" if world.output else "-edited"
    number = context.number(call.span)
    name = f"{'-'.join(parts)}{kind}{f'-{number}' if number > 1 else ''}.png"
    # Pictures of one name would else take each other's place.
    here = world.here / str(item.index) if world.apart and item else world.here
    path = resolved((world.output or here) / name)
    return Given(str(path), place, "command line" if world.output else "engine")


def is_whole(call: StageCall, context: Context) -> bool:
    """Whether the file that -o names takes the place of the one that a stage would write."""
    world, unnamed = context.world, "path" not in call.given
    saves = call.card == world.registry.default("save") or (unnamed and call.card.family == "save")
    return saves and world.output is not None and not world.to_folder


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
        told[PICTURE_AXIS] = context.item.name if context.item else ""
    for axis in context.choices.axes.values():
        is_picture = PICTURES in axis.labels
        if not named & (pictures if is_picture else axis.labels.keys()):
            told[PICTURE_AXIS if is_picture else ", ".join(axis.labels)] = axis.label
    return {"axes": tuple(told.items())}
