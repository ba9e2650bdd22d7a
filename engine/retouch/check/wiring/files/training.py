"""Pictures that a stage learns from: found, allowed and looked at before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from retouch.check.reading.calls import StageCall
from retouch.check.reading.given import Given
from retouch.check.wiring.insertions import Insertions
from retouch.graph.nodes import FromEngine, Input, Picture
from retouch.graph.ports import TRAINING
from retouch.pictures.standing import digest

if TYPE_CHECKING:
    from retouch.check.wiring.context import Context


def with_training(
    inputs: Mapping[str, Input],
    call: StageCall,
    options: Mapping[str, Given],
    context: Context,
    insert: Insertions,
) -> dict[str, Input]:
    """Say in the inputs which pictures the option `pictures` names; without any, the turn's own is put in.

    How many there are stands under the port's name, so that the stage can tell its cost.  A stage that reads from
    a file what it would learn is given nothing to learn by: it is the same work for every picture and every seed.
    """
    if call.card.takes("Adapters") and (path := options.get("path")) and path.value:
        needed = {port.name for port in call.card.ports if not port.optional}
        return {name: each for name, each in inputs.items() if name in needed}
    given = options.get("pictures")
    port = next(port.name for port in call.card.ports if port.type == TRAINING)
    if not isinstance(inputs.get(port), FromEngine):
        return dict(inputs)
    if given is None or not given.value:
        return {**inputs, port: insert.own_picture(call.card.name, call.span)}
    learnt = _found(given, str(given.value), context)
    return {**inputs, port: FromEngine(TRAINING, {port: len(learnt), "learnt": learnt})}


def _found(given: Given, pattern: str, context: Context) -> tuple[tuple[str, str], ...]:
    """The place and the digest of each file, in the order of their names: of one, of a pattern, or of a folder."""
    files = context.files
    names = files.matching(given, pattern) if files.is_pattern(pattern) else files.pictures_of(given, pattern)
    places: list[Path] = []
    for name in names:
        if place := files.to_read(given, name):
            files.check_picture(Picture(place), given)
            places.append(place)
    return tuple((str(place), digest(place)) for place in places if place.is_file())
