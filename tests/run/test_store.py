"""Values that outlive their run: their bytes, and the folder that holds them whatever becomes of it."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from retouch.api import Denoiser, LearntWords, Mask, ModelDelta, Trajectory, storable, unguided
from retouch.cli.loading import store_given
from retouch.core.declared.storable import kind_named
from retouch.run.executor import run
from retouch.run.store.blobs import Store, name_of
from retouch.run.store.encoding import Unstorable, decoded, encoded
from retouch.run.store.place import store
from retouch.testing.laws.running import sampled
from retouch.testing.tiny import tiny_model
from retouch.testing.worlds import World, tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.direct import direct
from retouch_methods.invert.edict import edict
from retouch_methods.invert.fireflow import fireflow
from retouch_methods.invert.flowedit import flowedit
from retouch_methods.invert.null_text import null_text
from retouch_methods.invert.rf_inversion import rf_inversion
from retouch_methods.invert.rf_solver import rf_solver
from retouch_methods.invert.sdedit import sdedit

WORLD = replace(tiny_world(steps=2), guidance=cfg(guidance=3.0))
FLOW = replace(tiny_world(steps=2, kind="flow"), guidance=cfg(guidance=3.0))
CPU = torch.device("cpu")
KEY, OTHER = "a" * 64, "b" * 64


def again(value: Any, world: World = WORLD) -> Any:
    data = encoded(value, lambda: world.model)
    made = decoded(data, CPU, lambda: world.model)
    assert encoded(made, lambda: world.model) == data, "equal values have equal bytes"
    return made


STAGES: dict[str, tuple[World, Callable[..., Any], dict[str, Any]]] = {
    "direct": (WORLD, direct, {}),
    "edict": (WORLD, edict, {}),
    "null_text": (WORLD, null_text, {"inner_steps": 1}),
    "fireflow": (FLOW, fireflow, {}),
    "rf_inversion": (FLOW, rf_inversion, {}),
    "rf_solver": (FLOW, rf_solver, {}),
}


@pytest.mark.parametrize("name", STAGES)
def test_an_inversion_that_was_read_walks_as_the_one_that_was_written(name: str) -> None:
    world, stage, options = STAGES[name]
    (made,) = run(world.call(stage, **options))
    read = again(made, world)
    assert isinstance(read, Trajectory)
    assert (type(read.rule), read.schedule, read.pinned) == (type(made.rule), made.schedule, made.pinned)
    assert torch.equal(sampled(world, read).data, sampled(world, made).data)


def test_what_is_one_object_stays_one_and_numbers_keep_their_bits() -> None:
    part = torch.tensor([[0.1, -0.0], [float("nan"), 1e-45]], dtype=torch.float64)
    (one, other), told = again(((part, part), {"share": 0.1, ("a", "b"): (None, True, 3, float("inf"))}))
    assert one is other
    assert one.dtype == torch.float64
    assert one.view(torch.int64).equal(part.view(torch.int64))
    assert told == {"share": 0.1, ("a", "b"): (None, True, 3, float("inf"))}


def test_a_tuned_model_is_its_weights_over_the_network_that_reads_it() -> None:
    delta = ModelDelta({"conv_out.bias": torch.ones(4)}, words=LearntWords(torch.ones(2, 3), "a"))
    read = again(WORLD.model.tuned(delta))
    assert type(read) is Denoiser
    assert read.core is WORLD.model.core
    assert read.delta.weights["conv_out.bias"].equal(torch.ones(4))
    assert read.delta.words.token == "a"
    other = tiny_model()
    for network in (lambda: other, lambda: None):
        with pytest.raises(Unstorable):
            encoded(WORLD.model.tuned(delta), network)


def test_only_what_says_so_is_written_and_only_such_is_made() -> None:
    @dataclass(frozen=True)
    class Silent:
        share: float = 0.5

    for value in (Silent(), unguided, [1], torch.nn.Parameter(torch.ones(1)), object()):
        with pytest.raises(Unstorable):
            encoded((value,), lambda: None)
    for world, stage in ((WORLD, sdedit), (FLOW, flowedit)):  # they hold functions
        (made,) = run(world.call(stage))
        with pytest.raises(Unstorable):
            encoded(made, lambda: None)
    assert kind_named(f"{__name__}.Silent") is None
    data = encoded(Mask(torch.ones(2, 2)), lambda: None)
    with pytest.raises(ValueError, match="Musk' is known"):
        decoded(data.replace(b"values.Mask", b"values.Musk"), CPU, lambda: None)
    with pytest.raises(TypeError, match="no dataclass"):
        storable(object)


def test_each_of_ten_thousand_flipped_bits_is_found(tmp_path: Path) -> None:
    """In a blob and in the key that leads there: never a value with other bits, and what is broken goes."""
    data = encoded(Mask(torch.rand(24, 24, generator=torch.Generator().manual_seed(1))), lambda: None)
    kept, chance = Store(tmp_path, 10**9), Random(0)
    kept.write(data, KEY)
    (blob,), key = (tmp_path / "blobs").iterdir(), tmp_path / "keys" / KEY
    whole = {blob: data, key: key.read_bytes()}
    for time in range(10_000):
        path = blob if time % 10 else key
        bit = chance.randrange(8 * len(whole[path]))
        broken = bytearray(whole[path])
        broken[bit // 8] ^= 1 << bit % 8
        if path == blob:
            assert name_of(broken) != blob.name, f"bit {bit}"
        if time % 67:  # files take a hundred times as long
            continue
        path.write_bytes(broken)
        assert kept.read(KEY) is None, f"bit {bit} of {path.name}"
        assert path == key or not blob.exists()
        path.write_bytes(whole[path])
    found = kept.read(KEY)
    assert found is not None
    assert found[1] == data


def test_a_blob_that_was_cut_or_grew_is_none_and_is_written_anew(tmp_path: Path) -> None:
    kept = Store(tmp_path, 10**9)
    for wrong in (b"", b"some", b"some data and more"):
        kept.write(b"some data", KEY)
        (blob,) = (tmp_path / "blobs").iterdir()
        blob.write_bytes(wrong)
        kept.write(b"some data", OTHER)  # who has made it anew mends it for all
        assert kept.read(KEY) == kept.read(OTHER) == (blob.name, b"some data")


def test_what_was_used_longest_ago_goes(tmp_path: Path) -> None:
    kept = Store(tmp_path, 100)
    for at, name in enumerate("abcd"):
        kept.write(name.encode() * 25, name)
        (path,) = (p for p in (tmp_path / "blobs").iterdir() if p.read_bytes()[:1] == name.encode())
        os.utime(path, (at, at))
    assert kept.read("a")  # used now
    kept.write(b"e" * 25, "e")
    assert {name for name in "abcde" if kept.read(name)} == {"a", "d", "e"}
    assert {*kept.keys()} == {path.name for path in (tmp_path / "keys").iterdir()} == {"a", "d", "e"}
    assert kept.size() == 75
    kept.write(b"f" * 51, "f")  # more than half: the rest is worth more
    assert kept.read("f") is None
    assert Store(tmp_path, 100).size() == 75, "another run knows the same"


def test_a_limit_that_was_lowered_holds_at_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is nobody's blob stays, since the folder may be a link to anywhere."""
    monkeypatch.setenv("RETOUCH_CACHE", str(tmp_path))
    kept = Store(tmp_path / "store", 10**9)
    for at, name in enumerate("abc"):
        kept.write(name.encode() * 400, name * 64)
        (path,) = (p for p in (tmp_path / "store" / "blobs").iterdir() if p.read_bytes()[:1] == name.encode())
        os.utime(path, (at, at))
    for folder in ("blobs", "keys"):
        (tmp_path / "store" / folder / "mine.txt").write_text("mine" * 400)
    line = Namespace(no_store=False, command="plan")
    for size, command, left in (("0.0000009", "plan", "abc"), ("0.0000009", "run", "bc"), ("0.0000001", "run", "")):
        monkeypatch.setenv("RETOUCH_STORE", size)
        line.command = command
        store_given(line)
        assert {*kept.keys()} == {name * 64 for name in left}
    assert [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()] == ["mine.txt"] * 2


def test_what_is_no_file_in_a_store_is_not_waited_for(tmp_path: Path) -> None:
    kept, name = Store(tmp_path, 10**6), name_of(b"whole")
    for folder in ("blobs", "keys"):
        (tmp_path / folder).mkdir()
    os.mkfifo(tmp_path / "keys" / KEY)
    assert kept.read(KEY) is None
    (tmp_path / "keys" / OTHER).write_text(name)
    os.mkfifo(tmp_path / "blobs" / name)
    assert kept.read(OTHER) is None
    (tmp_path / "keys" / KEY).unlink()
    (tmp_path / "keys" / KEY).write_text(name + "\n" * 1000)
    assert kept.read(KEY) is None
    kept.write(b"whole", KEY)
    assert kept.read(KEY) == (name, b"whole")


def test_what_a_dead_run_left_goes_and_a_store_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "s" / "blobs").mkdir(parents=True)
    part = tmp_path / "s" / "blobs" / f".{KEY}.0123abcd.part"
    part.write_bytes(b"half")
    kept = Store(tmp_path / "s", 10**6)
    kept.write(b"whole", KEY)
    assert not part.exists()
    (tmp_path / "file").write_text("no folder")
    Store(tmp_path / "file", 10**6).write(b"whole", KEY)
    assert Store(tmp_path / "file", 10**6).read(KEY) is None


def test_whoever_is_stopped_while_writing_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(_descriptor: int) -> None:
        raise KeyboardInterrupt

    kept = Store(tmp_path, 10**6)
    kept.write(b"before", OTHER)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", stopped)
        with pytest.raises(KeyboardInterrupt):
            kept.write(b"whole", KEY)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    kept.write(b"whole", KEY)
    assert kept.read(KEY) == (name_of(b"whole"), b"whole")


def test_several_write_and_read_at_once(tmp_path: Path) -> None:
    """More than fits, so that each removes what the others may be about to read: a value is whole or there is none."""

    def work(seed: int) -> None:
        kept, chance = Store(tmp_path, 2_000), Random(seed)
        for _ in range(30):
            key = chance.choice("abcdefgh")
            data = key.encode() * 400
            found = kept.read(key)
            assert found in (None, (name_of(data), data))
            kept.write(data, key)

    with ThreadPoolExecutor(4) as pool:
        [*pool.map(work, range(4))]
    assert Store(tmp_path, 2_000).size() <= 8 * 400
    assert not [*tmp_path.rglob("*.part")]


def test_its_place_and_size_are_told_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store() is None, "the tests' own cache is off"
    monkeypatch.setenv("RETOUCH_CACHE", str(tmp_path))
    for said, limit in {"": 10**10, "0.5": 5 * 10**8, "20": 2 * 10**10}.items():
        monkeypatch.setenv("RETOUCH_STORE", said)
        assert store() == Store(tmp_path / "store", limit)
    monkeypatch.setenv("RETOUCH_STORE", "Off")
    assert store() is None
    for wrong in ("10 GB", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("RETOUCH_STORE", wrong)
        with pytest.raises(ValueError, match="RETOUCH_STORE takes gigabytes"):
            store()
