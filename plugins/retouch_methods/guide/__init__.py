"""Guidance: how predictions are combined."""
