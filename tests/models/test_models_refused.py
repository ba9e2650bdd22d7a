"""`retouch models get` says in words why a model cannot be fetched, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.models.getting import process, retouch
from tests.models.hub_stand_in import Hub, serve

OTHER = "f" * 40


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


@pytest.mark.parametrize("words", [["get"], ["get", "tiny"], ["get", "../x/y"], ["get", "owner/tiny@"], ["remove"],
                                   ["remove", "storybook"], ["--variant", "fp16"]])  # fmt: skip
def test_a_wrong_command_is_two(cache: Path, words: list[str]) -> None:
    cache.mkdir()
    assert retouch(cache, "http://127.0.0.1:9", "models", *words).code == 2
