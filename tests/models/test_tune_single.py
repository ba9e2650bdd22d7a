"""Models that learn one picture, in whole recipes: words they learn, files, sweeps, company, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from retouch.api.checking import Environment, check, load_registry
from retouch.graph.nodes import Picture
from tests.e2e.command import HEEDING, draw, left_in, retouch
from tests.models.tuning_runs import pixels, ran

pytestmark = pytest.mark.usefixtures("two_rows")

IMAGIC = 'tune imagic "cat"->"dog" embedding_steps=2 training_steps=2 embedding_lr=0.01 lr=1e-4'
SINE = "tune sine training_steps=2 lr=1e-4"
WALK = 'invert sdedit "cat"->"dog" strength=0.5 steps=4 | guide cfg guidance=2'
# By the name of a file: what makes it, what else says it when it is read, and the mode of its runs.
TUNINGS = {
    "imagic": (IMAGIC, " | tune prompts", ()),
    "unitune": ("tune unitune training_steps=2 batch=1", " | tune prompts", ("--exact",)),
    "placed": (f"{SINE} patches=true", "", ()),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawing, what each tuning has saved of it, and an edit by that.  Calls of exact mode cost eight rows each."""
    place = tmp_path_factory.mktemp("single")
    draw(place / "cat.png")
    for name, (tuning, _, mode) in TUNINGS.items():
        flow = f'open "cat.png" | {tuning}'
        ran(f'{flow} | save weights "{name}.safetensors"\n{flow} | {WALK} | save "{name}.png"', place, *mode)
    return place


@pytest.mark.thorough
def test_files_hold_the_words_and_the_places_that_were_learnt(folder: Path) -> None:
    with safe_open(folder / "imagic.safetensors", "np") as file:
        assert file.get_tensor("prompt.embeds").ndim == 2
    with safe_open(folder / "unitune.safetensors", "np") as file:
        assert file.metadata()["token"] == "beikkpic"
        assert all("attn2" in name for name in file.keys())  # noqa: SIM118 (no mapping)
    with safe_open(folder / "placed.safetensors", "np") as file:
        assert file.metadata()["placed"] == "1"


@pytest.mark.thorough
@pytest.mark.parametrize("file", TUNINGS)
def test_what_is_read_is_what_was_tuned_bit_for_bit(folder: Path, file: str) -> None:
    _, says, mode = TUNINGS[file]
    recipe = (
        f'open "cat.png" | tune weights "{file}.safetensors"{says} | {WALK} | save "read.png"\n'
        f'open "cat.png" | {WALK} | save "plain.png"'
    )
    ran(recipe, folder, *mode)
    fresh, read, plain = (pixels(folder / f"{name}.png") for name in (file, "read", "plain"))
    assert (fresh == read).all()
    assert (fresh != plain).any()
    ran(f'open "cat.png" | {WALK} | save "alone.png"', folder, *mode)
    assert (pixels(folder / "alone.png") == plain).all()  # the base is as it was


@pytest.mark.thorough
def test_a_sweep_of_alpha_tunes_once(folder: Path) -> None:
    walk = 'invert sdedit strength=0.5 steps=4 | guide cfg guidance=2 | save "{alpha}.png"'
    done = ran(f'open "cat.png" | {IMAGIC} | tune prompts alpha=[0.0, 0.5, 1.0] | {walk}', folder)
    assert done["rows"] == 2 + 2 + 3 * 2 * 2
    made = [pixels(path) for path in sorted(folder.glob("[01].[05].png"))]
    assert len(made) == 3
    assert (made[0] != made[1]).any()
    assert (made[1] != made[2]).any()


def test_words_are_said_without_being_asked_for_and_once(folder: Path) -> None:
    plan = retouch("plan", "-e", f'open "cat.png" | {IMAGIC} | invert ddim steps=4', folder=folder).out
    assert plan.count("tune prompts") == 1
    assert "prompts name what 'tune imagic' has learnt" in plan
    written = retouch(
        "plan", "-e", f'open "cat.png" | {IMAGIC} | tune prompts alpha=0.5 | invert ddim steps=4', folder=folder
    ).out
    assert written.count("tune prompts") == 1
    assert "has learnt" not in written
    token = 'open "cat.png" | tune unitune | invert sdedit "cat"->"dog" | save "x.png"'
    assert retouch("plan", "-e", token, folder=folder).out.count("tune prompts") == 1


@pytest.mark.parametrize("where", ["tune unitune | draw (", "draw (tune unitune | "])
def test_other_eyes_are_told_the_words_of_the_recipe_and_not_the_token(where: str) -> None:
    world = Environment(load_registry(), Path(), (Picture(Path("IMAGE"), caption="a cat", known=False),))
    (graph,) = check(where + 'invert sdedit "cat"->"dog") seeds=2 | rank image_text', world).graphs
    (rank,) = [node for node in graph.nodes if node.card.family == "rank"]
    assert rank.inputs["target"].settings["text"] == "a dog"


@pytest.mark.parametrize(
    ("recipe", "least", "most"),
    [
        (f"{IMAGIC} | invert ddim steps=2 | mask box left=20% top=20% right=60% bottom=60% | blend latent", 0, 0),
        # Words of the prompt that was learnt from can be named.
        (f'{IMAGIC} | invert ddim steps=2 | attend p2p words=["dog"] | blend local words=["dog"]', 0, 0),
        (f"{SINE} | {WALK} | guide sine until=1", 2 + 2 * 3, 2 + 2 * 3),
        (f"{SINE} | {WALK} | guide sine until=0.5", 2 + 2 * 2, 2 + 2 * 3),
        (f'{WALK} | guide mix "placed.safetensors" says="a cat"', 2 * 3, 2 * 3),
        (f'{SINE} | {WALK} | guide sine | guide mix "imagic.safetensors" share=0.2 | attend p2p', 0, 0),
        # Of two networks only one is asked without the prompt.
        (f'{SINE} | invert edict steps=2 strength=0.5 | attend pnp_features rows="unconditional" | guide sine', 0, 0),
    ],
)
def test_they_go_with_the_rest_at_the_rows_that_were_planned(folder: Path, recipe: str, least: int, most: int) -> None:
    text = f'open "cat.png" | {recipe} | save "out.png"'
    if '"cat"->"dog"' not in text:
        text = text.replace("invert edict", 'invert edict "cat"->"dog"')
    plan = json.loads(retouch("plan", "-e", text, "--json", folder=folder).out)
    rows = ran(text, folder)["rows"]
    said = plan["pictures"][0]["rows"] if "pictures" in plan else plan["rows"]
    low, high = said if isinstance(said, list) else (said, said)
    assert low <= rows <= high
    if most:
        assert (low, high) == (least, most)


@pytest.mark.parametrize(
    ("recipe", "code"),
    [
        ("tune prompts alpha=0.5 | " + WALK, "RT458"),
        (f"{SINE} | tune prompts | {WALK}", "RT458"),
        (f'tune weights "placed.safetensors" | tune prompts | {WALK}', "RT458"),
        (f"{WALK} | guide sine", "RT226"),
        (f"{SINE} patches=true least=0.5 most=0.2 | {WALK}", "RT226"),
        (f'model "storybook_pixels" | tune imagic "cat"->"dog" | {WALK}', "RT326"),
        (f'model "storybook_pixels" | {SINE} | invert sdedit', "RT326"),
        ('tune unitune token="two words" | ' + WALK, "RT2"),
    ],
)
def test_what_cannot_be_meant_has_a_code(folder: Path, recipe: str, code: str) -> None:
    done = retouch("check", "-e", f'open "cat.png" | {recipe} | save "x.png"', folder=folder)
    assert done.code == 1, done.out + done.err
    assert code in done.out + done.err


@pytest.mark.bench
def test_ctrl_c_in_the_middle_is_quick_and_leaves_nothing_half(tmp_path: Path) -> None:
    draw(tmp_path / "cat.png")
    long = 'tune imagic "cat"->"dog" embedding_steps=500 training_steps=1000 | save weights "long.safetensors"'
    command = [sys.executable, "-c", HEEDING, "run", "-e", f'open "cat.png" | {long}', "--json"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if '"event": "learning"' in line:
                told = json.loads(line)
                break
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=600)
    assert process.returncode == 130, said
    assert told["of"] == 1500
    assert {"done", "loss", "s"} <= told.keys()
    assert left_in(tmp_path) == {"cat.png", "cat.txt"}
