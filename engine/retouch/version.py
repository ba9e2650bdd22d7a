"""Versions: of the distribution, and of what plugins may import."""

__version__ = "0.1.0"
API_VERSION = 1  # a stage may ask for one with @stage(…, api=1)
