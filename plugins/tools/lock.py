"""Write the lock file: every distribution that an edit needs, with the digest of the file that is installed of it.

    python plugins/tools/lock.py requirements.lock

What is installed here decides the versions (`make` installs those that the tests run with), and the registry that pip
is set up for tells the digests, for this platform and Python.  `pip install --require-hashes -r` takes nothing else.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = "retouch"


def needed(name: str = ROOT) -> Iterator[str]:
    """The names of all distributions that one needs, its own left out, each once."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        for text in distribution(waiting.pop()).requires or ():
            wanted = Requirement(text)
            own = canonicalize_name(wanted.name)
            if own in seen or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
                continue
            seen.add(own)
            try:
                distribution(own)
            except PackageNotFoundError:
                continue
            waiting.append(own)
            yield own


def locked(names: list[str]) -> Iterator[str]:
    """Lines of the lock file.  Asks pip, and so the registry that pip is set up for."""
    pins = [f"{name}=={distribution(name).version.partition('+')[0]}" for name in names]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
    done = subprocess.run([*command, "--report", "-", *pins], capture_output=True, text=True, check=True)
    for each in sorted(json.loads(done.stdout)["install"], key=lambda each: each["metadata"]["name"].lower()):
        told = each["metadata"]
        sha256 = each["download_info"]["archive_info"]["hashes"]["sha256"]
        yield f"{canonicalize_name(told['name'])}=={told['version']} --hash=sha256:{sha256}"


def main() -> None:
    """Write the file that the command line names."""
    names = sorted(needed())
    head = f"# Made by plugins/tools/lock.py with Python {sys.version_info.major}.{sys.version_info.minor}"
    text = "\n".join([f"{head} on {sys.platform}: what an edit needs.", *locked(names)])
    Path(sys.argv[1]).write_text(text + "\n")


if __name__ == "__main__":
    main()
