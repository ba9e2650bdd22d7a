"""Stage cards: what a stage takes, makes and costs, read from its source without importing it."""

from retouch.plugins.signatures.signature import Fault, Kind, Option, Port, StageCard

__all__ = ["Fault", "Kind", "Option", "Port", "StageCard"]
