"""What a benchmark of the hook `retouch_benches` says of its command line."""

from __future__ import annotations

from retouch.plugins.commands import WrongCommand

__all__ = ["WrongCommand"]
