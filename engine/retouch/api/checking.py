"""Recipes checked: from a text and its environment to graphs, or to all that is wrong with it."""

from __future__ import annotations

from retouch.check.check import Checked, check
from retouch.check.reading.environment import Environment
from retouch.graph.nodes import FromEngine, FromNode, Graph, Node, NodeId, Picture
from retouch.lang.diagnostics import Diagnostic
from retouch.plugins.discovery import Plugin
from retouch.plugins.discovery import installed as installed_plugins
from retouch.plugins.registry import Registry
from retouch.plugins.registry import load as load_registry
from retouch.plugins.signatures import StageCard

__all__ = [
    "Checked",
    "Diagnostic",
    "Environment",
    "FromEngine",
    "FromNode",
    "Graph",
    "Node",
    "NodeId",
    "Picture",
    "Plugin",
    "Registry",
    "StageCard",
    "check",
    "installed_plugins",
    "load_registry",
]
