"""Masks that leave nothing to edit, or nothing to keep: told for the picture whose mask it is."""

from __future__ import annotations

import torch

from retouch.core.values import Mask
from retouch.graph.masks import is_file_of_mask, report_coverage, settled, takers
from retouch.graph.nodes import Graph, Node, NodeId
from retouch.graph.plan import plan
from retouch.lang.diagnostics import Diagnostic, Report


def deciding_masks(graph: Graph) -> frozenset[NodeId]:
    """The masks that decide what is edited; of those read from files, or settled by options, the check has told."""
    told = {node.id for node in graph.nodes if is_file_of_mask(node)}
    told |= {node.id for node in settled(graph, plan(graph).facts)}
    return frozenset(takers(graph).keys() - told)


def covers_too_much_or_little(node: Node, mask: Mask) -> list[Diagnostic]:
    """A notice where a mask is 0 everywhere, or 1 everywhere."""
    report, (data, all_of_it) = Report(), mask.known
    some, full = torch.stack((data.any(), (data >= 1).all())).tolist()  # asked of the device at once
    report_coverage(node, report, any_edited=some, all_edited=all_of_it and full)
    return report.items
