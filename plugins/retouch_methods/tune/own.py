"""The turn's own picture as what a stage learns from: put in where a stage names no others."""

from __future__ import annotations

from retouch.api import SourceImage, TrainingPictures, stage


@stage("view", "own")
def view_own(source: SourceImage) -> TrainingPictures:
    """Learn from the picture that the turn began with."""
    return TrainingPictures((source,))
