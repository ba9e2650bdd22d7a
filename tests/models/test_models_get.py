"""`retouch models get` brings what an edit needs at one commit, goes on where it broke, and says what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

import retouch_storybook
from retouch.models.catalog import find
from retouch.models.hub import download
from retouch.models.hub.choice import Listed, choose
from retouch.models.hub.errors import CannotGet
from tests.e2e import command
from tests.e2e.command import Ran
from tests.models.hub_stand_in import COMMIT, Hub, serve
from tests.models.mutations import TEXT, UNET, VAE, shard

OTHER = "f" * 40
LICENCE = "LICENSE.md"


def retouch(cache: Path, endpoint: str, *words: str) -> Ran:
    """The command, with a cache of its own, and without waiting between attempts."""
    told = {"HF_HUB_CACHE": str(cache), "ENDPOINT": endpoint}
    told["HUGGINGFACE_CO_URL_TEMPLATE"] = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "WAIT", 0)
        for name, value in told.items():
            patch.setattr(constants, name, value)
        return command.retouch(*words, folder=cache.parent)


def process(cache: Path, endpoint: str, *words: str, **environment: str) -> Ran:
    """The same as a process of its own, which reads where to go from its environment, and keeps nothing in memory."""
    code = (
        "import sys; from retouch.models.hub import download; download.WAIT = 0\n"
        "from retouch.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=cache.parent,
        env={**os.environ, "HF_HUB_CACHE": str(cache), "HF_ENDPOINT": endpoint, **environment},
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def repository(folder: Path) -> Path:
    """With all that real ones have beside what is needed."""
    (folder / "unet/diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "unet/diffusion_pytorch_model.non_ema.safetensors").write_bytes(b"too much")
    (folder / "v1-5-pruned.ckpt").write_bytes(b"a pickle")
    (folder / "v1-5-pruned.safetensors").write_bytes(b"all of it again")
    (folder / "evil.py").write_text("raise SystemExit")
    (folder / LICENCE).write_text("do no harm")
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker/model.safetensors").write_bytes(b"not needed")
    (folder / "unet/diffusion_flax_model.msgpack").write_bytes(b"of another library")
    (folder / "images").mkdir()
    (folder / "images/cat.json").write_text("{}")
    for name in (UNET, VAE, TEXT):
        half = {key: tensor.half() for key, tensor in load_file(folder / name).items()}
        save_file(half, (folder / name).with_suffix(".fp16.safetensors"))
    return folder


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


def unknown(hub: Hub) -> list[str]:
    return ["owner/none"]


def no_such_commit(hub: Hub) -> list[str]:
    return [f"owner/tiny@{OTHER}"]


def gated(hub: Hub) -> list[str]:
    hub.refuses, hub.gated = "GatedRepo", True
    return ["owner/tiny"]


def only_pickles(hub: Hub) -> list[str]:
    for path in hub.folder.glob("unet/*.safetensors"):
        path.unlink()
    return ["owner/tiny"]


def no_variant(hub: Hub) -> list[str]:
    return ["owner/tiny", "--variant", "int3"]


def a_single_file(hub: Hub) -> list[str]:
    (hub.folder / "model_index.json").unlink()
    return ["owner/tiny"]


def a_broken_index(hub: Hub) -> list[str]:
    (hub.folder / "model_index.json").write_text("[]")
    return ["owner/tiny"]


def of_no_use(hub: Hub) -> list[str]:
    (hub.folder / "model_index.json").unlink()
    (hub.folder / "config.json").write_text('{"model_type": "llama"}')
    return ["owner/tiny"]


def a_name_that_the_hub_does_not_take(hub: Hub) -> list[str]:
    return ["owner/ti--ny"]


@pytest.mark.parametrize(
    ("harm", "said", "mend"),
    [
        (unknown, "the hub has no model 'owner/none', or not for everyone", "look at the name"),
        (no_such_commit, f"the hub has no '{OTHER}' of it", "name a commit"),
        (gated, "want their terms accepted first", "/owner/tiny, then log in: hf auth login"),
        (only_pickles, "'unet' has its weights in a pickle alone", "conversion to safetensors"),
        (no_variant, "no weights of the variant 'int3'", "leave --variant out"),
        (a_single_file, "it has single files: v1-5-pruned.safetensors", "in the layout of diffusers"),
        (of_no_use, "its config.json calls it llama, which no stage reads", "a VAE, or one of: clip, "),
        (a_broken_index, "its model_index.json is not a JSON object", "another model"),
        (a_name_that_the_hub_does_not_take, "is no name that the hub takes", "look at the name"),
    ],
)
def test_what_cannot_be_fetched_is_refused_in_words(repository: Path, cache: Path, harm, said: str, mend: str) -> None:
    with serve(repository) as hub:
        done = retouch(cache, hub.endpoint, "models", "get", *harm(hub))
        told = retouch(cache, hub.endpoint, "models", "get", "--json", *harm_again(harm, hub))
    assert done.code == told.code == 1
    assert "error[RT431]" in done.err
    assert said in done.err
    assert mend in done.err
    answer = json.loads(told.out.splitlines()[-1])
    assert (answer["ok"], answer["code"]) == (False, "RT431")
    assert said in answer["error"]
    assert "Traceback" not in done.err


def harm_again(harm, hub: Hub) -> list[str]:
    return harm(hub) if harm in (unknown, no_such_commit, no_variant, a_name_that_the_hub_does_not_take) else [hub.name]


def test_without_a_network_it_says_so(cache: Path) -> None:
    cache.mkdir()
    done = retouch(cache, "http://127.0.0.1:9", "models", "get", "owner/tiny")
    assert done.code == 1
    assert "127.0.0.1:9 cannot be reached" in done.err
    assert "go online" in done.err


@pytest.mark.thorough
def test_offline_mode_is_respected(repository: Path, cache: Path) -> None:
    with serve(repository) as hub:
        done = process(cache, hub.endpoint, "models", "get", "owner/tiny", HF_HUB_OFFLINE="1")
    assert done.code == 1
    assert "HF_HUB_OFFLINE is set" in done.err
    assert hub.asked == []


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


@pytest.mark.parametrize("words", [["get"], ["get", "tiny"], ["get", "../x/y"], ["get", "owner/tiny@"], ["remove"],
                                   ["remove", "storybook"], ["--variant", "fp16"]])  # fmt: skip
def test_a_wrong_command_is_two(cache: Path, words: list[str]) -> None:
    cache.mkdir()
    assert retouch(cache, "http://127.0.0.1:9", "models", *words).code == 2


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
