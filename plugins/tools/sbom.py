"""Write a list of all that is installed and shipped, with licences: CycloneDX 1.6, as JSON.

    python plugins/tools/sbom.py sbom.json

The versions are those of this environment; what the wheel brings beside code is named, too: the embedded models.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from lock import ROOT, needed  # pyright: ignore[reportMissingImports]: it lies beside this

HERE = Path(__file__).parents[2]
# What is not code, and where it came from: all of it was made for this repository.
SHIPPED = {
    "models and eyes of the drawn world": "plugins/retouch_storybook",
    "generator of the drawn world": "plugins/retouch_gan",
    "recipes and their pictures": "recipes",
    "configurations of published models": "plugins/retouch_models",
}


def licence_of(found: Distribution) -> str:
    """What a distribution says of its licence: an expression, or the names of its classifiers."""
    told: Any = found.metadata
    said = str(told.get("License-Expression") or told.get("License") or "").strip()
    if 0 < len(said) < 120:  # some put the whole text there
        return said
    names = [each.rpartition(" :: ")[2] for each in told.get_all("Classifier") or () if each.startswith("License")]
    return ", ".join(names) or "not told"


def component(name: str) -> dict[str, Any]:
    """One distribution."""
    found = distribution(name)
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}@{found.version}",
        "name": name,
        "version": found.version,
        "purl": f"pkg:pypi/{name}@{found.version}",
        "licenses": [{"license": {"name": licence_of(found)}}],
    }


def shipped(name: str, folder: str) -> dict[str, Any]:
    """What a folder of this repository brings beside code, by the digest of its files."""
    files = sorted(
        path for path in (HERE / folder).rglob("*") if path.suffix in (".safetensors", ".json", ".png", ".txt")
    )
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(HERE)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return {
        "type": "data",
        "bom-ref": folder,
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": digest.hexdigest()}],
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }


def bill() -> dict[str, Any]:
    """All of it."""
    names = sorted(needed())
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(ROOT)},
        "components": [*map(component, names), *(shipped(name, folder) for name, folder in SHIPPED.items())],
        "dependencies": [
            {"ref": component(ROOT)["bom-ref"], "dependsOn": [component(each)["bom-ref"] for each in names]}
        ],
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(bill(), indent=1) + "\n")
