"""`retouch show`: how a picture was made, as it says itself."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from retouch.cli import DONE, WRONG_RECIPE
from retouch.cli.plain import plain
from retouch.cli.reporting import Refusal, put, refuse
from retouch.cli.stamped import Stamp, stamp_of

_LINES = (
    "retouch",
    "torch",
    "python",
    "machine",
    "device",
    "dtype",
    "mode",
    "rounding",
    "threads",
    "compiled",
    "vae_tiling",
    "seed",
    "caption",
)


def main(args: Namespace) -> int:
    """Print the recipe, and what it was run with."""
    try:
        found = stamp_of(args.image)
    except Refusal as why:
        return refuse(args, WRONG_RECIPE, str(why), why.code, why.mend)
    if args.json:
        put({"image": str(args.image), **found.as_json()})
        return DONE
    recipe = found.text("recipe").rstrip() or "# the recipe is not stored in the picture"
    facts = (line.replace("\n", "\\n") for line in _facts(found))
    print(plain("\n".join([recipe, "", *facts])))
    return DONE


def _facts(stamp: Stamp) -> Iterator[str]:
    if source := stamp.text("source"):
        digest = stamp.inputs.get(source, "")
        yield f"source: {source}{f', sha256 {digest}' if digest else ''}"
    model = stamp.text("model")
    yield f"model: {model}, {stamp.text('model_digest')} {stamp.text('model_revision')}".rstrip()
    yield from (f"{name}: {stamp.text(name)}" for name in _LINES if stamp.text(name))
    yield from (f"--set {name}={text}" for name, text in stamp.settings.items())
    yield from (f"plugin {name}: {version}" for name, version in stamp.plugins.items())
    for stage in stamp.stages:
        options = " ".join(f"{name}={value}" for name, value in stage["options"].items())
        yield f"  {stage['stage']} {options}".rstrip()
