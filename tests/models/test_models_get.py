"""`retouch models get` brings what an edit needs at one commit, goes on where it broke, and says what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import retouch_storybook
from retouch.models.catalog import find
from retouch.models.hub.choice import Listed, choose
from retouch.models.hub.errors import CannotGet
from tests.models.getting import LICENCE, process, retouch
from tests.models.hub_stand_in import COMMIT, serve
from tests.models.mutations import TEXT, UNET, VAE, shard

OTHER = "f" * 40


def contents(asked: list[str]) -> list[str]:
    return sorted({path.partition(f"/resolve/{COMMIT}/")[2].partition(" ")[0] for path in asked if "/resolve/" in path})


@pytest.mark.thorough
def test_a_model_is_fetched_and_used_by_its_name(repository: Path, cache: Path) -> None:
    with serve(repository) as hub:
        done = process(cache, hub.endpoint, "models", "get", "owner/tiny")
    assert done.code == 0, done.err
    assert COMMIT in done.out
    assert "licence: openrail" in done.out
    assert str(cache / "models--owner--tiny/snapshots" / COMMIT) in done.out
    assert contents(hub.asked) == sorted(
        [
            "model_index.json", LICENCE, UNET, VAE, TEXT, "unet/config.json", "vae/config.json",
            "text_encoder/config.json", "scheduler/scheduler_config.json", "tokenizer/tokenizer.json",
            "tokenizer/tokenizer_config.json",
        ]
    )  # fmt: skip
    plan = retouch(cache, "http://127.0.0.1:9", "plan", "--json", "-e", 'model "owner/tiny"\ninvert ddim')
    assert plan.code == 0, plan.err
    (model,) = json.loads(plan.out)["models"]
    assert model["revision"] == COMMIT
    assert model["digest"] == find(str(repository)).digest
    again = retouch(cache, "http://127.0.0.1:9", "check", "-e", f'model "owner/tiny@{COMMIT}"\ninvert ddim "a"->"b"')
    assert again.code == 0, again.err


def test_what_is_there_is_not_fetched_again(repository: Path, cache: Path) -> None:
    with serve(repository) as hub:
        retouch(cache, hub.endpoint, "models", "get", "owner/tiny")
        hub.sent = 0
        done = retouch(cache, hub.endpoint, "models", "get", "owner/tiny")
    assert done.code == 0
    assert "all of it here" in done.out
    assert hub.sent == 0


def test_one_precision_is_fetched(repository: Path, cache: Path) -> None:
    with serve(repository) as hub:
        done = retouch(cache, hub.endpoint, "models", "get", f"owner/tiny@{COMMIT}", "--variant", "fp16", "--json")
    assert done.code == 0, done.err
    heavy = [name for name in contents(hub.asked) if name.endswith(".safetensors")]
    assert len(heavy) == 3
    assert all(name.endswith(".fp16.safetensors") for name in heavy)
    offer, last = (json.loads(line) for line in done.out.splitlines() if '"progress"' not in line)
    assert offer["bytes"] == sum(file["bytes"] for file in offer["files"])
    assert last["model"] == f"owner/tiny@{COMMIT}"
    assert find(last["folder"]).channels == 4
    assert retouch(cache, hub.endpoint, "check", "-e", 'model "owner/tiny"\ninvert ddim "a"->"b"').code == 0


def test_shards_come_with_their_index(repository: Path, cache: Path) -> None:
    where = shard(repository)
    with serve(repository) as hub:
        done = retouch(cache, hub.endpoint, "models", "get", "owner/tiny")
    assert done.code == 0, done.err
    assert {f"unet/{name}" for name in where.values()} <= set(contents(hub.asked))
    assert f"{UNET}.index.json" in contents(hub.asked)


def test_a_dry_run_only_tells(repository: Path, cache: Path) -> None:
    with serve(repository) as hub:
        done = retouch(cache, hub.endpoint, "models", "get", "owner/tiny", "--dry-run")
    assert done.code == 0
    assert "to come" in done.out
    assert contents(hub.asked) == ["model_index.json"]
    assert not (cache / "models--owner--tiny/snapshots").exists()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_transfer_that_breaks_goes_on_by_itself(repository: Path, cache: Path, ranges: bool) -> None:
    """A server that does not go on from the middle begins anew, and the bytes are right all the same."""
    size = (repository / UNET).stat().st_size
    with serve(repository, cut=size // 2 + 1, ranges=ranges) as hub:
        if not ranges:
            hub.cut = None
            part = cache / "models--owner--tiny/blobs"
            part.mkdir(parents=True)
            sibling = next(each for each in hub.info()["siblings"] if each["rfilename"] == UNET)
            (part / f"{sibling['lfs']['sha256']}.retouch-part").write_bytes(b"x" * 1000)
        done = retouch(cache, hub.endpoint, "models", "get", "owner/tiny")
    assert done.code == 0, done.err
    assert any("bytes=" in each for each in hub.asked)
    found = cache / "models--owner--tiny/snapshots" / COMMIT / UNET
    assert found.read_bytes() == (repository / UNET).read_bytes()
    assert not [*cache.rglob("*.retouch-*")]


@pytest.mark.thorough
def test_a_broken_transfer_is_resumed_by_the_next_command(repository: Path, cache: Path) -> None:
    """What came is kept; in the second process only the rest is sent."""
    sizes = sum((repository / name).stat().st_size for name in (UNET, VAE, TEXT))
    with serve(repository, cut=0) as hub:
        hub.cut = 0
        first = process(cache, hub.endpoint, "models", "get", "owner/tiny")
        assert first.code == 1
        assert "error[RT431]" in first.err
        assert "broke at 0 of" in first.err
        assert "the same command again" in first.err
        assert not (cache / "models--owner--tiny/snapshots").exists()
        unet = next(each for each in hub.info()["siblings"] if each["rfilename"] == UNET)
        blobs = cache / "models--owner--tiny/blobs"
        (blobs / f"{unet['lfs']['sha256']}.retouch-part").write_bytes((repository / UNET).read_bytes()[:50_000])
        hub.cut, hub.sent, hub.asked = None, 0, []
        second = process(cache, hub.endpoint, "models", "get", "owner/tiny")
    assert second.code == 0, second.err
    assert f"/{hub.name}/resolve/{COMMIT}/{UNET} bytes=50000-" in hub.asked
    assert hub.sent < sizes
    assert find(str(cache / "models--owner--tiny/snapshots" / COMMIT)).digest == find(str(repository)).digest


def test_other_bytes_than_promised_are_thrown_away(repository: Path, cache: Path) -> None:
    with serve(repository, spoils=True) as hub:
        done = retouch(cache, hub.endpoint, "models", "get", "owner/tiny")
    assert done.code == 1
    assert "came with other bytes than the hub promises" in done.err
    assert not [path for path in (cache / "models--owner--tiny/blobs").iterdir() if path.stat().st_size]


EYE = Path(retouch_storybook.__file__).parent / "weights" / "image_text"
NETWORKS = {
    "a vae": (
        lambda folder: folder / "vae",
        'use it: model "…" vae="owner/tiny"',
        'model "storybook" vae="owner/tiny"\n',
    ),
    "an eye": (lambda _: EYE, 'use it: eye clip "owner/tiny", eye vit "owner/tiny"', 'eye clip "owner/tiny" | '),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_beside_the_model_is_fetched_as_check_advises(kind, folder: Path, cache: Path, tmp_path) -> None:
    """RT430 and RT450 say `retouch models get`, which wanted whole models alone."""
    place, use, written = NETWORKS[kind]
    alone = shutil.copytree(place(folder), tmp_path / "alone")
    (alone / "pytorch_model.bin").write_bytes(b"a pickle")
    (alone / "README.md").write_text("a page")
    recipe = written + ("invert ddim" if kind == "a vae" else 'invert ddim "cat"->"dog" | guide image_text')
    with serve(alone) as hub:
        before = retouch(cache, hub.endpoint, "check", "-e", recipe)
        assert "retouch models get owner/tiny" in before.err
        done = retouch(cache, hub.endpoint, "models", "get", "owner/tiny")
    assert done.code == 0, done.err
    assert use in done.out
    assert not {"pytorch_model.bin", "README.md"} & {*contents(hub.asked)}
    after = retouch(cache, "http://127.0.0.1:9", "check", "-e", recipe)
    assert "models get" not in after.err
    listed = retouch(cache, "http://127.0.0.1:9", "models").out
    assert f"at {COMMIT}; for {use.removeprefix('use it: ')}" in listed


def test_a_run_never_fetches_and_says_the_command_that_does(repository: Path, cache: Path) -> None:
    with serve(repository) as hub:
        done = retouch(cache, hub.endpoint, "check", "-e", 'model "owner/tiny"\ninvert ddim "a"->"b"')
    assert done.code == 1
    assert "error[RT430]: model 'owner/tiny' is not on this machine" in done.err
    assert "help: retouch models get owner/tiny" in done.err
    assert hub.asked == []


def test_a_model_that_is_here_in_part_says_so(saved: Path, cache: Path) -> None:
    at = cache / "models--owner--tiny/snapshots" / COMMIT
    shutil.copytree(saved, at)
    (at / VAE).unlink()
    done = retouch(cache, "http://127.0.0.1:9", "check", "-e", 'model "owner/tiny"\ninvert ddim "a"->"b"')
    assert "is only in part on this machine" in done.err
    assert f"retouch models get owner/tiny@{COMMIT}" in done.err


def test_models_of_the_hub_are_listed_and_removed(saved: Path, cache: Path) -> None:
    with serve(saved) as hub:
        retouch(cache, hub.endpoint, "models", "get", "owner/tiny")
        listed = retouch(cache, hub.endpoint, "models", "--json")
        mine = [each for line in listed.out.splitlines() if (each := json.loads(line))["model"] == "owner/tiny"]
        assert mine[0]["revision"] == COMMIT
        assert mine[0]["bytes"] == sum(each.stat().st_size for each in (cache / "models--owner--tiny/blobs").iterdir())
        assert "owner/tiny:" in retouch(cache, hub.endpoint, "models").out
        seen = retouch(cache, hub.endpoint, "models", "owner/tiny")
        assert "can: be edited with" in seen.out
        gone = retouch(cache, hub.endpoint, "models", "remove", "owner/tiny")
        assert gone.code == 0
        assert "became free" in gone.out
        assert not (cache / "models--owner--tiny").exists()
        again = retouch(cache, hub.endpoint, "models", "remove", "owner/tiny")
    assert again.code == 1
    assert "RT430" in again.err


def test_a_commit_is_removed_and_what_another_needs_stays(saved: Path, folder: Path, cache: Path) -> None:
    (folder / "vae/config.json").write_text((folder / "vae/config.json").read_text() + " ")
    with serve(saved) as one, serve(folder, commit=OTHER) as two:
        retouch(cache, one.endpoint, "models", "get", f"owner/tiny@{COMMIT}")
        retouch(cache, two.endpoint, "models", "get", f"owner/tiny@{OTHER}")
        either = retouch(cache, one.endpoint, "check", "-e", 'model "owner/tiny"\ninvert ddim "a"->"b"')
        assert "2 commits of 'owner/tiny' are here" in either.err
        retouch(cache, one.endpoint, "models", "remove", f"owner/tiny@{OTHER}")
    assert find(str(cache / "models--owner--tiny/snapshots" / COMMIT)).digest == find(str(saved)).digest
    blobs = [path.resolve() for path in (cache / "models--owner--tiny/snapshots").rglob("*") if path.is_symlink()]
    assert {*blobs} == {*(cache / "models--owner--tiny/blobs").resolve().iterdir()}


def test_a_file_that_leaves_its_folder_is_not_asked_for() -> None:
    from retouch.models.hub.choice import Listed, choose

    index = {"unet": ["diffusers", "UNet2DConditionModel"], "..": ["a", "b"]}
    listed = [Listed("unet/config.json", 1, "0"), Listed("unet/diffusion_pytorch_model.safetensors", 1, "1"),
              Listed("../config.json", 1, "2"), Listed("/etc/config.json", 1, "3")]  # fmt: skip
    assert [file.path for file in choose(listed, index, None)] == [
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
    ]


def test_of_a_model_without_folders_what_lies_beside_its_index_is_fetched() -> None:
    """As the first models of diffusers were published: one network, and its scheduler."""
    wanted = ("model_index.json", "config.json", "scheduler_config.json", "diffusion_pytorch_model.safetensors")
    others = ("diffusion_pytorch_model.bin", "README.md", "images/1.png", "evil.py")
    index = {"_class_name": "DDPMPipeline", "unet": ["diffusers", "UNet2DModel"], "scheduler": ["diffusers", "X"]}
    listed = [Listed(name, 1, "0") for name in (*wanted, *others)]
    assert sorted(file.path for file in choose(listed, index, None)) == sorted(wanted)
    with pytest.raises(CannotGet, match="in a pickle alone"):
        choose([file for file in listed if not file.path.endswith(".safetensors")], index, None)
