"""Which stage a family and a method name."""

from __future__ import annotations

import json

from retouch.check.reading.names import NameScope
from retouch.check.reading.variants import label
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.lang.words import FAMILIES, KEYWORDS
from retouch.near import near
from retouch.plugins.registry import Registry, claimed
from retouch.plugins.signatures import StageCard
from retouch.plugins.uninstalled import how_to_install

_REPLACING = 'an edit stands behind an inversion: invert edit_friendly "cat"->"dog"'
_EVERYDAY = {  # by what people call it who have not seen a recipe yet
    **dict.fromkeys(("replace", "change", "swap", "edit", "turn", "make", "transform"), _REPLACING),
    **dict.fromkeys(("remove", "delete", "erase"), 'what goes has a minus, behind an inversion: invert ddim -"hat"'),
    **dict.fromkeys(("add", "insert"), 'what comes has a plus, behind an inversion: invert ddim +"a red hat"'),
    **dict.fromkeys(("inpaint", "fill"), 'write mask box right=50% | invert ddim "cat"->"dog" | blend latent'),
    **dict.fromkeys(("resize", "scale", "shrink"), "open size=64 makes it smaller, upscale factor=2 larger"),
}


def resolve_stage(stage: s.Stage, registry: Registry, scope: NameScope, report: Report) -> StageCard | None:
    """Return the stage's card; None, and a diagnostic, if there is not exactly one."""
    family = stage.family.name
    if not registry.methods(family):
        _no_family(stage, registry, scope, report)
        return None
    if stage.methods:
        span = stage.methods[0].span.to(stage.methods[-1].span)
        alone = len(stage.methods) == 1
        word = stage.methods[0] if alone else scope.choices.take(span, family, stage.methods, label)
        return _method(word, family, registry, scope, report)
    card = registry.default(family)
    if card is None:
        report.add("RT203", stage.family.span, family=family, mend=", ".join(registry.methods(family)))
    return card


def _no_family(stage: s.Stage, registry: Registry, scope: NameScope, report: Report) -> None:
    family, span = stage.family.name, stage.family.span
    name = scope.get(family)
    if name:
        name.used = True
        mend = f"'{family}' is a flow: begin with it: {family} | …" if name.is_flow else f"'{family}' is a value"
        report.add("RT201", span, name=family, mend=mend)
    elif scope.is_below(family):
        scope.find(stage.family)
    else:
        owner = next((f for f in registry.families if family in registry.methods(f)), None)
        known = [*registry.families, "model", *KEYWORDS, *scope.known()]
        method = stage.methods[0].name if stage.methods else family
        mend = _wrong(registry, family, method) or (f"write {owner} {family}" if owner else "")
        mend = mend or how_to_install(family) or _EVERYDAY.get(family, "") or near(family, known)
        report.add("RT201", span, name=family, mend=mend or f"families: {', '.join(registry.families)}")


def _method(word: s.Word, family: str, registry: Registry, scope: NameScope, report: Report) -> StageCard | None:
    found = registry.candidates(family, word.name)
    if len(found) == 1:
        return found[0]
    if found:
        a, b = (card.plugin for card in found[:2])
        report.add("RT903", word.span, **claimed(family, word.name, a, b))
    elif word.name in FAMILIES:
        report.add("RT104", word.span, word=word.name)
    else:
        mend = _wrong(registry, family, word.name) or how_to_install(family, word.name)
        if registry.find(word.name, family):
            mend = mend or f"write {word.name} {family}"
        mend = mend or near(word.name, registry.methods(family))
        mend = mend or f"methods: {', '.join(registry.methods(family))}"
        default = registry.default(family)
        if (name := scope.get(word.name)) is not None:
            name.used = True
            if default and default.operand == "flow":
                mend = f"write {family} ({word.name})"
            elif name.made:
                mend = f"it is a def: {family} … | {word.name}(…)"
            else:
                operand = (default.operand if default else None) or ""
                option = {"edit": "edit", "path": "path", "text": "name"}.get(operand, "option")
                mend = f"write {word.name} | {family} …" if name.is_flow else f"write {option}={word.name}"
        elif "." in word.name or (default and default.operand in ("path", "text")):
            mend += f"; if it is text, put it in quotes: {json.dumps(word.name)}"
        report.add("RT202", word.span, family=family, name=word.name, mend=mend)
    return None


def _wrong(registry: Registry, family: str, method: str) -> str:
    """Where a stage of this name is that cannot be used, if an installed plugin has one."""
    fault = registry.faulty(family, method)
    return f"'{fault.plugin}' has it, and cannot be used as it is ({fault.code}, {fault.place})" if fault else ""
