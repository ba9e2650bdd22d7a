"""`retouch show`: how a picture was made, as it says itself."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from retouch.cli import DONE, WRONG_RECIPE
from retouch.cli.reporting import Refusal, put, refuse
from retouch.cli.signing import credentials_of
from retouch.cli.stamped import Stamp, stamp_of
from retouch.cli.streams.plain import plain
from retouch.run.files.signers import TRUST, Credentials

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
    credentials = credentials_of(args.image)
    try:
        found = stamp_of(args.image)
    except Refusal as why:
        if credentials is None or why.code:  # a stamp that is damaged is told as such
            return refuse(args, WRONG_RECIPE, str(why), why.code, why.mend)
        found = None
    if args.json:
        signed = {"credentials": _as_data(credentials)} if credentials else {}
        put({"image": str(args.image), **(found.as_json() if found else {}), **signed})
    else:
        lines = list(_lines(found)) if found else ["# it says nothing of a recipe", ""]
        lines += [line.replace("\n", "\\n") for line in _signed(credentials)]  # whose names a stranger wrote
        print(plain("\n".join(lines)))
    return DONE


def _signed(found: Credentials | str | None) -> Iterator[str]:
    """What is told of credentials, in one line."""
    if isinstance(found, str):
        yield f"content credentials: there, and not checked: {found}"
    elif found:
        said = {
            "valid": f"valid; whether you trust the signer is not known: {TRUST} may name a file of certificates",
            "trusted": "valid, and its signer is one that you trust",
            "invalid": f"not valid: {', '.join(found.problems) or 'it is not said why'}",
        }
        yield f"content credentials: signed by {found.signer or 'nobody who is named'}: {said[found.state]}"
        for name, problems in found.sources.items():
            yield f"its source '{name}' had content credentials that were not valid: {', '.join(problems)}"


def _as_data(found: Credentials | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"state": "unknown", "why": found}
    sources = {name: list(problems) for name, problems in found.sources.items()}
    told = {"state": found.state, "signer": found.signer, "problems": list(found.problems)}
    return {**told, "sources": sources, "manifest": found.told}


def _lines(stamp: Stamp) -> Iterator[str]:
    yield stamp.text("recipe").rstrip() or "# the recipe is not stored in the picture"
    yield ""
    for name, text in stamp.libraries.items():
        yield from (f"# {name}:", text.rstrip(), "")
    yield from (line.replace("\n", "\\n") for line in _facts(stamp))


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
