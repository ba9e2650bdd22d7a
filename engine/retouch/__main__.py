"""`python -m retouch`."""

from retouch.cli.main import process

process()
