"""Work that several recipes share is done once: what is read back gives the files that would be made."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

import retouch.run.store.keys as store_keys
from retouch.graph.nodes import Graph
from retouch.graph.work import Making
from retouch.run.outcome import RunResult
from retouch.run.session import execute
from retouch.run.settings import Settings
from retouch.run.store.blobs import Store
from retouch.run.store.keeping import RunStore
from retouch.run.store.keys import Keys, worth_keeping
from retouch_storybook.world import Scene
from tests.e2e.command import Ran, draw, retouch
from tests.e2e.sessions import INSTALLED, KEPT, graphs
from tests.e2e.test_ten_inversions import INVERSIONS, OPTIONS

pytestmark = pytest.mark.usefixtures("two_rows", "small_for_commands")

P2P = 'invert ddim "cat"->"dog" steps=2 | attend p2p'
MASKED = 'invert ddim "cat"->"dog" steps=2 | mask diffedit maps=2 | blend latent'
FREE = {"invert sdedit", "invert flowedit"}  # ask no network


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RETOUCH_CACHE", str(tmp_path / "cache"))
    draw(tmp_path / "one.png")
    return tmp_path


def run(folder: Path, recipe: str, out: str, *args: object, picture: str = "one.png") -> Ran:
    ran = retouch("run", "-e", recipe, picture, "-o", out, "--json", *args, folder=folder)
    assert ran.code == 0, ran.err
    return ran


def rows(ran: Ran) -> int:
    return ran.event("done")["rows"]


def made(graphs: Sequence[Graph], store: Store | None, exact: bool = True) -> tuple[RunResult, RunStore | None]:
    settings = Settings(exact=exact)
    kept = RunStore(store, settings) if store else None
    result = execute(graphs, registry=INSTALLED, settings=settings, machine=KEPT, store=kept, keep=False)
    assert not any(outcome.failed for outcome in result.outcomes), [o.failures for o in result.outcomes]
    return result, kept


def keeps(methods: Sequence[str], here: Path) -> None:
    """Exact runs of each, without a store, with an empty one and with a full one, write the same bytes."""
    draw(here / "cat.png")
    todo = [
        graphs(
            f'invert {method} {OPTIONS.get(method, "")} | attend p2p "cat"->"dog" | save "{method}.png"',
            [here / "cat.png"],
            here / "out",
            steps=2,
        )[0]
        for method in methods
    ]
    todo += graphs(f'{MASKED} | save "masked.png"', [here / "cat.png"], here / "out")
    for at, graph in enumerate(todo):
        store, files = Store(here / f"store {at}", 10**9), list[bytes]()
        for each in (None, store, store):
            result, kept = made([graph], each)
            (outcome,) = result.outcomes
            files.append(outcome.files[0].read_bytes())
        worth = worth_keeping(graph)
        assert files[0] == files[1] == files[2], worth
        assert kept is not None
        assert {*kept.taken} == {node.card.name for node in worth} - FREE
        assert not any(outcome.rows.get(node.id) for node in worth), "no row is paid for what was kept"


def test_inversions_and_masks_give_the_same_files_with_and_without_a_store(tmp_path: Path) -> None:
    keeps(["negative_prompt"], tmp_path)


@pytest.mark.bench
def test_every_inversion_gives_the_same_files_with_and_without_a_store(tmp_path: Path) -> None:
    keeps(INVERSIONS, tmp_path)


@pytest.mark.thorough
def test_a_second_recipe_on_the_same_picture_does_not_invert_again(folder: Path) -> None:
    first = rows(run(folder, P2P, "a"))
    plain = rows(run(folder, MASKED, "b", "--no-store"))
    second = run(folder, MASKED, "c")
    assert (first, rows(second)) == (10, plain - 2)
    assert second.event("done")["store"] == {"invert ddim": 1}
    words = retouch("run", "-e", MASKED, "one.png", "-o", "d", folder=folder)
    assert "from the store: 1 of 'invert ddim', 1 of 'mask diffedit'\n" in words.out
    planned = retouch("plan", "-e", MASKED, "one.png", "-o", "e", folder=folder)
    said = "in the store, so that no rows are paid for them: 1 of 'invert ddim', 1 of 'mask diffedit'; --no-store"
    assert said in planned.out
    assert "in the store" not in retouch("plan", "-e", P2P, "one.png", "-o", "e", "--no-store", folder=folder).out


@pytest.mark.thorough
def test_workers_take_what_is_kept_and_keep_what_they_make(folder: Path) -> None:
    draw(folder / "two.png", Scene("cat", "white", "in a meadow", seed=2))
    run(folder, P2P, "a", "--exact")
    plain = rows(run(folder, P2P, "b", "two.png", "--exact", "--no-store"))
    by_worker = run(folder, P2P, "b", "two.png", "--exact", "--workers", 1, "--again")
    assert by_worker.event("done")["store"] == {"invert ddim": 1}
    assert rows(by_worker) == plain - 2
    assert run(folder, P2P, "c", "--exact", picture="two.png").event("done")["store"] == {"invert ddim": 1}
    for mine, theirs in (("a/one.png", "b/one.png"), ("c/two.png", "b/two.png")):
        assert (folder / mine).read_bytes() == (folder / theirs).read_bytes()


def test_it_is_off_by_a_flag_and_by_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder, P2P, "a", "--no-store")
    assert not (folder / "cache" / "store").exists()
    monkeypatch.setenv("RETOUCH_STORE", "off")
    run(folder, P2P, "b")
    assert not (folder / "cache" / "store").exists()
    monkeypatch.setenv("RETOUCH_STORE", "plenty")
    ran = retouch("run", "-e", P2P, "one.png", "-o", "c", folder=folder)
    assert (ran.code, "RETOUCH_STORE takes gigabytes" in ran.err) == (2, True)


def test_work_that_comes_to_the_same_values_ends_there(folder: Path) -> None:
    """A picture that was saved anew has other bytes and the same pixels, so all behind it is there."""
    run(folder, P2P, "a")
    with Image.open(folder / "one.png") as picture:
        picture.save(folder / "anew.png", compress_level=1)
    shutil.copy(folder / "one.txt", folder / "anew.txt")
    assert (folder / "anew.png").read_bytes() != (folder / "one.png").read_bytes()
    again = run(folder, P2P, "b", picture="anew.png")
    assert again.event("done")["store"] == {"invert ddim": 1}


def test_what_is_broken_is_made_anew(folder: Path) -> None:
    whole = run(folder, P2P, "a", "--exact")
    (blob,) = (folder / "cache" / "store" / "blobs").iterdir()
    data = blob.read_bytes()
    blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    again = run(folder, P2P, "b", "--exact")
    assert rows(again) == rows(whole)
    assert blob.read_bytes() == data
    assert (folder / "a" / "one.png").read_bytes() == (folder / "b" / "one.png").read_bytes()


@pytest.mark.thorough
def test_exact_mode_takes_only_what_exact_mode_made_and_other_types_or_libraries_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, P2P, "a")
    for out, *told in (("b", "--exact"), ("c", "--dtype", "bfloat16")):
        assert run(folder, P2P, out, *told).event("done")["store"] == {}, told
    (graph,) = graphs(P2P, [folder / "one.png"], folder / "out")
    (node,) = worth_keeping(graph)
    keys = Keys.of(graph, Making(), {"device": "cpu"})
    other = Keys.of(graph, Making(), {"device": "cuda"}).key(node.id)
    assert keys.key(node.id) != other
    assert keys.in_store([other]) == [node], "a plan knows no device"
    monkeypatch.setattr(store_keys, "_made_by", lambda: ["another torch"])
    assert keys.in_store([other]) == []


def test_a_picture_that_changes_while_it_is_worked_on_is_kept_for_neither(folder: Path) -> None:
    (graph,) = graphs(P2P, [folder / "one.png"], folder / "out")
    keys = Keys.of(graph, Making())
    assert not keys.changed()
    draw(folder / "one.png", size=32)
    assert keys.changed()


def test_tuned_weights_are_learnt_once(folder: Path) -> None:
    tuned = "tune unitune training_steps=2 batch=1 | " + P2P
    first = run(folder, tuned, "a", "--exact")
    second = run(folder, tuned, "b", "--exact")
    assert second.event("done")["store"] == {"tune unitune": 1, "invert ddim": 1}
    assert rows(second) < rows(first)
    assert (folder / "a" / "one.png").read_bytes() == (folder / "b" / "one.png").read_bytes()


@pytest.mark.bench
def test_of_several_models_each_is_tuned_once(folder: Path) -> None:
    """Weights are kept for the network that they were tuned from, and no other is read under them."""
    tuned = 'tune unitune training_steps=1 batch=1 | invert ddim "cat"->"dog" steps=1 | attend p2p | save'
    both = f'open | {tuned} "a.png"\nopen | model "storybook128" | {tuned} "b.png"'
    first, second = (run(folder, both, out, "--exact") for out in "ab")
    assert second.event("done")["store"] == {"tune unitune": 2, "invert ddim": 2}
    assert rows(second) < rows(first)
    alone = run(folder, f'model "storybook128"\nopen | {tuned} "b.png"', "c", "--exact")
    assert alone.event("done")["store"]["tune unitune"] == 1
    assert {path.name for path in (folder / "a").glob("*.png")} == {"a.png", "b.png"}
    for name in ("a.png", "b.png"):
        assert (folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes()


def test_the_doctor_tells_place_size_and_how_to_clear_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder, P2P, "a")
    said = retouch("doctor", folder=folder).out
    place = folder / "cache" / "store"
    assert f"store of shared work: {place}: " in said
    assert "of at most 10 GB; removing that folder clears it" in said
    shutil.rmtree(place)
    assert run(folder, P2P, "b").event("done")["store"] == {}


@pytest.mark.bench
def test_two_runs_at_once_and_one_that_is_stopped_leave_nothing_half_written(folder: Path) -> None:
    command = [sys.executable, "-m", "retouch", "run", "-e", MASKED, "one.png", "--json", "-o"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    runs = [subprocess.Popen([*command, out], cwd=folder, env=env, stdout=subprocess.DEVNULL) for out in "abc"]
    assert runs[0].wait(600) == runs[1].wait(120) == 0
    runs[2].send_signal(signal.SIGINT)
    assert runs[2].wait(600) in (0, 130)
    for part in ("blobs", "keys"):
        names = [path.name for path in (folder / "cache" / "store" / part).iterdir()]
        assert names
        assert not [name for name in names if name.endswith(".part")]
    last = run(folder, MASKED, "d")
    assert last.event("done")["store"] == {"invert ddim": 1, "mask diffedit": 1}
