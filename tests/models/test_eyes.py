"""Eyes: networks that a recipe names beside its model, equal to transformers' own, and held to their kind at check."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from transformers import CLIPModel, CLIPTokenizer, Dinov2Config, Dinov2Model, ViTConfig, ViTModel

from retouch.core.eyes import at_side
from retouch.models import pretrained
from retouch.models.pretrained import PretrainedNetwork
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch_methods.eye.clip import clip
from retouch_methods.eye.lpips import LEAST, Lpips, lpips, made
from retouch_methods.eye.vit import vit
from tests.e2e.command import draw, retouch

SHIPPED = pretrained.shipped()["storybook"]
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 16,
    "patch_size": 8,
}
# What published files call layers that transformers calls otherwise today.
PUBLISHED = (
    (r"^layers\.", "encoder.layer."),
    (
        r"attention\.(q|k|v)_proj",
        lambda found: f"attention.attention.{ {'q': 'query', 'k': 'key', 'v': 'value'}[found[1]] }",
    ),
    (r"attention\.o_proj", "attention.output.dense"),
)
MLP = ((r"(\d)\.mlp\.fc1", r"\1.intermediate.dense"), (r"(\d)\.mlp\.fc2", r"\1.output.dense"))


def opened(folder: Path) -> PretrainedNetwork:
    """A network as a stage gets it."""
    files = pretrained.find(str(folder))
    return PretrainedNetwork(files.folder, files.weights, torch.device("cpu"), torch.float32)


def pictures(count: int, side: int) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def saved(folder: Path, kind: str, *, prefix: str = "", published: bool = True) -> torch.nn.Module:
    """A small network of random numbers in a folder, under names as they were published."""
    torch.manual_seed(3)
    if kind == "vit":
        model = ViTModel(ViTConfig(**SMALL), add_pooling_layer=False).eval()
    else:
        small = {name: value for name, value in SMALL.items() if name != "intermediate_size"}
        model = Dinov2Model(Dinov2Config(**small)).eval()
    rules = (*PUBLISHED, *MLP) if kind == "vit" else PUBLISHED
    state = {}
    for today, tensor in model.state_dict().items():
        name = today
        for pattern, old in rules if published else ():
            name = re.sub(pattern, old, name)
        state[prefix + name] = tensor.clone()
    state[f"{prefix}pooler.dense.weight"] = torch.zeros(2, 2)  # heads are left alone
    folder.mkdir(exist_ok=True)
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(model.config.to_dict()))
    return model


class TestClip:
    def test_pictures_and_texts_lie_where_transformers_has_them(self):
        eye = clip(opened(SHIPPED), name="storybook")
        model = CLIPModel.from_pretrained(SHIPPED).eval().float()
        words = CLIPTokenizer.from_pretrained(SHIPPED)
        (picture,) = pictures(1, 40)
        text = "an orange cat in a meadow"
        ids = words(text, padding="max_length", truncation=True, return_tensors="pt").input_ids
        with torch.no_grad():
            seen = model.get_image_features(pixel_values=at_side(picture, 64)[None] * 2 - 1).pooler_output[0]
            read = model.get_text_features(input_ids=ids).pooler_output[0]
        (found,), (said,) = run(eye.picture(picture)), run(eye.text(text))
        torch.testing.assert_close(found, F.normalize(seen, dim=0))
        torch.testing.assert_close(said, F.normalize(read, dim=0))

    def test_all_pictures_of_a_run_share_the_calls_of_one_value(self):
        network = opened(SHIPPED)
        one, other = clip(network, name="storybook"), clip(network, name="storybook")
        assert one is other
        executor = Executor()
        executor.run([Task(lambda each=each: one.picture(each)) for each in pictures(3, 64)])
        assert [batch.rows for batch in executor.calls if batch.kind == "apply"] == [3]


class TestVisionTransformers:
    @pytest.mark.parametrize("published", [True, False])
    @pytest.mark.parametrize(("kind", "prefix"), [("vit", ""), ("vit", "vit."), ("dinov2", ""), ("dinov2", "dinov2.")])
    def test_tokens_and_keys_are_those_of_transformers(self, tmp_path, kind, prefix, published):
        model = saved(tmp_path, kind, prefix=prefix, published=published)
        eye = vit(opened(tmp_path), name=str(tmp_path))
        (picture,) = pictures(1, 16)
        mean, std = (torch.tensor(each)[:, None, None] for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        heard = {}
        keys = {name: each for name, each in model.named_modules() if name.endswith("attention.k_proj")}
        assert len(keys) == 2
        for layer, each in enumerate(keys.values()):
            each.register_forward_hook(lambda _, __, out, layer=layer: heard.update({layer: out[0]}))
        with torch.no_grad():
            out = model(pixel_values=((picture - mean) / std)[None], output_hidden_states=True)
        for layer in (0, 1):
            (token, found) = run(eye.picture(picture, layer))[0]
            torch.testing.assert_close(found, heard[layer])
            wanted = out.last_hidden_state if layer else out.hidden_states[1]
            torch.testing.assert_close(token, wanted[0, 0])

    def test_the_image_tower_of_clip_is_one(self):
        eye = vit(opened(SHIPPED), name="storybook")
        (_, keys) = run(eye.picture(pictures(1, 64)[0]))[0]
        assert len(keys) == 65


class TestLpips:
    @pytest.mark.parametrize("trunk", ["vgg", "alex"])
    @pytest.mark.parametrize("tolerant", [True, False])
    def test_equal_pictures_are_at_0_and_others_are_not(self, trunk, tolerant):
        network = filled(made({"trunk": trunk, "shift_tolerant": tolerant}))
        one, other = pictures(2, 64)
        apart = network(torch.stack((torch.stack((one, one)), torch.stack((one, other)), torch.stack((other, one)))))
        assert apart[0] == 0
        assert apart[1] > 0
        torch.testing.assert_close(apart[1], apart[2])

    @pytest.mark.parametrize("trunk", ["vgg", "alex"])
    @pytest.mark.parametrize("tolerant", [True, False])
    def test_pictures_of_any_size_are_seen_and_no_larger_ones_than_have_to_be_between_mirrors(self, trunk, tolerant):
        network, least = filled(made({"trunk": trunk, "shift_tolerant": tolerant})), LEAST[trunk, tolerant]
        for height, width in ((1, 1), (2, 40), (least - 1, least), (least, least)):
            pair = torch.stack(tuple(pictures(2, 40)))[None, :, :, :height, :width]
            assert network(pair)[0] > 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(LEAST, (trunk, tolerant), 0)
            whole = network(pair)
            torch.testing.assert_close(whole, network(pair))
            with pytest.raises(RuntimeError):
                network(pair[..., 1:])

    def test_it_is_the_weighted_difference_of_normal_features_after_each_stage(self):
        network = filled(made({"trunk": "alex", "shift_tolerant": False}))
        one, other = pictures(2, 64)
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        wanted = 0.0
        found = [((each * 2 - 1) - shift[:, None, None]) / scale[:, None, None] for each in (one, other)]
        for index, (stage, head) in enumerate(zip(network.stages, network.heads, strict=True)):
            if index in (1, 2):
                found = [F.max_pool2d(each[None], 3, 2)[0] for each in found]
            found = [stage[0](each[None])[0].relu() for each in found]
            a, b = (each / (each**2).sum(0, keepdim=True).sqrt().clamp_min(1e-10) for each in found)
            wanted = wanted + ((a - b) ** 2 * head[:, None, None]).sum(0).mean()
        torch.testing.assert_close(network(torch.stack((one, other))[None])[0], wanted)

    def test_a_folder_of_it_is_read_and_its_gradient_has_numbers_where_nothing_differs(self, tmp_path):
        network = filled(made({"trunk": "alex", "shift_tolerant": True}))
        save_file(network.state_dict(), tmp_path / "model.safetensors")
        (tmp_path / "config.json").write_text('{"model_type": "lpips", "trunk": "alex", "shift_tolerant": true}')
        eye = lpips(opened(tmp_path), name=str(tmp_path))
        one, other = pictures(2, 64)
        torch.testing.assert_close(run(eye.distance(one, other))[0], network(torch.stack((one, other))[None])[0])
        black = torch.zeros(1, 2, 3, 64, 64, requires_grad=True)
        network(black).sum().backward()
        assert black.grad is not None
        assert black.grad.isfinite().all()


def filled(network: Lpips) -> Lpips:
    """With random weights, and none that asks for a gradient."""
    draws = torch.Generator().manual_seed(5)
    for weight in network.parameters():
        weight.data = torch.randn(weight.shape, generator=draws).abs_() * 0.05
    return network.requires_grad_(False)


class TestCheck:
    """All of this is told before anything loads."""

    @pytest.fixture
    def told(self, tmp_path):
        draw(tmp_path / "cat.png")

        def check(name: str) -> str:
            recipe = f'open "cat.png" | invert sdedit "cat"->"dog" | eye clip {name} | guide image_text'
            return retouch("check", "-e", recipe, "--model", "storybook", folder=tmp_path).err

        return check

    def test_the_shipped_one_is_fine_by_name_and_by_default(self, told):
        assert "RT" not in told('"storybook"')
        assert "RT" not in told("")

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ('"storibook"', "did you mean 'storybook'?"),
            ('"nowhere/at-all"', "retouch models get nowhere/at-all"),
            ('"cat.png"', "is a file"),
        ],
    )
    def test_what_is_none_is_told_with_what_to_type(self, told, name, said):
        found = told(name)
        assert "RT450" in found
        assert said in found

    def test_a_folder_of_another_kind_is_told_by_its_kind(self, told, tmp_path):
        saved(tmp_path / "dino", "vit")
        found = told('"dino"')
        assert "RT450" in found
        assert "it is a vit, and this reads clip" in found

    @pytest.mark.parametrize("damage", ["no config", "no weights", "cut", "no JSON"])
    def test_a_broken_folder_is_told(self, told, tmp_path, damage):
        folder = Path(shutil.copytree(SHIPPED, tmp_path / "broken"))
        weights = folder / "model.safetensors"
        match damage:
            case "no config":
                (folder / "config.json").unlink()
            case "no weights":
                weights.unlink()
            case "cut":
                weights.write_bytes(weights.read_bytes()[:-100])
            case _:
                (folder / "config.json").write_text("{")
        assert "RT450" in told('"broken"')


def test_weights_that_do_not_fit_are_named(tmp_path):
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "other"))
    state = load_file(folder / "model.safetensors")
    state.pop("visual_projection.weight")
    save_file(state, folder / "model.safetensors")
    with pytest.raises(pretrained.BrokenModel, match="visual_projection"):
        clip(opened(folder), name=str(folder))


def test_one_that_was_brought_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("RETOUCH_CACHE", str(tmp_path))
    (tmp_path / "networks").mkdir()
    saved(tmp_path / "networks" / "tower", "vit")
    assert pretrained.find("tower").kind == "vit"
    with pytest.raises(pretrained.UnknownModel) as found:
        pretrained.find("towr")
    assert "tower" in found.value.mend


def test_a_stamp_holds_no_place_of_a_folder_and_rerun_says_what_is_missing(tmp_path):
    draw(tmp_path / "cat.png")
    place = tmp_path / "private"
    place.mkdir()
    shutil.copytree(SHIPPED, place / "tower")
    recipe = f'open "cat.png" | invert sdedit "cat"->"dog" | eye clip "{place / "tower"}" | guide image_text looks=1'
    made = retouch("run", "-e", recipe, "--model", "storybook", "--set", "steps=2", "-o", "dog.png", folder=tmp_path)
    assert made.code == 0, made.err
    assert b"private" not in (tmp_path / "dog.png").read_bytes()
    shown: Mapping[str, object] = json.loads(retouch("show", "dog.png", "--json", folder=tmp_path).out)
    assert "private" not in json.dumps(shown)
    again = retouch("rerun", "dog.png", "--verify", folder=tmp_path)
    assert again.code != 0
    assert "RT450" in again.err


def test_what_an_eye_does_not_know_is_passed_over_and_does_not_end_the_text():
    """The embedded vocabulary has no comma, and writes what it does not know as the end of a text."""
    eye = clip(opened(SHIPPED), name="storybook")
    plain, added, comma = (
        eye.tokens(text).tolist()
        for text in ("a bear on a beach", "a bear on a beach wearing a hat", "a bear on a beach, wearing a hat")
    )
    assert comma == added != plain
    assert len(eye.tokens("a cat " * 200)) == len(plain)


@pytest.mark.parametrize("guide", ["image_text", "direction"])
def test_an_edit_that_an_eye_reads_alike_is_told_and_nothing_is_saved(guide, tmp_path):
    """It would lead nowhere, and nobody would know."""
    draw(tmp_path / "cat.png")
    turn = f'invert sdedit "cat"->"cat ," steps=2 | guide {guide} looks=1 | blend latent'
    recipe = f'model "storybook_pixels"\nmask box right=60% | {turn}'  # a model that reads words would tell it first
    done = retouch("run", "-e", recipe, "cat.png", "--caption", "a cat", "-o", "o.png", folder=tmp_path)
    assert done.code
    assert "RT511" in done.err
    assert "as the eye of this turn reads them" in done.err
    assert not (tmp_path / "o.png").exists()
