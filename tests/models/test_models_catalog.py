"""Models are found by name, by folder, and on the hub by commit; finding loads nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from retouch.models.catalog import BrokenModel, ModelInfo, UnknownModel, find, names
from tests.models.hub_stand_in import COMMIT
from tests.models.tiny_folder import config, tensors


def in_a_process(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LOOK_UP = (
    "from retouch.models.catalog import *\n"
    f"try: print(find('owner/tiny', '{COMMIT}').folder)\n"
    "except BrokenModel as why: print(type(why).__name__, why)"
)


def test_the_storybook_is_found_by_name(storybook: ModelInfo) -> None:
    assert "storybook" in names()
    assert (storybook.name, storybook.revision, storybook.channels) == ("storybook", None, 4)
    assert storybook.multiple == storybook.scale * 4
    assert storybook.largest_side >= storybook.trained_size
    assert {site.kind for site in storybook.sites} == {"self", "cross", "resnet"}


def test_a_folder_is_described_by_its_configs(folder: Path) -> None:
    info = find(str(folder))
    assert (info.folder, info.scale, info.multiple, info.trained_size) == (folder, 4, 8, 32)
    assert (info.largest_side, info.tokens, info.prediction) == (64, 24, "v_prediction")
    assert info.defaults == {}


def test_a_card_sets_defaults_and_the_largest_side(folder: Path) -> None:
    (folder / "card.json").write_text(json.dumps({"largest_side": 48, "defaults": {"steps": 20}, "psnr": 30.1}))
    info = find(str(folder))
    assert (info.largest_side, info.defaults, info.card["psnr"]) == (48, {"steps": 20}, 30.1)


def test_finding_a_model_imports_neither_torch_nor_the_plugin() -> None:
    code = (
        "import sys; from retouch.models.catalog import find; find('storybook')\n"
        "print({'torch', 'diffusers', 'transformers', 'retouch_storybook'} & set(sys.modules))"
    )
    assert in_a_process(code) == "set()"


def test_models_share_a_space_while_their_vae_is_the_same(folder: Path, tmp_path: Path) -> None:
    first = find(str(folder))
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    assert (find(str(other)).space, find(str(other)).digest) == (first.space, first.digest)
    with tensors(other / "unet/diffusion_pytorch_model.safetensors") as unet:
        unet["conv_in.weight"] += torch.randn_like(unet["conv_in.weight"])
    assert find(str(other)).space == first.space
    assert find(str(other)).digest != first.digest
    with tensors(other / "vae/diffusion_pytorch_model.safetensors") as vae:
        vae.update({name: tensor + 0.01 for name, tensor in vae.items()})
    assert find(str(other)).space != first.space


@pytest.mark.parametrize(
    ("name", "revision", "said"),
    [
        ("storybok", None, "did you mean 'storybook'?"),
        ("xyzzy", None, "there are: .*storybook"),
        ("owner/tiny", "main", "'main' of 'owner/tiny' is a name that can move; give the commit"),
        ("owner/tiny", "0123abc", "is a name that can move"),
        ("../tiny", COMMIT, "not an id of the hub"),
        ("storybook", COMMIT, "not an id of the hub"),
    ],
)
def test_an_unknown_model_is_refused_with_advice(name: str, revision: str | None, said: str) -> None:
    with pytest.raises(UnknownModel, match=said):
        find(name, revision)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenModel, match="it is not a model in the diffusers layout"):
        find(str(tmp_path))


def test_a_prediction_that_is_not_known_is_refused_before_loading(folder: Path) -> None:
    with config(folder, "scheduler/scheduler_config.json") as scheduler:
        scheduler["prediction_type"] = "flow"
    with pytest.raises(BrokenModel, match="only epsilon and v_prediction"):
        find(str(folder))


def test_a_model_in_the_cache_of_the_hub_is_found_offline(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "models--owner--tiny" / "snapshots" / COMMIT)
    assert in_a_process(LOOK_UP, HF_HUB_CACHE=str(tmp_path), HF_HUB_OFFLINE="1").endswith(COMMIT)


def test_a_model_that_is_not_in_the_cache_is_not_downloaded_by_a_look(tmp_path: Path) -> None:
    said = in_a_process(LOOK_UP, HF_HUB_CACHE=str(tmp_path), HF_ENDPOINT="http://127.0.0.1:9")
    assert said == "NotFetched model 'owner/tiny' at 0123456789ab is not on this machine"
