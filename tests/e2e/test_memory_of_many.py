"""As much memory as a few pictures need, however many: `make bench` takes a thousand, `make soak` ten thousand."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice, product
from pathlib import Path

import pytest

from retouch.pictures.journal import FolderJournal
from retouch_storybook.world import Scene
from tests.e2e.command import draw
from tests.models.tiny_folder import three_levels

SOAK = bool(os.environ.get("RETOUCH_SOAK"))
PICTURES, CAPTIONS = (10_000, 2_000) if SOAK else (1_000, 1_000)
WARM = 100  # pictures after which nothing may grow
CODE = """
import sys
from contextlib import redirect_stdout
from pathlib import Path
import retouch.cli.commands.run as run
from retouch.cli.main import main
from retouch.cli.progress import Lines

class Watched(Lines):
    seen = 0
    def tell(self, event, facts):
        if event == "saved":
            Watched.seen += 1
            if Watched.seen % 100 == 0:
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                print(Watched.seen, pages * 4096, file=sys.stderr, flush=True)

run.Lines = Watched
with open("/dev/null", "w") as nowhere, redirect_stdout(nowhere):
    code = main(sys.argv[1:])
sys.exit(code)
"""


@pytest.mark.bench
@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="no /proc here")
def test_memory_does_not_grow_with_pictures_and_captions(tmp_path: Path) -> None:
    """Resident memory after the last picture is at most a twentieth above that after the hundredth."""
    three_levels(0).save_pretrained(tmp_path / "tiny")
    draw(tmp_path / "one.png", Scene("cat", "orange", "in a meadow"), size=32, caption=False)
    words = product(range(50), range(50))
    captions = [f"a cat {a} in a meadow {b}" for a, b in islice(words, CAPTIONS)]
    (tmp_path / "in").mkdir()
    for n in range(PICTURES):
        (tmp_path / "in" / f"{n:05}.png").write_bytes((tmp_path / "one.png").read_bytes())
        (tmp_path / "in" / f"{n:05}.txt").write_text(captions[n % CAPTIONS])
    recipe = 'invert sdedit "cat"->"dog" strength=50% steps=2'
    command = [sys.executable, "-c", CODE, "run", "-e", recipe, *sorted((tmp_path / "in").glob("*.png"))]
    command += ["-o", "out", "--model", "tiny", "--stamp", "minimal", "--json"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "RETOUCH_CACHE": "off"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = dict(map(int, line.split()) for line in done.stderr.splitlines() if line[:1].isdigit())
    print({count: f"{size / 1e6:.1f} MB" for count, size in told.items()})
    assert len([x for x in FolderJournal(tmp_path / "out").lines() if x["event"] == "saved"]) == PICTURES
    assert told[PICTURES] <= 1.05 * told[WARM], told
