"""Retouch from Python: the same graphs as the text, pictures in and pictures out, and errors that carry diagnostics."""

from __future__ import annotations

import gc
import pickle  # noqa: TID251  a recipe goes to worker processes
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakValueDictionary

import pytest
import torch
from PIL import Image

import retouch
from retouch import paths
from retouch.graph.keys import node_keys
from retouch.run.loaded import model_cache
from retouch_models.stable_diffusion import StableDiffusion
from retouch_storybook.world import Scene
from tests.e2e.command import draw

EDIT = 'invert ddim steps=2 | attend p2p "cat"->"dog"'


def keys(recipe: retouch.Recipe, *sources):
    return [set(node_keys(graph).values()) for graph in recipe.graphs(*sources)]


def test_importing_it_loads_nothing_heavy():
    told = "import sys, retouch; print(sorted({'torch', 'lark', 'PIL', 'diffusers'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_flow_builds_the_graph_of_its_text(cat, monkeypatch):
    monkeypatch.chdir(cat.parent)
    photo = retouch.open("cat.png", caption="a white cat in a meadow")
    change = retouch.edit("cat", "dog", weight=1.5) + retouch.add("a hat")
    area = photo | retouch.mask.diffedit(retouch.edit("cat", "dog")) | retouch.mask.dilate(pixels=4)
    flow = photo | retouch.invert.null_text(steps=50) | retouch.attend.p2p(change, cross_replace=0.5)
    flow |= retouch.blend.latent(mask=area) | retouch.save("dog.png")
    text = (
        'photo = open "cat.png" caption="a white cat in a meadow"\n'
        'area = photo | mask diffedit "cat"->"dog" | mask dilate pixels=4\n'
        'photo | invert null_text steps=50 | attend p2p "cat"->"dog"*1.5 +"a hat" cross_replace=0.5 '
        '| blend latent mask=area | save "dog.png"\n'
    )
    assert keys(flow.recipe) == keys(retouch.recipe(text, cat.parent))


@pytest.mark.thorough
def test_a_recipe_takes_paths_pictures_and_tensors(cat):
    edit = retouch.recipe(EDIT)
    caption = cat.with_suffix(".txt").read_text().strip()
    picture = Image.open(cat).convert("RGB")
    data = torch.tensor(list(picture.tobytes())).reshape(64, 64, 3).permute(2, 0, 1) / 255
    images = [edit(source, caption=caption).image for source in (cat, str(cat), picture, data)]
    assert {image.size for image in images} == {(64, 64)}
    assert len({image.tobytes() for image in images}) == 1
    assert images[0].tobytes() != picture.tobytes()


def test_a_result_says_what_it_made_and_cost(cat):
    result = retouch.recipe('invert ddim steps=2 | mask diffedit "cat"->"dog" maps=2 | blend latent')(cat)
    assert result.mask.data.shape == (16, 16)
    assert len(result.trajectory.schedule) == 2
    assert result.cost == 2 + 4 + 2 * 2
    assert len(result.images) == 1


def test_a_notebook_shows_a_result_as_its_picture_and_in_a_line(cat):
    made = retouch.recipe("upscale factor=2")(cat)
    assert repr(made) == "<Result: images 128×128; 0 rows>"
    assert made._repr_png_().startswith(b"\x89PNG")


def test_many_pictures_share_their_calls_and_one_that_fails_says_why(tmp_path):
    good = [draw(tmp_path / f"{i}.png", Scene("cat", "gray", "in a room", seed=i)) for i in range(2)]
    torn = tmp_path / "torn.png"
    torn.write_bytes(good[0].read_bytes()[:400])
    torn.with_suffix(".txt").write_text("a gray cat")
    results = retouch.recipe(EDIT)([good[0], torn, good[1]])
    assert [result.ok for result in results] == [True, False, True]
    assert [found.code for found in results[1].diagnostics] == ["RT504"]
    with pytest.raises(retouch.EditFailed, match=r"'torn\.png' is not an image that can be read"):
        _ = results[1].image


def test_lists_make_several_pictures(cat):
    result = retouch.recipe('invert ddim "cat"->["dog", "fox"] steps=2')(cat)
    assert len({image.tobytes() for image in result.images}) == 2


@pytest.mark.thorough
def test_lets_are_changed_by_name(cat):
    edit = retouch.recipe(f"let how = 1\n{EDIT} | sample guidance=how")
    assert edit(cat, how=1).image.tobytes() != edit(cat, how=4).image.tobytes()


@pytest.mark.thorough
def test_a_recipe_keeps_its_model_loaded_and_nothing_of_a_run(cat, monkeypatch):
    monkeypatch.setattr(model_cache, "_alive", WeakValueDictionary())  # without what other tests have left
    loads = []
    real = StableDiffusion.load
    monkeypatch.setattr(StableDiffusion, "load", lambda *args: loads.append(1) or real(*args))
    edit = retouch.recipe('invert null_text steps=2 inner_steps=2 | attend p2p "cat"->"dog"')
    first, again = edit(cat).image, edit(cat).image
    assert first.tobytes() == again.tobytes()
    assert len(loads) == 1
    other = retouch.recipe('invert ddim steps=2 | attend masactrl "cat"->"dog" start=0')
    plain = other(cat).image.tobytes()
    with ThreadPoolExecutor(4) as pool:
        made = [result.image.tobytes() for result in pool.map(lambda recipe: recipe(cat), [edit, other] * 2)]
    assert made == [first.tobytes(), plain] * 2
    elsewhere = pickle.loads(pickle.dumps(edit))
    assert (elsewhere, elsewhere(cat).image.tobytes(), len(loads)) == (edit, first.tobytes(), 1)
    del edit, elsewhere, other
    gc.collect()
    retouch.recipe("invert ddim steps=2")(cat)
    assert len(loads) == 2


def test_errors_carry_diagnostics(cat):
    with pytest.raises(retouch.RecipeError, match=r"error\[RT205\]") as wrong:
        retouch.recipe(EDIT + " strenght=1")(cat)
    assert [found.code for found in wrong.value.diagnostics] == ["RT205"]
    with pytest.raises(retouch.RecipeError, match=r"RT402.*\n --> what was given:1:1\n.*\n1 \| nowhere.png"):
        retouch.recipe(EDIT)("nowhere.png")
    with pytest.raises(retouch.RecipeError, match=r"RT222.*\n --> what was given:1:1\n.*\n1 \| strenght=1"):
        retouch.recipe(EDIT)(cat, strenght=1)
    with pytest.raises(retouch.EditFailed, match="RT502"):
        retouch.recipe('invert ddim steps=2 | require psnr min=100 | attend p2p "cat"->"dog"')(cat)
    with pytest.raises(TypeError, match="no value such as"):
        retouch.invert.ddim(steps=object())
    with pytest.raises(AttributeError, match="no attribute 'inverse'"):
        _ = retouch.inverse


@pytest.mark.thorough
def test_the_example_of_the_readme_runs(cat, monkeypatch):
    """In two steps instead of fifty."""
    page = (paths.folder("recipes").parent / "README.md").read_text("utf-8")
    example = page.partition("```python\n")[2].partition("```")[0]
    assert "retouch.recipe" in example
    example = example.replace("invert null_text", "invert null_text steps=2").replace("ddim()", "ddim(steps=2)")
    for name in ("one.png", "two.png"):
        draw(cat.with_name(name))
    monkeypatch.chdir(cat.parent)
    exec(compile(example, "README.md", "exec"), {})
    assert Image.open("dog.png").size == (64, 64)


def test_observers_hear_a_run_whoever_starts_it(tmp_path, monkeypatch):
    from retouch.plugins import registry

    heard, loaded = [], registry.load()
    watching = lambda tell: lambda event, facts: heard.append(event)  # noqa: E731 (stands for a plugin that observes)
    monkeypatch.setattr(type(loaded.live), "observing", lambda _self, tell: watching(tell))
    retouch.recipe('invert sdedit "cat"->"dog" steps=2 strength=100%')(draw(tmp_path / "cat.png"))
    assert "call" in heard
