"""What acts in a walk alone, in a turn whose picture is made without one."""

from __future__ import annotations

from retouch.check.wiring.turns import TurnStages
from retouch.lang.diagnostics import Report

_INSTEAD = {
    "Blend": "give '{maker}' the mask, and write 'blend pixel' behind it",
    "AttentionControl": "leave it out, or edit by a walk: invert ddim",
    "Rule": "leave it out, or edit by a walk: invert ddim",
    "Guidance": "leave it out, or edit by a walk: invert sdedit",
}


def check_walk(turn: TurnStages, report: Report) -> bool:
    """Report controls, blends, solvers and guidances by gradient that no step of a walk would ever ask."""
    maker = next((call for call in turn.everything if call.card.edits_latents), None)
    if maker is None:
        return True
    # What does something in the steps of a walk alone.
    idle = [
        call
        for call in turn.everything
        if call.card.output in ("AttentionControl", "Blend", "Rule")
        or (call.card.output == "Guidance" and call.card.takes("Guidance"))
    ]
    for call in idle:
        mend = _INSTEAD[call.card.output or ""].format(maker=maker.card.name)
        notes = (("this makes the picture", maker.span),)
        report.add("RT580", call.span, stage=call.card.name, maker=maker.card.name, mend=mend, notes=notes)
    return not idle
