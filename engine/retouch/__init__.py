"""Retouch: edit images with diffusion models, by recipe."""

__version__ = "0.1.0"
API_VERSION = 1  # of what plugins may import; a stage may ask for one with @stage(…, api=1)
