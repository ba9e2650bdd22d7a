"""Whether a stage can work on the model that it is given, by what its card says of models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from retouch.check.reading.calls import StageCall
from retouch.lang.diagnostics import Report
from retouch.plugins.signatures import StageCard

if TYPE_CHECKING:
    from retouch.models.catalog import ModelInfo

SAID = {"epsilon": "noise", "v_prediction": "diffusion's velocity", "flow": "a flow's velocity"}


def check_model(call: StageCall, model: ModelInfo, report: Report) -> None:
    """Report a stage that needs another kind of prediction, or numbers that the model does not read."""
    card = call.card
    mend = f"use '{card.instead}', or another model" if card.instead else "use another model"
    if card.predicts and model.prediction not in card.predicts:
        has = SAID[model.prediction]
        report.add("RT320", call.span, stage=card.name, wanted=wanted(card), model=model.name, has=has, mend=mend)
    if missing := unread(card, model.known.told):
        reads = ", ".join(f"'{name}'" for name in model.known.told)
        label = f"'{model.name}' reads {reads or 'no number'} beside the time"
        report.add("RT321", call.span, label=label, stage=card.name, model=model.name, name=missing[0], mend=mend)


def wanted(card: StageCard) -> str:
    """What a model has to predict for this stage, in words."""
    return " or ".join(SAID[kind] for kind in card.predicts)


def unread(card: StageCard, told: Iterable[str]) -> list[str]:
    """The numbers that a stage tells the model, and that a model which is told these does not read."""
    return [name for name in card.told if name not in told]
