"""Blends: what is kept of the source."""
