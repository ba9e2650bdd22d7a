"""A new kind of file by a plugin alone: checked, whole or not at all, stamped, counted, and made again like our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retouch import pictures
from retouch.pictures.journal import NAME
from tests.e2e.command import OpenProcess, Ran, draw, in_process, left_in

GUIDE = Path(__file__).parents[2] / "plugins" / "README.md"
MORE = '''
"""Kinds of files that the guide does not show: pictures that move, bytes without room for words, one that fails."""

from typing import Annotated

import numpy as np
from PIL import Image as Pillow

from retouch.api import Ending, Image, Outbox, Range, stage


@stage("save", "fading")
def save_fading(image: Image, outbox: Outbox, *, path: Annotated[str, Ending(".webp", ".gif")],
                speed: Annotated[int, Range(1, 60, "frames a second"), Ending(".webp")] | None = None) -> None:
    """Write the picture fading in.

    path: the file.
    speed: how fast, in a WebP.
    """
    full = (image.data.permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)
    frames = [Pillow.fromarray((full * share).astype(np.uint8)) for share in (0.2, 0.6, 1.0)]
    with outbox.file(path) as file:
        kind = "WEBP" if path.endswith(".webp") else "GIF"
        frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=1000 // (speed or 10))
    outbox.note(path, "it moves")


@stage("save", "raw")
def save_raw(image: Image, outbox: Outbox, *, path: Annotated[str, Ending(".npy")], fail: bool = False) -> None:
    """Write numbers, with no room for words.

    path: the file.
    fail: half way.
    """
    with outbox.file(path) as file:
        np.save(file, image.data.cpu().numpy())
        if fail:
            raise RuntimeError("half way")


@stage("save", "elsewhere")
def save_elsewhere(image: Image, outbox: Outbox, *, path: Annotated[str, Ending(".npy")]) -> None:
    """Write where nobody said.

    path: not the file.
    """
    with outbox.file(path + ".npy") as file:
        np.save(file, 0)
'''


def block() -> str:
    """The plugin of the guide."""
    return GUIDE.read_text("utf-8").partition("## Files of your own")[2].partition("```python\n")[2].partition("```")[0]


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("filed")
    for name, text in (("arrays", block()), ("moving", MORE)):
        (folder / f"filed_{name}.py").write_text(text)
        info = folder / f"filed_{name}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: filed_{name}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[retouch.plugins]\n{name} = filed_{name}\n")
    return {"PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def retouch(env: dict[str, str]) -> Iterator[OpenProcess]:
    """Commands where the plugins are installed."""
    process = OpenProcess(env)
    yield process
    process.close()


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    return draw(tmp_path / "cat.png")


def run(recipe: str, cat: Path, retouch: OpenProcess, *args: str) -> Ran:
    return retouch("run", "-e", f'open "cat.png" | {recipe}', *args, "--json", folder=cat.parent)


def test_the_plugin_of_the_guide_saves_like_ours(cat: Path, retouch: OpenProcess) -> None:
    recipe = 'mask box right=50% bottom=50% | encode | decode | save arrays "{name}.npz"'
    done = run(recipe, cat, retouch)
    assert done.code == 0, done.out + done.err
    out = cat.with_name("cat.npz")
    assert done.event("saved")["path"] == str(out)
    assert done.event("result")["files"] == [str(out)]
    made = np.load(out)
    assert made["rgb"].shape == (64, 64, 3)
    assert made["mask"].mean() == 0.25
    assert (pictures.metadata(out) or {})["recipe"].endswith(recipe)
    assert not out.with_name("cat.npz.retouch.json").exists()  # it had room for the words
    shown = retouch("show", out, folder=cat.parent)
    assert shown.code == 0, shown.err
    assert recipe in shown.out
    assert run(recipe, cat, retouch).code == 0  # its own file is made again
    assert run(recipe, cat, retouch, "--stamp", "none").code == 0
    assert pictures.metadata(out) is None
    out.with_name(NAME).unlink()  # else the journal knows it
    assert "RT415" in run(recipe, cat, retouch).out


def test_a_format_without_room_for_words_has_them_beside_it(cat: Path, retouch: OpenProcess) -> None:
    recipe = 'encode | decode | save raw "dog.npy"\nopen "cat.png" | encode | decode | save fading "dog.webp" speed=5'
    done = run(recipe, cat, retouch)
    assert done.code == 0, done.out + done.err
    for name in ("dog.npy", "dog.webp"):
        beside = cat.with_name(f"{name}.retouch.json")
        assert json.loads(beside.read_text())["recipe"].endswith("speed=5")
        assert pictures.made_by_retouch(cat.with_name(name))
    assert Image.open(cat.with_name("dog.webp")).n_frames == 3
    assert "it moves" in str(done.event("result")["notices"])
    cat.with_name("dog.npy").write_bytes(b"somebody else's, under the old name")
    assert not pictures.made_by_retouch(cat.with_name("dog.npy"))
    assert "RT440" in run(recipe, cat, retouch).out


def test_what_somebody_else_put_beside_a_result_is_not_touched(cat: Path, retouch: OpenProcess) -> None:
    foreign = cat.with_name("dog.npy.retouch.json")
    foreign.write_text('{"mine": "notes"}')
    done = run('encode | decode | save raw "dog.npy"', cat, retouch)
    assert done.code == 4
    assert "'dog.npy.retouch.json', which would tell its recipe, is there and retouch did not make it" in done.out
    assert not cat.with_name("dog.npy").exists()
    assert run('encode | decode | save raw "dog.npy"', cat, retouch, "--stamp", "none").code == 0
    assert foreign.read_text() == '{"mine": "notes"}'


@pytest.mark.thorough
def test_its_endings_and_options_are_checked_without_it_being_imported(cat: Path, env: dict[str, str]) -> None:
    wrong = {
        'save arrays "dog.png"': ("RT425", "may end in .npz"),
        'save "dog.npz"': ("RT425", "'save arrays' writes .npz"),
        'save fading "dog.gif" speed=5': ("RT426", "end the file in .webp"),
    }
    for recipe, (code, words) in wrong.items():
        text = f'open "cat.png" | encode | decode | {recipe}'
        done = in_process("plan", "-e", text, "--json", folder=cat.parent, env=env)
        assert done.code == 1
        assert code in done.out
        assert words in done.out


def test_one_that_fails_leaves_nothing_and_one_that_writes_elsewhere_is_stopped(
    cat: Path, retouch: OpenProcess
) -> None:
    recipe = 'encode | decode | save raw "a.npy" fail=true\nopen "cat.png" | encode | decode | save elsewhere "b.npy"'
    done = run(f'{recipe}\nopen "cat.png" | encode | decode | save "ours.png"', cat, retouch)
    assert done.code == 3
    assert "half way" in done.out
    assert "is not the file that a stage of this recipe was given" in done.out
    assert left_in(cat.parent) == {"cat.png", "cat.txt", "ours.png"}
