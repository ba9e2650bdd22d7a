"""Folders and files that a stage opens as one thing: what their description is made of.  Loads no torch."""

from __future__ import annotations

from retouch.core.declared.folders import DescribedFolder, FolderReader, UnfitFolder
from retouch.core.declared.tensor_files import TensorHeader, UnfitFile

__all__ = ["DescribedFolder", "FolderReader", "TensorHeader", "UnfitFile", "UnfitFolder"]
