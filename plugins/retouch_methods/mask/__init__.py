"""Masks: where to edit."""
