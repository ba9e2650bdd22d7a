"""Prompts as the model reads them: what of them it does not, and edits that are none to it, told from vocabularies."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from retouch.graph.nodes import Graph
from retouch.graph.unheard import difference_lost, edits, report_cut, texts_of
from retouch.lang.diagnostics import Report
from retouch.models.errors import BrokenModel

if TYPE_CHECKING:
    from retouch.models.info import ModelInfo
    from retouch.models.prompts.prompt_reader import PromptReader


def check_prompts(graph: Graph, reader_of: Callable[[ModelInfo], PromptReader | None], report: Report) -> None:
    """Report prompts that are cut, and edits without a token of difference."""
    with suppress(BrokenModel):  # a vocabulary that cannot be read is told when the model is loaded
        for name, texts in texts_of(graph).items():
            if known := reader_of(graph.models.get(name, graph.model)):
                report_cut(known, {text: span for text, span in texts.items() if not known.reads_whole(text)}, report)
        # An edit without a token of difference changes nothing.
        told = set[str]()
        for node in graph.everything():
            for edit in edits(node):
                reader = reader_of(graph.models.get(edit.settings.get("model", ""), graph.model))
                said = repr(edit.settings)  # the same for all stages of a turn
                if reader is None or said in told:
                    continue
                # Where other words stand in both prompts, and all of them are read, no vocabulary has to be asked.
                source, target = (edit.settings[role] for role in ("source", "target"))
                before, after = (re.findall(r"[a-z0-9]+", text.lower()) for text in (source, target))
                if before != after and reader.reads_whole(source) and reader.reads_whole(target):
                    continue
                told.add(said)
                if lost := difference_lost(reader, edit):
                    report.add("RT511", node.span, stage=node.card.name, why=lost.why, mend=lost.mend)
