"""`retouch models`: which models are installed, and whether they can be used."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from retouch.cli import DONE
from retouch.cli.reporting import put
from retouch.models import catalog


def main(args: Namespace) -> int:
    """List every model that plugins ship."""
    for name in catalog.names():
        facts = _facts(name)
        if args.json:
            put(facts)
        elif "broken" in facts:
            print(f"{name}: {facts['broken']}")
        else:
            print(f"{name}: {facts['size']} pixels, {facts['prediction']}, in {facts['folder']}")
    return DONE


def _facts(name: str) -> dict[str, Any]:
    try:
        info = catalog.find(name)
    except (catalog.BrokenModel, catalog.UnknownModel) as err:
        return {"model": name, "broken": str(err)}
    facts = {"size": info.trained_size, "largest": info.largest_side, "prediction": info.prediction}
    return {
        "model": name,
        "folder": str(info.folder),
        **facts,
        "tokens": info.tokens,
        "defaults": dict(info.defaults),
        "stages": dict(info.stages),
    }
