"""Exact mode gives the same bits whatever the number of threads, and a rerun tells rounding from another picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from retouch.cli.commands.rerun import _judged, _threads
from retouch.cli.stamped import Stamp
from retouch.pictures import metadata
from retouch.pictures.stamp import KEY
from retouch.run.files.comparing import Difference
from retouch.run.rounding import rounding_of
from retouch.run.session import execute
from retouch.run.settings import Settings
from tests.e2e.command import Ran, retouch
from tests.e2e.sessions import INSTALLED, KEPT, graphs

INVERTED = "invert ddim steps=2"


@pytest.fixture
def threads() -> Iterator[None]:
    """The number of threads may be changed meanwhile."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def path_of(cat: Path, settings: Settings) -> torch.Tensor:
    """All states of an inversion, which hides no bit as a picture's rounding to bytes does."""
    made = graphs(INVERTED, [cat], cat.parent / "out")
    (outcome,) = execute(made, registry=INSTALLED, settings=settings, machine=KEPT).outcomes
    assert not outcome.failures
    return next(value.states for name, value in outcome.values.items() if name.startswith("invert"))


@pytest.mark.thorough
def test_exact_mode_has_the_same_bits_with_one_two_and_four_threads(cat, threads):
    found: list[torch.Tensor] = []
    for count in (1, 2, 4):
        torch.set_num_threads(count)
        found.append(path_of(cat, Settings(exact=True)))
        assert torch.get_num_threads() == count  # it is the caller's again
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.thorough
def test_threads_are_what_made_the_difference(cat):
    """Else the test above could not fail: this machine's kernels do round by their number."""
    one, eight = (path_of(cat, Settings(exact=True, threads=count)) for count in (1, 8))
    assert not torch.equal(one, eight)
    torch.testing.assert_close(one, eight, rtol=0, atol=1e-3)


@pytest.mark.thorough
def test_a_result_says_with_how_many_threads_and_on_what_kind_of_machine_it_was_made(cat):
    dog = made(cat)
    told = metadata(dog) or {}
    assert (told["threads"], told["rounding"]) == ("1", rounding_of("cpu"))
    shown = retouch("show", dog.name, folder=cat.parent).out
    assert f"rounding: {rounding_of('cpu')}" in shown
    assert rounding_of("cpu").split()[0] == torch.backends.cpu.get_cpu_capability()


@pytest.mark.thorough
def test_a_picture_of_the_fast_mode_is_made_again_with_its_own_number_of_threads(cat, threads):
    torch.set_num_threads(3)
    dog = made(cat, exact=False)
    assert (metadata(dog) or {})["threads"] == "3"
    torch.set_num_threads(1)
    done = verified(dog, "--json")
    assert (done.code, json.loads(done.out)["equal"], json.loads(done.out)["changes"]) == (0, True, [])


@pytest.mark.parametrize("said", ["0", "-1", "999999", "257", "²", "many", ""])
def test_a_number_of_threads_that_cannot_be_is_not_believed(said):
    assert _threads(Stamp({"threads": said}, {}, {}, {}, {}, ())) == 0


@pytest.mark.thorough
def test_verify_tells_another_machines_rounding_from_another_picture(cat):
    dog = made(cat)
    restamped(dog, rounding="AVX2 0123456789ab", brighter=1)
    done = verified(dog)
    assert done.code == 5
    assert done.out.startswith("alike: made on another kind of machine, differs by at most 1 of 255; PSNR ")
    assert "rounding was AVX2 0123456789ab and is " in done.out
    restamped(dog, brighter=60)
    done = verified(dog)
    assert (done.code, done.out.partition(":")[0]) == (4, "different")


SLIGHT = Difference(psnr=60.0, share=0.01, most=1)


@pytest.mark.parametrize(
    ("found", "changes", "exact", "verdict"),
    [
        (Difference(float("inf"), 0.0, 0), ("torch was 1 and is 2",), True, ("same", 0)),
        (SLIGHT, (), True, ("different", 4)),
        (SLIGHT, (), False, ("same", 0)),
        (SLIGHT, ("torch was 1 and is 2",), True, ("alike", 5)),
        (SLIGHT, ("torch was 1 and is 2",), False, ("alike", 5)),
        (replace(SLIGHT, psnr=39.0), ("torch was 1 and is 2",), True, ("different", 4)),
        (replace(SLIGHT, sized=False), ("torch was 1 and is 2",), True, ("different", 4)),
    ],
)
def test_a_verdict_follows_from_difference_mode_and_what_changed(found, changes, exact, verdict):
    assert _judged(found, changes, exact=exact) == verdict


def made(cat: Path, *, exact: bool = True) -> Path:
    done = retouch(
        "run", "-e", INVERTED, "cat.png", "-o", "dog.png", *(["--exact"] if exact else []), folder=cat.parent
    )
    assert done.code == 0, done.err
    return cat.with_name("dog.png")


def verified(dog: Path, *args: object) -> Ran:
    return retouch("rerun", dog.name, "--verify", *args, folder=dog.parent)


def restamped(path: Path, *, brighter: int = 0, **told: str) -> None:
    """The picture with another stamp, and one pixel in twenty brighter or darker by so many levels."""
    stamp = json.dumps({**(metadata(path) or {}), **told})
    picture = Image.open(path).convert("RGB")
    for place in range(0, picture.width * picture.height, 20):
        at = place % picture.width, place // picture.width
        red, green, blue = picture.getpixel(at)
        picture.putpixel(at, (red + brighter if red < 128 else red - brighter, green, blue))
    info = PngInfo()
    info.add_itxt(KEY, stamp)
    picture.save(path, pnginfo=info)
