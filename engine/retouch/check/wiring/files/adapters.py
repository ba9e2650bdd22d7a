"""Files of LoRA and of tuned weights that a stage reads: held to the model by headers, before anything loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.check.reading.calls import StageCall
from retouch.check.wiring.files.fitting_files import fitted
from retouch.check.wiring.files.tunings import tuned_by
from retouch.graph.nodes import FromNode, Input, Node
from retouch.lang.diagnostics import Report

if TYPE_CHECKING:
    from retouch.models.info import ModelInfo


def check_tuned(
    call: StageCall,
    values: Mapping[str, Any],
    inputs: Mapping[str, Input],
    makers: Mapping[str, Node],
    model: ModelInfo,
    report: Report,
) -> None:
    """Report a file of tuned weights that is of another network, and one that leaves nothing of what was tuned before.

    Of what is saved: report a model that no stage has tuned, or that is a mix.
    """
    card, given = call.card, inputs.get("model")
    maker = makers.get(given.id) if isinstance(given, FromNode) else None
    if card.takes("Outbox") and card.takes("Denoiser"):
        tunings = list(tuned_by(makers, given))
        moving = [node for node in tunings if not _reads_lora(node)]
        if maker is None or not moving:
            what = "a LoRA file stands beside the model, which is as it was" if maker else "nothing before it tunes one"
            report.add("RT456", call.span, what=what, mend="tune it first, by 'tune diffusionclip'")
        elif maker.card.takes("TunedWeights") and not _alone(maker.options) and maker.options.get("mix") != "weights":
            what = "a mix of two networks is no set of weights"
            report.add("RT456", call.span, what=what, mend="save each of them by itself")
        elif card.name == "save lora" and (whole := next((node for node in moving if not _of_low_rank(node)), None)):
            report.add("RT464", call.span, other=whole.card.name, notes=(("tuned here", whole.span),))
    if not card.takes("TunedWeights"):
        return
    if maker and not _reads_lora(maker) and _alone(values):
        notes = (("tuned here", maker.span),)
        report.add("RT457", call.span, stage=card.name, other=maker.card.name, notes=notes)
    fitted(call, values, model, report, "RT455", _check_tuned)


def _reads_lora(maker: Node) -> bool:
    """Whether what tunes the model is a file beside it, and not something that was learnt."""
    return maker.card.takes("Adapters") and bool(maker.options.get("path"))


def _of_low_rank(maker: Node) -> bool:
    """Whether what a stage learns is of low rank under its options: so that it can stand in a LoRA file."""
    return maker.card.takes("Adapters") or maker.options.get("weights") == "low_rank"


def check_learnt_words(
    call: StageCall, inputs: Mapping[str, Input], makers: Mapping[str, Node], report: Report
) -> None:
    """Report a stage that says in prompts what was learnt, where nothing has learnt words."""
    if call.card.family != "tune" or call.card.output != "Edit" or not call.card.takes("Denoiser"):
        return
    tunings = list(tuned_by(makers, inputs.get("model")))
    if not any(node.card.prompts or _file_has_words(node) for node in tunings):
        what = f"'{tunings[0].card.name}' learns none" if tunings else "nothing before it tunes the model"
        report.add("RT458", call.span, stage=call.card.name, what=what)


def _file_has_words(node: Node) -> bool:
    """Whether tuned weights out of a file come with words; of one that cannot be read nothing is known."""
    if not node.card.takes("TunedWeights"):
        return False
    from retouch.models.errors import BrokenModel
    from retouch.models.tuned_weights import with_words

    try:
        return with_words(Path(str(node.options.get("path"))))
    except (BrokenModel, OSError):
        return True


def _alone(values: Mapping[str, Any]) -> bool:
    """Whether the weights are all that is asked, throughout the walk."""
    return [values.get(name) for name in ("ratio", "start", "until", "mix")] == [1, 0, 1, "shares"]


def check_adapters(call: StageCall, values: Mapping[str, Any], model: ModelInfo, report: Report) -> None:
    """Report a file that is no LoRA of this model, and tell of what it holds that the denoiser does not take."""
    if not (call.card.takes("Adapters") and call.card.output == "Denoiser"):
        return
    if left := fitted(call, values, model, report, "RT434", _left_beside):
        shown, name = call.given["path"], Path(str(values["path"])).name
        report.add("RT432", shown.span, source=shown.source, name=name, count=len(left), first=left[0])
    from retouch.models.lora.fitting import said_of_another

    if left is not None and (whose := said_of_another(model, Path(str(values["path"])))):
        shown = call.given["path"]
        place = {"span": shown.span, "source": shown.source}
        report.add("RT463", **place, path=Path(str(values["path"])).name, whose=whose, model=model.family)


def _check_tuned(model: ModelInfo, path: Path) -> None:
    from retouch.models.tuned_weights import check

    check(model, path)


def _left_beside(model: ModelInfo, path: Path) -> Sequence[str]:
    from retouch.models.lora.fitting import left_beside
    from retouch.models.lora.layers import Lora

    return left_beside(model, Lora(path))
