"""Inversions: data that replay the source."""
