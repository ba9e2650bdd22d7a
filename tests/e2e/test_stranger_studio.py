"""One stage of every family by somebody else, through the command line, each with its laws."""

from __future__ import annotations

import ast
import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from retouch import pictures
from retouch.models.own_weights import OwnWeights
from retouch.testing import laws
from retouch.testing.worlds import gaussian_world, tiny_world
from tests.e2e.command import OpenProcess, Ran, draw

STUDIO = Path(__file__).parents[1] / "stranger_studio" / "retouch_studio"
THEIRS = {"torch", "numpy", "typing", "dataclasses"}
EVERYTHING = """defaults steps=4
open "cat.png"
  | schedule quadratic
  | invert twice "cat"->"dog"
  | attend gaze
  | mask edges
  | guide bright
  | blend latent
  | solver adams
  | enlarge bicubic by=2
  | save ppm "all.ppm"
tuned = open "cat.png" | tune picture rounds=3 | tune words alpha=0.5 | invert ddim "cat"->"dog" | sample
tuned | measure brightness "bright.csv"
tuned | save "tuned.png"
"""


@pytest.fixture(scope="module")
def retouch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenProcess]:
    """The command line where the distribution is installed, as pip lays it out: one process for all of it."""
    site = tmp_path_factory.mktemp("studio")
    shutil.copytree(STUDIO, site / STUDIO.name, ignore=shutil.ignore_patterns("__pycache__"))
    info = site / "retouch_studio-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: retouch-studio\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[retouch.plugins]\nstudio = retouch_studio\n")
    process = OpenProcess({"PYTHONPATH": str(site)})
    yield process
    process.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures") / "cat.png").parent


@pytest.fixture(scope="module")
def made(folder: Path, retouch: OpenProcess) -> Ran:
    """All of it in one run."""
    (folder / "all.retouch").write_text(EVERYTHING)
    return retouch("run", "all.retouch", "--json", folder=folder)


def test_it_imports_nothing_of_ours_but_the_api() -> None:
    found = set[str]()
    for path in STUDIO.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module if node.module.startswith("retouch") else node.module.partition(".")[0])
    assert found == THEIRS | {"retouch.api"}


def test_every_stage_of_it_edits_and_costs_what_the_plan_says(made: Ran, folder: Path, retouch: OpenProcess) -> None:
    assert made.code == 0, made.out + made.err
    planned = retouch("plan", "all.retouch", "--json", folder=folder)
    said = json.loads(planned.out)
    rows = made.event("done")["rows"]
    assert [rows, rows] == said["rows"] == [48, 48]
    assert rows == 8 + 16 + 12 + 4 + 8
    weights = said["estimates"][0]["bytes"]["weights"]
    assert weights["studio edges"] == 4 * (4 * 3 * 9 + 4 * 81)
    assert weights["tune picture"] == pytest.approx(weights["unet"] / 10, abs=4)


def test_its_files_are_stamped_counted_and_written_again(made: Ran, folder: Path, retouch: OpenProcess) -> None:
    assert {Path(path).name for path in made.event("result")["files"]} >= {"all.ppm", "tuned.png"}
    assert Image.open(folder / "all.ppm").size == (128, 128)
    told = pictures.metadata(folder / "all.ppm") or {}
    assert told["recipe"] == EVERYTHING
    assert list(json.loads(told["weights"])) == ["studio:edges"]
    assert json.loads(told["plugins"])["studio"] == "retouch-studio 0.1"
    assert "weights" not in (pictures.metadata(folder / "tuned.png") or {})  # that result used none
    before = (folder / "all.ppm").read_bytes()
    again = retouch("run", "all.retouch", "--json", folder=folder)
    assert again.code == 0, again.out
    assert (folder / "all.ppm").read_bytes() == before
    rows = list(csv.reader(line for line in (folder / "bright.csv").read_text().splitlines() if line[0] != "#"))
    assert rows[0] == ["brightness"]
    assert 0 < float(rows[1][0]) < 1


def test_weights_that_are_missing_are_told_before_a_model_loads(folder: Path, retouch: OpenProcess) -> None:
    recipe = 'open "cat.png" | invert ddim "cat"->"dog" | mask gone | blend latent'
    told = retouch("check", "-e", recipe, "--json", folder=folder)
    assert told.code == 1
    assert "RT435" in told.out
    assert "hf download nobody/nothing gone.safetensors --revision 0123456789abcdef" in told.out
    theirs = recipe.replace("gone", "elsewhere")
    assert retouch("check", "-e", theirs, folder=folder).code == 0


EDIT = 'invert edit_friendly steps=4 | mask diffedit "cat"->"dog" | blend latent | blend pixel'


@pytest.mark.thorough
def test_a_flow_in_brackets_gives_the_bytes_of_the_same_flow_without(folder: Path, retouch: OpenProcess) -> None:
    """Its noise, its rows and its calls are those of an ordinary run; mirrored as well, both go into the same calls."""
    said: dict[str, tuple[int, int]] = {}
    for name, text in {
        "plain": EDIT,
        "inside": f"mirror ({EDIT}) flipped=false",
        "both": f"mirror ({EDIT})",
        "nested": f"mirror (mirror ({EDIT}) flipped=false) flipped=false",
    }.items():
        recipe = f'open "cat.png" | {text} | save "{name}.png"'
        ran = retouch("run", "-e", recipe, "--json", folder=folder)
        assert ran.code == 0, ran.out + ran.err
        planned = json.loads(retouch("plan", "-e", recipe, "--json", folder=folder).out)
        said[name] = (ran.event("done")["rows"], ran.event("done")["calls"])
        assert planned["rows"] == [ran.event("done")["rows"]] * 2
    bytes_of = {name: Image.open(folder / f"{name}.png").tobytes() for name in said}
    assert bytes_of["inside"] == bytes_of["nested"] == bytes_of["plain"] != bytes_of["both"]
    assert said["inside"] == said["nested"] == said["plain"]
    assert said["both"][0] == 2 * said["plain"][0]
    assert said["both"][1] == said["plain"][1] + 1  # since a call takes no more than 32 rows
    told = json.loads((pictures.metadata(folder / "inside.png") or {})["stages"])
    assert [each["stage"] for each in told if each["stage"].startswith(("invert", "mirror"))] == [
        "invert edit_friendly",
        "mirror both",
    ]


@pytest.mark.thorough
def test_what_fails_in_brackets_is_told_at_its_own_place(folder: Path, retouch: OpenProcess) -> None:
    """One stage of the flow does not meet what is required: its line is shown, not that of the brackets."""
    recipe = 'open "cat.png" | mirror (invert ddim "cat"->"dog" steps=2 | require psnr min=99) | save "no.png"'
    ran = retouch("run", "-e", recipe, folder=folder)
    assert ran.code == 4
    assert "RT502" in ran.err
    assert "   " + "^" * len("require psnr min=99") in ran.err
    recipe = 'open "cat.png" | mirror (mask box right=0.5 | crop | invert ddim "cat"->"dog") | save "no.png"'
    assert "RT244" in retouch("check", "-e", recipe, folder=folder).err
    ways = "def a() = invert ddim steps=2 | require psnr min=99\ndef b() = invert edit_friendly\n"
    recipe = ways + 'open "cat.png" | mirror (first(a(), b()) | attend p2p "cat"->"dog") | save "yes.png"'
    (folder / "first.retouch").write_text(recipe)
    assert retouch("run", "first.retouch", folder=folder).code == 0


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(STUDIO.parent))
    import retouch_studio.control
    import retouch_studio.inversion
    import retouch_studio.mask
    import retouch_studio.pictures
    import retouch_studio.tuning
    import retouch_studio.walk

    return retouch_studio


@pytest.mark.thorough
def test_it_keeps_the_laws(studio) -> None:
    laws.source_law(studio.inversion.twice)
    laws.replay_law(studio.inversion.twice, tolerance=0.5)
    laws.rows_law(studio.inversion.twice)
    laws.identity_law(studio.control.gaze)
    laws.touch_law(studio.control.gaze)
    laws.stage_laws(studio.pictures.both)
    laws.rule_law(studio.walk.Adams(), tolerance=2e-3)
    own = OwnWeights({"edges": STUDIO / "weights" / "edges.safetensors"}, torch.device("cpu"), torch.float32)
    assert own.network("edges", studio.mask.Edges) is own.network("edges", studio.mask.Edges)
    laws.rows_law(studio.tuning.picture, rounds=2)
    laws.batch_law(lambda i: twice_of(studio, i), tolerance=0.0)


def twice_of(studio, i: int):
    return tiny_world().neighbour(i).call(studio.inversion.twice)


def test_its_training_learns_the_picture_and_leaves_the_model(studio) -> None:
    from retouch.run.executor import run

    world = tiny_world(steps=4)
    base = {name: weight.clone() for name, weight in world.model.core.base.items()}
    tuned, other = run(*(each.call(studio.tuning.picture, rounds=4) for each in (world, world.neighbour(1))))
    assert all(torch.equal(weight, base[name]) for name, weight in world.model.core.base.items())
    assert tuned.identity != other.identity != world.model.identity
    eps, level = world.noise.normal(1, like=world.latents.data)[0], world.schedule.steps[0].noisy

    def missed(model):
        (pred,) = run(model(level.mix(world.latents.data, eps), level, world.edit.source))
        return (pred.eps - eps).square().mean()

    assert missed(tuned) < missed(world.model)


def test_its_schedule_and_solver_walk_a_true_denoiser(studio) -> None:
    world = gaussian_world(steps=8)
    made = studio.walk.quadratic(world.schedule)
    assert len(made) == 8
    assert made.levels[-1] == world.schedule.levels[-1]
