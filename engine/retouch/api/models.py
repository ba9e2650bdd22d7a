"""Models: found by name and described without being loaded; and what a network is asked, and answers."""

from __future__ import annotations

from retouch.core.requests import Core, Group, Reply, Row
from retouch.models.catalog import find as find_model
from retouch.models.errors import BrokenModel, NotFetched, UnknownModel
from retouch.models.info import ModelInfo
from retouch.models.info import describe as describe_model

__all__ = [
    "BrokenModel",
    "Core",
    "Group",
    "ModelInfo",
    "NotFetched",
    "Reply",
    "Row",
    "UnknownModel",
    "describe_model",
    "find_model",
]
