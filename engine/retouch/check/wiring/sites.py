"""Controls and recordings that meet no site of the model: they would do nothing, and nobody would know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retouch.check.reading.flows import StageCall
from retouch.core.declared.touches import Touch
from retouch.lang.diagnostics import Report

if TYPE_CHECKING:
    from retouch.models.family import Described
    from retouch.models.info import ModelInfo

_SITES = {"self": "self-attention", "cross": "cross-attention", "resnet": "residual blocks"}


def check_sites(call: StageCall, values: Mapping[str, Any], model: ModelInfo, report: Report) -> None:
    """Report the first touch of a stage that meets no site of the model.  values: of the stage's options."""
    options = {option.parameter: values.get(option.name) for option in call.card.options}
    for written in (*call.card.touches, *call.card.reads):
        touch = written.bound(options)
        if not touch.meets(model.sites):
            label = f"{model.name} ({model.family}) has no {asked(touch, model.known)}"
            names = {option.parameter: option.name for option in call.card.options}
            scales = sorted({site.scale for site in model.sites if site.kind == touch.kind})
            bounds = [bound for bound in written.scale if isinstance(bound, str)]
            if bounds and scales:
                mend = f"give {names[bounds[-1]]}={' or '.join(map(str, scales))}"
            elif isinstance(written.until, str):
                mend = f"give {names[written.until]}=0, to do without it"
            else:
                mend = "choose another stage or another model"
            report.add("RT325", call.span, label=label, stage=call.card.name, model=model.name, mend=mend)
            return


def asked(touch: Touch, known: Described) -> str:
    """What a touch asks for, in words."""
    words, cells = [_SITES[touch.kind]], "latent cells" if known.space else "pixels"
    least, most = touch.scale
    if (least, most) != (1, 64):
        words.append(f"at {least} {cells} a token" if least == most else f"at {least} to {most} {cells} a token")
    if touch.place != "*":
        words.append(f"on the way {touch.place}" if touch.place != "mid" else "in the middle")
    if touch.sites:
        words.append(f"called {touch.sites}")
    return " ".join(words)
