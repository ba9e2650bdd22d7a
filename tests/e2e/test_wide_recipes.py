"""What holds of every recipe, whatever it says, tried on recipes that nobody wrote, each family for some seconds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from PIL import Image, ImageOps

from retouch.pictures.journal import NAME
from tests.e2e.command import Ran, retouch
from tests.e2e.wide_recipes import gan, outside, scene, wide, world
from tests.families.tiny_families import FAMILIES, PIXELS

pytestmark = pytest.mark.usefixtures("two_rows")

SECONDS = 15  # of a core, for each family
SOME = range(6)  # of those that keep what is outside of a mask
# Told in the run, of the pictures: a floor that is missed, prompts that are read alike, a mask of the picture's size
# before it was enlarged, one that is empty, masks of views that have no place in common.
MEANT = {"RT502", "RT511", "RT417", "RT510", "RT575"}
OWN = {"gan": gan, "scene": scene}  # whose recipes stand for no family
STAMPED = (".png", ".webp", ".tif", ".safetensors")


@pytest.mark.bench
@pytest.mark.parametrize("family", ["tiny", *FAMILIES, *PIXELS, *OWN])
def test_what_runs_costs_what_is_planned_and_is_the_same_alone_from_the_store_gone_on_with_and_made_again(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, ran = world("tiny" if family in OWN else family, tmp_path), 0
    named = [] if family == "gan" else ["--model", "m"]
    for at, (recipe, pictures) in enumerate(right(family, home)):
        monkeypatch.setenv("RETOUCH_CACHE", "off")
        plan = json.loads(command(home, "plan", *pictures, out="a").out.splitlines()[-1])  # behind warnings
        first = command(home, "run", *pictures, out=f"{at}a")
        told = {found["code"] for event in first.events for found in event.get("diagnostics", ()) if first.code}
        assert first.code == 0 or told & MEANT, (recipe, pictures, first.out, first.err)
        if first.code:
            continue
        least, most = plan["rows"]
        assert least <= first.event("done")["rows"] <= most, (recipe, pictures)
        made = files(home / f"{at}a")
        ran += 1
        for name in sorted(made)[:1]:
            (home / f"{at}a" / name).unlink()
        command(home, "run", *pictures, out=f"{at}a")
        assert files(home / f"{at}a") == made, (recipe, pictures, "gone on with")
        for name in [each for each in made if each.endswith(STAMPED) and each != "sheet.png" and "/" not in each][:1]:
            again = retouch("rerun", f"{at}a/{name}", "--verify", *named, "--allow", ".", folder=home)
            assert again.code == 0, (recipe, pictures, name, again.out, again.err)
        monkeypatch.setenv("RETOUCH_CACHE", str(tmp_path / f"cache {at}"))
        for kept in "bc":
            kept_run = command(home, "run", *pictures, out=f"{at}{kept}")
            assert kept_run.code == 0, (recipe, pictures, kept_run.out, kept_run.err)
            assert files(home / f"{at}{kept}") == made, (recipe, pictures, "from the store" if kept == "c" else "kept")
        if pictures and "sheet" not in recipe and "measure" not in recipe:
            command(home, "run", pictures[0], out=f"{at}d")
            assert files(home / f"{at}d").items() <= made.items(), (recipe, pictures, "alone")
    assert ran, "none ran, so nothing is shown"


@pytest.mark.thorough
def test_some_leave_every_byte_outside_of_the_mask_as_it_was(tmp_path: Path) -> None:
    home = world("tiny", tmp_path)
    assert sum(keeps_what_is_outside(seed, "tiny", home) for seed in SOME) >= len(SOME) / 3


@pytest.mark.bench
@pytest.mark.parametrize("family", ["tiny", *FAMILIES, *PIXELS])
def test_many_do(family: str, tmp_path: Path) -> None:
    home, begun, kept = world(family, tmp_path), process_time(), 0
    for seed in count(SOME.stop):
        kept += keeps_what_is_outside(seed, family, home)
        if process_time() - begun > SECONDS:
            break
    assert kept, "none ran, so nothing is shown"


def keeps_what_is_outside(seed: int, family: str, home: Path) -> bool:
    """Compare results with what they were made of, where their masks are black; whether the recipe ran at all."""
    recipe, pictures = outside(seed, family)
    (home / "r.retouch").write_text(recipe)
    ran = command(home, "run", *pictures, out=f"o{seed}")
    if ran.code == 1:
        return False
    told = {found["code"] for event in ran.events for found in event.get("diagnostics", ()) if ran.code}
    refused = {found["code"] for event in ran.events if "refused" in event for found in event["diagnostics"]}
    assert not ran.code or told & (MEANT | refused), (recipe, pictures, ran.out, ran.err)
    for picture in pictures:
        name = picture.partition(".")[0]
        for result in (home / f"o{seed}").glob(f"{name}.*"):
            black = np.asarray(Image.open(home / f"o{seed}" / f"{name}_in.png")) == 0
            before, after = colours(home / picture), colours(result)
            assert before.shape == after.shape, (recipe, picture)
            assert not (before != after).any(-1)[black].any(), (recipe, picture)
    return ran.code == 0


def colours(place: Path) -> np.ndarray:
    """A picture as whoever opens it sees it, of eight bits.  [H, W, 4]"""
    with Image.open(place) as opened:
        shown = ImageOps.exif_transpose(opened)
        if shown.mode.startswith("I"):
            shown = Image.fromarray((np.asarray(shown) // 257).astype(np.uint8))
        return np.asarray(shown.convert("RGBA"))


def right(family: str, home: Path) -> Iterator[tuple[str, list[str]]]:
    """Recipes that the check lets pass, one after the other until the time is over."""
    begun = process_time()
    for seed in count():
        recipe, pictures = OWN[family](seed) if family in OWN else wide(seed, family)
        (home / "r.retouch").write_text(recipe)
        if command(home, "check", *pictures, out="a").code == 0:
            yield recipe, pictures
        if process_time() - begun > SECONDS:
            return


def command(home: Path, name: str, *pictures: str, out: str) -> Ran:
    """A command on the recipe, in exact mode where it runs."""
    ran = retouch(name, "r.retouch", *pictures, "-o", out, "--json", *["--exact"][: name == "run"], folder=home)
    assert not re.search("Traceback", ran.err), ran.err
    return ran


def files(folder: Path) -> dict[str, bytes]:
    """What lies below a folder of results, but for the journal of runs."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != NAME
    }
