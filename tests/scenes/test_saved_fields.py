"""A field that was saved is gone on with, to the bit, in both spaces; what is none is refused before anything loads."""

from __future__ import annotations

from dataclasses import fields as parts_of
from pathlib import Path
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file

from retouch.api.checking import Environment, check, load_registry
from retouch.api.running import Settings, execute
from retouch.graph.inputs import digest
from retouch.graph.plan import plan
from retouch.graph.work import Works
from retouch.models.files.headers import read_header
from retouch.pictures import metadata
from retouch_scenes.field import Field
from tests.e2e.command import retouch as command
from tests.scenes.cube import cube_views, write

REGISTRY = load_registry()
BOX = "mask box left=25% top=25% right=75% bottom=75%"
EDIT = f'invert sdedit "cube"->"ball" steps=2 strength=1 | {BOX} | blend pixel'
SCENE = 'scene = open views "cube/" caption="a cube"\n'
FIT = "cube = scene | fit field iterations=3 resolution=10 planes=4 rays=64\n"
SAVED = 'cube = scene | fit saved "cube.safetensors"\n'
USES = {
    "revise": f"cube | revise ({EDIT}) iterations=2 rays=64",
    "revise all": 'cube | revise (invert sdedit "cube"->"ball" steps=2) iterations=1 rays=64',
    "lift": f'cube | mask lift ({BOX}) | revise (invert sdedit "cube"->"ball" steps=2) iterations=1 rays=64',
}


def checked(home: Path, text: str):
    return check(SCENE + text, Environment(REGISTRY, home, pictures=(), force=True))


def ran(home: Path, text: str):
    found = checked(home, text)
    assert not found.errors, found.errors
    (outcome,) = execute(found.graphs, registry=REGISTRY, settings=Settings(exact=True)).outcomes
    assert not outcome.failures, outcome.failures
    return outcome


def field_of(outcome) -> Field:
    """The newest that was made."""
    return [value for value in outcome.values.values() if isinstance(value, Field)][-1]


def same(one: Field, other: Field) -> bool:
    """Whether every number of two fields is the same."""
    spaces = [[getattr(each.space, part.name) for part in parts_of(each.space)] for each in (one, other)]
    tensors = [[each.grid, each.changed, *space[1:]] for each, space in zip((one, other), spaces, strict=True)]
    plain = [(each.near, each.far, each.samples, each.open, each.space.kind) for each in (one, other)]
    equal = (a is b if a is None or b is None else torch.equal(a, b) for a, b in zip(*tensors, strict=True))
    return plain[0] == plain[1] and all(equal)


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """A folder for each space, with a scene and the field of it that a recipe saved."""
    found = {kind: tmp_path_factory.mktemp(kind) for kind in ("frustum", "box")}
    for kind, home in found.items():
        write(home / "cube", cube_views(3, side=16, around=kind == "box", alpha=kind == "box"))
        ran(home, FIT + 'cube | save field "cube.safetensors"')
    return found


@pytest.fixture(params=["frustum", "box"])
def home(request, homes):
    return homes[request.param]


@pytest.fixture
def box(homes):
    return homes["box"]


@pytest.fixture
def there(box, tmp_path):
    """A copy of the box's folder, for what is spoilt."""
    return copytree(box, tmp_path / "there")


def test_what_is_read_is_what_was_saved_to_the_bit(home):
    made = [ran(home, text + f'cube | save field "{name}.safetensors"') for name, text in (("x", FIT), ("y", SAVED))]
    assert same(*map(field_of, made))
    for one, other in zip(*(load_file(home / f"{name}.safetensors").items() for name in "xy"), strict=True):
        assert one[0] == other[0]
        assert torch.equal(one[1], other[1])


@pytest.mark.crossed
@pytest.mark.parametrize("use", USES)
def test_what_is_made_of_it_is_what_is_made_of_the_fit_itself(home, use):
    """Rendered, revised, lifted: in exact mode the same numbers and the same bytes."""
    more = f'made = {USES[use]}\nmade | render views | save views "{{}}/transforms.json"\n'
    more += 'made | save turntable "{}.webp" frames=2'
    made = {name: ran(home, text + more.replace("{}", name)) for name, text in (("fit", FIT), ("saved", SAVED))}
    assert same(*(field_of(each) for each in made.values()))
    fit, saved = ({path.name: path.read_bytes() for path in (home / name).rglob("*.png")} for name in made)
    assert fit == saved
    assert len(fit) == 3


def test_what_was_revised_is_still_the_part_that_a_flow_without_a_mask_changes(box):
    ran(box, FIT + f'cube | revise ({EDIT}) iterations=1 rays=64 | save field "ball.safetensors"')
    again = 'revise (invert sdedit "cube"->"ball" steps=2) iterations=1 rays=64'
    made = ran(box, f'scene | fit saved "ball.safetensors" | {again} | save field "z.safetensors"')
    before, after = (load_file(box / f"{name}.safetensors") for name in ("ball", "z"))
    assert 0 < float(before["changed"].float().mean()) < 1
    assert torch.equal(before["changed"], after["changed"])
    assert torch.equal(before["grid"][:, ~before["changed"]], after["grid"][:, ~after["changed"]])
    assert not torch.equal(before["grid"], field_of(made).grid)


def test_a_mesh_of_it_is_that_of_the_fit_and_of_a_frustum_it_is_refused_at_check(home):
    mesh = 'cube | save mesh "{}.ply" opacity=0.01'
    if "frustum" in home.name:
        assert [each.code for each in checked(home, SAVED + mesh.format("a")).errors] == ["RT226"]
        return
    for name, text in (("a", FIT), ("b", SAVED)):
        ran(home, text + mesh.format(name))
    assert (home / "a.ply").read_bytes() == (home / "b.ply").read_bytes()


def test_the_work_is_what_is_in_the_file_and_not_where_it_lies(box, tmp_path):
    copytree(box / "cube", tmp_path / "cube")
    text = SAVED + 'cube | save field "w.safetensors"'

    def work(place: Path):
        (graph,) = checked(place, text).graphs
        return Works(REGISTRY.built_in).of(graph)[graph.results[0]]

    there = tmp_path / "cube.safetensors"
    there.write_bytes((box / "cube.safetensors").read_bytes())
    assert work(tmp_path) == work(box)
    other = load_file(there)
    save_file({**other, "grid": other["grid"] + 1}, there, read_header(there).metadata)
    assert work(tmp_path) != work(box)


def test_a_plan_knows_its_memory_and_that_it_costs_no_rows(home):
    (graph,) = checked(home, SAVED + f'cube | revise ({EDIT}) | save field "p.safetensors"').graphs
    facts = {node.card.name: plan(graph).facts[node.id] for node in graph.nodes}
    size = load_file(home / "cube.safetensors")["grid"][0].numel()
    assert facts["fit saved"]["numbers"] >= 24 * size
    assert facts["revise dataset"]["numbers"] == facts["fit saved"]["numbers"]
    assert facts["fit saved"]["frustum"] == ("frustum" in home.name)


def test_a_result_says_which_file_it_is_of_and_is_made_again(box):
    (box / "r.retouch").write_text(SCENE + SAVED + 'cube | save turntable "r.webp" frames=2')
    assert command("run", "r.retouch", "--exact", folder=box).code == 0
    told = metadata(box / "r.webp")
    assert digest(box / "cube.safetensors") in told["inputs"]
    assert str(box) not in str(told)
    again = command("rerun", "r.webp", "--verify", folder=box)
    assert again.out.startswith("same: every pixel is the same"), again.err


def test_several_fields_are_a_list(box):
    first = load_file(box / "cube.safetensors")
    save_file(
        {**first, "grid": first["grid"] * 0}, box / "none.safetensors", read_header(box / "cube.safetensors").metadata
    )
    text = 'scene | fit saved ["cube.safetensors", "none.safetensors"] | save turntable "{path}.webp" frames=2'
    found = checked(box, text)
    assert not found.errors, found.errors
    assert (
        len(
            {
                str(node.options["path"])
                for graph in found.graphs
                for node in graph.nodes
                if node.card.name == "fit saved"
            }
        )
        == 2
    )


def spoilt(path: Path, how: str) -> None:
    """A file with one thing wrong."""
    tensors, said = load_file(path), dict(read_header(path).metadata)
    match how:
        case "cut off":
            path.write_bytes(path.read_bytes()[:-9])
        case "text":
            path.write_text("not a field")
        case "another file":
            save_file(tensors, path, {"format": "pt"})
        case "another version":
            save_file(tensors, path, {**said, "format": "field of retouch, 1"})
        case "a type":
            save_file({**tensors, "grid": tensors["grid"].half()}, path, said)
        case "a part":
            save_file({name: each for name, each in tensors.items() if name != "low"}, path, said)
        case "samples":
            save_file(tensors, path, {**said, "samples": "1"})
        case "far":
            save_file(tensors, path, {**said, "far": "nan"})


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("cut off", "is cut off"),
        ("text", "not a safetensors file"),
        ("another file", "no field that 'save field' wrote"),
        ("another version", "of version 1, and this reads 2"),
        ("a type", "its grid is not"),
        ("a part", "its 'low' is not"),
        ("samples", "do not say how it is seen"),
        ("far", "do not say how it is seen"),
    ],
)
def test_what_is_no_field_is_told_at_check_with_what_to_do(box, tmp_path, how, told):
    copytree(box / "cube", tmp_path / "cube")
    (tmp_path / "cube.safetensors").write_bytes((box / "cube.safetensors").read_bytes())
    spoilt(tmp_path / "cube.safetensors", how)
    (error,) = checked(tmp_path, SAVED + 'cube | save field "x.safetensors"').errors
    assert (error.code, told in error.message, str(tmp_path) in error.message) == ("RT579", True, False), error
    assert error.help


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('scene | fit saved "not there.safetensors" | save field "x.safetensors"', "RT402"),
        ('scene | fit saved "../cube.safetensors" | save field "x.safetensors"', "RT403"),
        ("scene | fit saved", "RT223"),
        ('scene | fit saved "cube.safetensors" iterations=3 | save field "x.safetensors"', "RT205"),
        ('scene | fit saved "cube.safetensors" | save field "cube.safetensors"', "RT407"),
        ('fit saved "cube.safetensors" | save field "x.safetensors"', "RT301"),
        (SAVED + f'cube | revise (fit saved "cube.safetensors" | {EDIT}) | save field "x.safetensors"', "RT242"),
    ],
)
def test_what_cannot_be_meant_is_told_at_check(box, text, code):
    assert code in {error.code for error in checked(box, text).errors}


def test_numbers_that_are_none_are_told_in_the_run(box, tmp_path):
    copytree(box / "cube", tmp_path / "cube")
    tensors, said = load_file(box / "cube.safetensors"), read_header(box / "cube.safetensors").metadata
    tensors["grid"][0, 0, 0, 0] = torch.nan
    save_file(tensors, tmp_path / "cube.safetensors", said)
    found = checked(tmp_path, SAVED + 'cube | save field "x.safetensors"')
    (outcome,) = execute(found.graphs, registry=REGISTRY).outcomes
    assert [(each.code, "not finite" in each.message) for each in outcome.failures] == [("RT579", True)]


def test_a_field_of_another_place_is_told(box, tmp_path):
    views = cube_views(4, side=16)
    views.poses[:, :3, 3] += 1000
    write(tmp_path / "cube", views)
    (tmp_path / "cube.safetensors").write_bytes((box / "cube.safetensors").read_bytes())
    found = checked(tmp_path, SAVED + 'cube | save field "x.safetensors"')
    (outcome,) = execute(found.graphs, registry=REGISTRY).outcomes
    assert [each.code for each in outcome.failures] == ["RT575"]
    assert "do not look at the field" in outcome.failures[0].message
