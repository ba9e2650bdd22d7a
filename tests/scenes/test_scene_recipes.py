"""Scenes in recipes: checked, planned, run with the embedded model, stamped, made again, swept, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image as Pillow
from safetensors.torch import load_file

import retouch
from retouch.api import Image
from retouch.api.checking import Environment, check, load_registry
from retouch.api.folders import UnfitFolder
from retouch.api.running import execute
from retouch.graph.folders import FilesBelow
from retouch.graph.nodes import Picture
from retouch.graph.plan import plan
from retouch.paths import folder
from retouch.pictures import Unwritable, metadata
from retouch.run.files.provenance import digest
from retouch_scenes.transforms import shots
from tests.e2e.command import retouch as command
from tests.scenes.cube import cube_views, write

REGISTRY = load_registry()
BOX = "mask box left=25% top=25% right=75% bottom=75%"
TURN = f'invert sdedit "cube"->"ball" steps=2 strength=1 | {BOX} | blend latent | blend pixel'
SCENE = 'scene = open views "cube/" caption="a cube"\n'
FIT = SCENE + "cube = scene | fit field iterations=8 resolution=12 planes=4 rays=256\n"
UNMASKED = (
    'cube | mask lift (invert ddim "cube"->"ball") | revise (invert ddim "cube"->"ball") | save field "x.safetensors"'
)
ALL = FIT + (
    f"ball = cube | revise ({TURN}) iterations=4 rays=256\n"
    'ball | save field "ball.safetensors"\n'
    'ball | save turntable "ball.webp" frames=3\n'
    'ball | render views | save views "ball/transforms.json"\n'
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a scene, and all that the recipe makes of it in exact mode."""
    home = tmp_path_factory.mktemp("home")
    write(home / "cube", cube_views(4, side=32, around=False, alpha=False))
    (home / "a.png").write_bytes((home / "cube/images/000.png").read_bytes())
    (home / "all.retouch").write_text(ALL)
    done = command("run", "all.retouch", "--exact", "--json", folder=home)
    assert done.code == 0, done.err
    (home / "events.json").write_text(done.out)
    return home


def checked(home: Path, text: str):
    return check(text, Environment(REGISTRY, home, pictures=(), force=True))


def fields(outcome):
    """Those that were made, in their order."""
    return [value for value in outcome.values.values() if type(value).__name__ == "Field"]


def ran(home: Path, text: str):
    found = checked(home, text)
    assert not found.errors, found.errors
    (outcome,) = execute(found.graphs, registry=REGISTRY).outcomes
    return outcome


def test_what_it_made_is_whole_and_opens(home):
    field = load_file(home / "ball.safetensors")
    assert field["grid"].dtype == torch.float32
    assert field["grid"].shape[:2] == (4, 4)
    film = Pillow.open(home / "ball.webp")
    assert (film.n_frames, film.size, film.info["loop"]) == (3, (32, 32), 0)
    made = shots(FilesBelow(home / "ball"))
    assert [shot.pose for shot in made] == [shot.pose for shot in shots(FilesBelow(home / "cube"))]
    assert not checked(home, FIT.replace("cube/", "ball/") + 'cube | save field "x.safetensors"').errors


@pytest.mark.parametrize("file", ["ball.safetensors", "ball.webp", "ball/transforms.json"])
def test_each_file_says_how_it_was_made_and_is_made_again_to_the_bit(home, file):
    told = metadata(home / file)
    assert 'open views "cube/"' in told["recipe"]
    assert list(json.loads(told["inputs"])) == ["cube/"]
    assert str(home) not in json.dumps(told)
    again = command("rerun", file, "--verify", folder=home)
    assert again.out.startswith("same: every pixel is the same"), again.err


def test_a_scene_that_is_another_since_is_told(home, tmp_path):
    write(tmp_path / "cube", cube_views(4, side=32, around=False, alpha=False))
    (tmp_path / "ball.webp").write_bytes((home / "ball.webp").read_bytes())
    Pillow.new("RGB", (32, 32)).save(tmp_path / "cube/images/000.png")
    again = command("rerun", "ball.webp", "--verify", folder=tmp_path)
    assert again.code == 1
    assert "has changed since" in again.err


def test_events_tell_of_every_stage_and_of_learning(home):
    events = [json.loads(line) for line in (home / "events.json").read_text().splitlines()]
    stages = {event["stage"] for event in events if event.get("event") == "stage"}
    assert {"open views", "fit field", "revise dataset", "save views", "save field", "save turntable"} <= stages
    assert {event["stage"] for event in events if event.get("event") == "learning"} == {"fit field", "revise dataset"}


def test_a_plan_prices_the_turn_on_all_views_and_the_memory_of_the_grid(home):
    (graph,) = checked(home, ALL).graphs
    planned = plan(graph)
    (revision,) = [id_ for id_ in planned.rows if "revise" in id_]
    assert planned.rows[revision] == (4 * 4, 4 * 4)
    twice = ALL.replace("iterations=4", "rounds=2 iterations=4")
    assert plan(checked(home, twice).graphs[0]).total == (32, 32)
    grids = [facts["numbers"] for facts in planned.facts.values() if "numbers" in facts]
    assert all(number >= 24 * 12 * 12 * 4 for number in grids)
    assert len(grids) >= 2
    assert "fit field" in command("plan", "all.retouch", folder=home).out


@pytest.mark.parametrize(("options", "told"), [("levels=3", ["RT227"]), ("levels=2", []), ("", [])])
def test_more_grids_than_steps_are_told_where_somebody_asked_for_them(home, options, told):
    found = checked(home, SCENE + f'scene | fit field iterations=2 {options} | save field "x.safetensors"')
    assert [each.code for each in found.diagnostics] == told


def test_rows_of_a_run_are_those_of_the_plan_and_are_packed(home):
    found = checked(home, FIT + f'cube | revise ({TURN}) iterations=1 rays=64 | save field "y.safetensors"')
    result = execute(found.graphs, registry=REGISTRY)
    assert sum(result.outcomes[0].rows.values()) == plan(found.graphs[0]).total[1] == 16
    assert len([call for call in result.calls if call.kind == "denoise"]) <= 4


@pytest.mark.thorough
def test_the_photographs_are_learnt_once_for_all_views_and_lead_to_another_field(home):
    """A tuning in the brackets on the scene's own pictures: 6 rows, whatever number of views and rounds."""
    learns = 'tune dreambooth prompt="a cube" pictures="cube/images/*.png" iterations=3 batch=2 lr=0.001'
    rows, made = [], []
    for turn in (TURN, f"{learns} | {TURN}"):
        text = FIT + f'cube | revise ({turn}) rounds=2 iterations=1 rays=64 | save field "y.safetensors"'
        found = checked(home, text)
        (outcome,) = execute(found.graphs, registry=REGISTRY).outcomes
        rows.append((sum(outcome.rows.values()), plan(found.graphs[0]).total[1]))
        made.append(fields(outcome)[-1])
    assert rows == [(32, 32), (38, 38)]
    assert not torch.equal(made[0].grid, made[1].grid)


def test_voxels_outside_the_part_keep_their_bits_in_a_run(home):
    outcome = ran(home, FIT + f'cube | revise ({TURN}) iterations=2 rays=64 | save field "y.safetensors"')
    before, after = fields(outcome)
    assert 0 < float(after.changed.float().mean()) < 1
    assert torch.equal(after.grid[:, ~after.changed], before.grid[:, ~after.changed])
    assert not torch.equal(after.grid, before.grid)


def test_a_part_that_was_lifted_is_what_may_change(home):
    text = f'cube | mask lift ({BOX}) | revise (invert sdedit "cube"->"ball" steps=2) iterations=1 rays=64'
    outcome = ran(home, FIT + text + ' | save field "y.safetensors"')
    (part,) = [value for value in outcome.values.values() if type(value).__name__ == "Volume"]
    assert 0 < float(part.data.float().mean()) < 0.5
    assert torch.equal(fields(outcome)[-1].changed, part.data)


def test_masks_that_meet_nowhere_fail_the_scene_with_what_to_do(home):
    turn = 'invert sdedit "cube"->"ball" steps=2 | mask box left=0 right=5% top=0 bottom=5% | blend pixel'
    outcome = ran(home, FIT + f'cube | revise ({turn}) iterations=1 share=1 | save field "z.safetensors"')
    assert [failure.code for failure in outcome.failures] == ["RT575"]
    assert "share" in outcome.failures[0].help
    assert not (home / "z.safetensors").exists()


def test_lists_make_a_scene_for_each_item(home):
    text = FIT.replace("iterations=8", "iterations=[1, 2]") + 'cube | save field "cube-{iterations}.safetensors"'
    ran(home, text)
    one, two = (load_file(home / f"cube-{n}.safetensors")["grid"] for n in (1, 2))
    assert not torch.equal(one, two)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('open views "cube/" | revise (invert ddim "cube"->"ball") | save field "x.safetensors"', "RT301"),
        (FIT + 'cube | revise | save field "x.safetensors"', "RT241"),
        (FIT + 'cube | revise "cube"->"ball" | save field "x.safetensors"', "RT207"),
        (FIT + UNMASKED, "RT226"),
        (FIT + "cube | render views", "RT223"),
        (FIT + "cube", "RT223"),
        (FIT + 'cube | save turntable "x.png"', "RT425"),
        (FIT + 'cube | save views "x.txt"', "RT425"),
        ('fit field | save field "x.safetensors"', "RT301"),
        ('open views "cube/" | render views | save views "x.json"', "RT301"),
        (FIT + 'cube | revise (revise (invert ddim "cube"->"ball")) | save field "x.safetensors"', "RT242"),
        (FIT + f'cube | revise (invert ddim "cube"->"ball" | mask lift ({BOX})) | save field "x.safetensors"', "RT242"),
        (FIT + f'cube | revise ({BOX}) | save field "x.safetensors"', "RT243"),
        (FIT + f'cube | revise (upscale | {TURN}) | save field "x.safetensors"', "RT226"),
        (FIT + f'cube | mask lift ({BOX} | upscale) | revise ({TURN}) | save field "x.safetensors"', "RT226"),
        (FIT + f'cube | revise (draw (upscale | {TURN}) | rank change) | save field "x.safetensors"', "RT226"),
        (FIT + 'cube | invert ddim "cube"->"ball" | save "x.png"', "RT301"),
        (FIT + 'cube | save views "x.json"', "RT226"),
        (FIT + 'scene | save views "cube/transforms.json"', "RT407"),
        (FIT + 'cube | save field "x.safetensors"\nopen "a.png" | mask box | save mask "cube/images/001.png"', "RT407"),
    ],
)
def test_what_cannot_go_together_is_told_at_check(home, text, code):
    codes = {found.code for found in checked(home, text).errors}
    assert code in codes
    if "revise (revise" in text:
        (found,) = checked(home, text).errors
        assert "one 'revise dataset' is enough" in found.help
    if code in ("RT226", "RT242", "RT243", "RT407"):
        assert codes == {code}  # and nothing else beside it


@pytest.mark.parametrize(
    "turn",
    [
        f"{BOX} | crop | {{}} | paste",
        f"{BOX} | crop | upscale | {{}} | paste",
        "upscale factor=1 | {}",
        "first(fast(), slow())",
    ],
)
def test_a_flow_that_gives_its_pictures_back_at_their_size_may_make_them_larger_between(home, turn):
    text = 'def fast() = invert ddim "cube"->"ball" | require psnr min=3\ndef slow() = invert sdedit "cube"->"ball"\n'
    edit = turn.format('invert sdedit "cube"->"ball" steps=2 strength=1')
    text += FIT + f"cube | revise ({edit}) | render views"
    assert not checked(home, text + ' | save views "x.json"').errors


def test_a_picture_of_a_scene_is_edited_in_brackets_and_not_that_of_the_command_line(home):
    world = Environment(REGISTRY, home, (Picture(home / "a.png"),))
    found = check(FIT + 'cube | invert ddim "cube"->"ball" | save "x.png"', world)
    (error,) = found.errors
    assert (error.code, "revise (…)" in error.help) == ("RT301", True)


@pytest.mark.parametrize(
    ("focal", "alpha", "fit", "told"),
    [
        (8, False, "", True),
        (8, False, "near=2", False),
        (8, True, "", False),
        (22, False, "", False),
    ],
)
def test_fog_is_told_where_photographs_are_wide_and_nothing_is_cut_out(home, tmp_path, focal, alpha, fit, told):
    write(tmp_path / "cube", cube_views(6, side=16, alpha=alpha), fl_x=focal, fl_y=focal)
    outcome = ran(tmp_path, SCENE + f'scene | fit field {fit} iterations=1 rays=16 | save field "x.safetensors"')
    assert any("fog" in notice and "near=" in notice for notice in outcome.notices) == told


def test_from_python_it_is_the_same(home):
    made = retouch.recipe(FIT + 'cube | save field "python.safetensors"', home)()
    assert (home / "python.safetensors").is_file()
    assert made is not None


def test_a_run_that_ends_midway_leaves_no_half_written_folder(home, tmp_path):
    from retouch.run.files.outbox import FileOut

    image = Image(torch.zeros(3, 4, 4))
    out = FileOut(lambda _path: {"retouch": "1"})
    for place in (tmp_path / "list.json", tmp_path / "new/deep/list.json"):
        with pytest.raises(KeyboardInterrupt), out.album(str(place), {"a.png": image}):
            raise KeyboardInterrupt
        assert not list(tmp_path.iterdir())
    with pytest.raises(Unwritable), out.album(str(tmp_path / "new/list.json"), {"a.odd": image}):
        raise AssertionError
    assert not list(tmp_path.iterdir())


def test_a_process_that_ends_at_once_leaves_no_pictures_that_nobody_lists(home, tmp_path):
    from retouch.pictures.atomic import remove_unfinished
    from retouch.run.files.outbox import FileOut

    out = FileOut(lambda _path: {})
    with out.album(str(tmp_path / "new/list.json"), {"a.png": Image(torch.zeros(3, 4, 4))}):
        assert len(list((tmp_path / "new").iterdir())) == 1
        remove_unfinished()
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stamp", [{"retouch": "1"}, {}])
def test_a_folder_that_a_list_of_ours_named_before_goes_with_it(home, tmp_path, stamp):
    """Ours by what it says of itself, or by the journal alone."""
    from retouch.pictures.journal import NAME, FolderJournal
    from retouch.run.files.outbox import FileOut

    def written(path, sha256):
        FolderJournal(tmp_path).add("saved", file=path.name, sha256=sha256, work="w")

    def write_list(shade):
        out = FileOut(lambda _path: stamp, written=written)
        path = str(tmp_path / "list.json")
        with out.album(path, {"a.png": Image(torch.full((3, 4, 4), shade))}) as folder, out.file(path) as file:
            file.write(json.dumps({"file": f"{folder}/a.png", "retouch": out.stamp(path)}).encode())
        return folder

    (tmp_path / "list-0123456789ab").mkdir()  # nobody listed it
    first, second, again = write_list(0.0), write_list(1.0), write_list(1.0)
    assert first != second == again
    assert {path.name for path in tmp_path.iterdir()} - {NAME} == {"list.json", second, "list-0123456789ab"}


def test_pictures_that_were_removed_or_changed_since_are_put_back(tmp_path):
    from retouch.run.files.outbox import FileOut

    def write_list():
        out = FileOut(lambda _path: {})
        images = {f"{shade}.png": Image(torch.full((3, 4, 4), float(shade))) for shade in (0, 1)}
        with out.album(str(tmp_path / "list.json"), images) as folder:
            return tmp_path / folder

    made = write_list()
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    (made / "0.png").unlink()
    (made / "1.png").write_bytes(b"other")
    assert write_list() == made
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == [made.name]


@pytest.mark.thorough
def test_a_light_command_loads_no_torch_for_a_scene(home):
    import subprocess
    import sys

    code = (
        "import sys; from retouch.cli.main import main; main(['check', 'all.retouch']); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=home, check=False, capture_output=True).returncode == 0


def test_an_unfit_folder_says_what_and_how_to_mend_it(tmp_path):
    with pytest.raises(UnfitFolder) as told:
        shots(FilesBelow(tmp_path))
    assert told.value.code == "RT570"
    assert told.value.mend


@pytest.mark.parametrize(
    "film", sorted((folder("recipes") / "gallery/scenes").glob("*.webp")), ids=lambda path: path.stem
)
def test_a_film_of_the_gallery_is_of_the_recipe_and_the_scene_that_ship(film):
    told, scenes = metadata(film), folder("recipes") / "scenes"
    text = (scenes / f"{film.stem}.retouch").read_text("utf-8")
    assert told["recipe"] == text.replace('"hat/', '"')  # stamps name no folders
    scene = "orchard" if film.stem == "all_round" else "beach"
    assert json.loads(told["inputs"])[f"{scene}/"] == digest(scenes / scene)


@pytest.mark.parametrize("recipe", sorted((folder("recipes") / "scenes").glob("*.retouch")), ids=lambda path: path.stem)
def test_a_recipe_of_scenes_that_ships_has_no_mistake(recipe):
    assert not checked(recipe.parent, recipe.read_text("utf-8")).diagnostics
