"""Retouch: edit images with diffusion models, by recipe."""

__version__ = "0.1.0"
