"""`retouch`, and `python -m retouch`: from its first line on, Ctrl-C ends the command in a sentence."""

from __future__ import annotations

from retouch.cli.streams.ending import heed


def process() -> None:
    """Run one command as a process of its own."""
    heed()
    from retouch.cli.main import process as run  # which takes a moment to import

    run()


if __name__ == "__main__":
    process()
