"""Folders that a stage opens as one thing: what their description is made of.  Loads no torch."""

from __future__ import annotations

from retouch.core.declared.folders import DescribedFolder, FolderReader, UnfitFolder

__all__ = ["DescribedFolder", "FolderReader", "UnfitFolder"]
