"""`retouch models` with a cache and a hub of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from retouch.models.hub import download
from tests.e2e import command
from tests.e2e.command import Ran

LICENCE = "LICENSE.md"


def retouch(cache: Path, endpoint: str, *words: str) -> Ran:
    """The command, with a cache of its own, and without waiting between attempts."""
    told = {"HF_HUB_CACHE": str(cache), "ENDPOINT": endpoint}
    told["HUGGINGFACE_CO_URL_TEMPLATE"] = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "WAIT", 0)
        for name, value in told.items():
            patch.setattr(constants, name, value)
        return command.retouch(*words, folder=cache.parent)


def process(cache: Path, endpoint: str, *words: str, **environment: str) -> Ran:
    """The same as a process of its own, which reads where to go from its environment, and keeps nothing in memory."""
    code = (
        "import sys; from retouch.models.hub import download; download.WAIT = 0\n"
        "from retouch.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=cache.parent,
        env={**os.environ, "HF_HUB_CACHE": str(cache), "HF_ENDPOINT": endpoint, **environment},
    )
    return Ran(done.returncode, done.stdout, done.stderr)
