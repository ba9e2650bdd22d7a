"""Models: found by name and described without being loaded; and what a network is asked, and answers."""

from __future__ import annotations

from retouch.core.awaited.requests import Core, Group, Reply, Row
from retouch.models.catalog import find as find_model
from retouch.models.errors import BrokenModel, NotFetched, UnknownModel
from retouch.models.info import ModelInfo
from retouch.models.info import describe as describe_model
from retouch.models.user_cache import network as brought_network

__all__ = [
    "BrokenModel",
    "Core",
    "Group",
    "ModelInfo",
    "NotFetched",
    "Reply",
    "Row",
    "UnknownModel",
    "brought_network",
    "describe_model",
    "find_model",
]
