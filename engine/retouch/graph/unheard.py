"""What nobody hears of prompts: words beyond the last that a model reads, differences without a token, weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from retouch.core.errors import SameToTheModel
from retouch.graph.nodes import FromEngine, FromNode, Graph, Node
from retouch.lang.diagnostics import Report
from retouch.lang.syntax import Span
from retouch.models.prompts.tokens import Tokens
from retouch.plugins.signatures.signature import EDIT_PORTS

_ROLES = {"text", "source", "target", "negative"}
_SHOWN = 80  # characters of what is not read


class Hearing(Protocol):
    """Who knows what a model reads of a text: its encoders, or its vocabularies alone."""

    def heard(self, text: str) -> Tokens:
        """What is read of a text, and what not."""
        ...


def edits(node: Node) -> Iterator[FromEngine]:
    """The edits that a stage is given and that change words or give them weight.

    Not those that are read anew with words which a vocabulary lacks: what they are to the model is not known here.
    """
    if any(port.type == "TextEncoder" and isinstance(node.inputs.get(port.name), FromNode) for port in node.card.ports):
        return
    for _, edge in node.edges():
        if isinstance(edge, FromEngine) and edge.type == "Edit":
            said = edge.settings
            if said["source"] != said["target"] or said["weights"]:
                yield edge


def difference_lost(texts: Hearing, edit: FromEngine) -> SameToTheModel | None:
    """Why nothing would be edited, if the model reads the same tokens before and after."""
    source, target = (texts.heard(edit.settings[role]) for role in ("source", "target"))
    if not (source.ids or target.ids):  # of any text: the check has told what that means
        return None
    read = edit.settings["target"][: max(end for _, end in target.spans)].casefold()
    if source.ids != target.ids or any(words.casefold() in read for words, _ in edit.settings["weights"]):
        return None
    if source.dropped or target.dropped:
        stop = _first_word(source.dropped or target.dropped)
        return SameToTheModel(f", since it stops reading at '{stop}'", "put what changes further to the front")
    return SameToTheModel("", "use words that it tells apart; capitals and blanks are none to most models")


def check_weights(graph: Graph, report: Report) -> None:
    """Report weights of words that no control of their flow gives them: a prompt says words, and not how strongly."""
    nodes = [node for node in graph.nodes if any(edge.settings["weights"] for edge in edits(node))]
    controls = [node for node in graph.nodes if _weighs(node)]
    given = [edge for node in controls for _, edge in node.edges()]
    if any(isinstance(edge, FromNode) and graph.node(edge.id).card.output == "Edit" for edge in given):
        return  # made anew of the turn's, with its weights
    heard = [edge.settings["weights"] for node in controls for edge in edits(node)]
    told = set[str]()
    for node in nodes:
        turn = [each for each in graph.nodes if each.turn == node.turn]
        place, walks = (
            min((each.span for each in turn if _reads(each)), key=lambda span: span.start),
            any(map(_walks, turn)),
        )
        for edge in edits(node):
            for words, weight in edge.settings["weights"] if edge.settings["weights"] not in heard else ():
                if words not in told and weight != 1:
                    told.add(words)
                    mend = f"add 'attend p2p', or leave out *{weight:g}" if walks else f"leave out *{weight:g}"
                    report.add("RT246", place, words=words, weight=f"{weight:g}", mend=mend)


def _reads(node: Node) -> bool:
    """Whether a stage that the recipe says is given prompts of its turn."""
    return any(isinstance(edge, FromEngine) and edge.type in EDIT_PORTS for _, edge in node.edges())


def _walks(node: Node) -> bool:
    """Whether a stage walks through the denoiser, where controls of attention act; none do in a generator."""
    return node.card.family == "sample"


def _weighs(node: Node) -> bool:
    """Whether a stage gives words their weight: a control of what attends to words, which acts and takes the edit."""
    if not node.card.takes("Edit"):
        return False
    options = {option.parameter: node.options.get(option.name) for option in node.card.options}
    bound = [touch.bound(options) for touch in node.card.touches if touch.kind == "cross"]
    return any(float(touch.start) < float(touch.until) for touch in bound)


def report_cut(texts: Hearing, prompts: Mapping[str, Span], report: Report) -> None:
    """Report each prompt that is longer than the model reads, at the stage that reads it."""
    for text, span in prompts.items():
        heard = texts.heard(text)
        if heard.dropped:
            rest = heard.dropped if len(heard.dropped) <= _SHOWN else heard.dropped[:_SHOWN].rstrip() + "…"
            report.add("RT512", span, word=_first_word(heard.dropped), tokens=heard.read, rest=rest)


def texts_of(graph: Graph) -> Mapping[str, Mapping[str, Span]]:
    """Every prompt of a graph with the first stage that reads it, once for each model."""
    found: dict[str, dict[str, Span]] = {}
    for node in graph.everything():
        for _, edge in node.edges():
            if isinstance(edge, FromEngine):
                texts = found.setdefault(edge.settings.get("model", graph.model.name), {})
                for role in edge.settings.keys() & _ROLES:
                    texts.setdefault(edge.settings[role], node.span)
    return {model: texts for model, texts in found.items() if texts}


def _first_word(text: str) -> str:
    words = (each.strip(",.;") for each in text.split())
    return next(filter(None, words), text)[:40]  # a comma may be the first thing that is not read
