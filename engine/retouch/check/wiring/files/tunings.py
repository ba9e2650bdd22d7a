"""The stages that a denoiser was tuned by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from retouch.graph.nodes import FromNode, Input, Node


def tuned_by(nodes: Mapping[str, Node], model: Input | None) -> Iterator[Node]:
    """Return what has tuned a denoiser, the newest first; nothing for the model as it is."""
    while isinstance(model, FromNode) and (node := nodes.get(model.id)) is not None:
        yield node
        model = next((node.inputs.get(port.name) for port in node.card.ports if port.type == "Denoiser"), None)
