"""A model loads completely and exactly, or is refused with the reason."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from retouch.models.catalog import BrokenModel, ModelInfo, find
from retouch.models.kit.loading import without_memory
from tests.models.parts import Parts, load
from tests.models.tiny_folder import config, pipeline, tensors

UNET = "unet/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"


def load_folder(folder: Path) -> Parts:
    return load(find(str(folder)))


def noise_pred(model: Parts) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    width = model.unet.config["cross_attention_dim"]
    x = torch.randn(2, model.info.channels, 8, 8, generator=generator)
    with torch.no_grad():
        return model.unet(x, 10, torch.randn(2, 5, width, generator=generator)).sample


def test_every_tensor_is_the_one_in_the_file(saved: Path, oracle: StableDiffusionPipeline) -> None:
    model = load_folder(saved)
    for ours, theirs in ((model.unet, oracle.unet), (model.vae, oracle.vae), (model.text_encoder, oracle.text_encoder)):
        expected = {**theirs.state_dict(), **dict(theirs.named_buffers())}
        found = {**ours.state_dict(), **dict(ours.named_buffers())}
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_parts_are_frozen_and_in_evaluation_mode(saved: Path) -> None:
    model = load_folder(saved)
    for part in (model.unet, model.vae, model.text_encoder):
        assert not part.training
        assert not any(p.requires_grad or p.is_meta for p in part.parameters())


def test_only_the_thread_that_builds_does_without_memory() -> None:
    """Another one builds its own modules meanwhile, and both go on as before afterwards."""
    entered, done, devices = Event(), Event(), list[str]()

    def build_elsewhere() -> None:
        entered.wait()
        layer = torch.nn.Linear(2, 3)
        devices.append(layer.weight.device.type)
        done.set()

    other = Thread(target=build_elsewhere)
    other.start()
    with without_memory():
        entered.set()
        assert done.wait(600)
        ours = torch.nn.BatchNorm1d(2)
        with without_memory():
            pass
        still = torch.nn.Linear(2, 3)
    other.join()
    assert devices == ["cpu"]
    assert ours.weight.is_meta
    assert still.weight.is_meta
    assert not ours.get_buffer("running_mean").is_meta
    assert not torch.nn.Linear(2, 3).weight.is_meta


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_weights_take_the_type_that_is_asked_for(saved: Path, dtype: torch.dtype) -> None:
    model = load(find(str(saved)), dtype=dtype)
    for part in (model.unet, model.vae, model.text_encoder):
        assert {p.dtype for p in part.parameters()} == {dtype}
    for made in (model.codec.decode(torch.zeros(1, 4, 4, 4)), model.codec.encode(torch.zeros(1, 3, 16, 16))):
        assert made.dtype == torch.promote_types(dtype, torch.float32)  # what walks from there adds up many steps


@pytest.mark.parametrize("channels", [4, 8])
@pytest.mark.parametrize("length", [24, 77])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_models_of_other_sizes_load(tmp_path: Path, channels: int, length: int, prediction: str) -> None:
    pipeline(channels, length, prediction).save_pretrained(tmp_path)
    info = find(str(tmp_path))
    assert (info.channels, info.tokens, info.prediction) == (channels, length, prediction)
    model = load(info)
    assert noise_pred(model).shape == (2, channels, 8, 8)
    assert model.codec.encode(torch.zeros(1, 3, 32, 32)).shape == (1, channels, 8, 8)
    assert len(model.text.words.tokenize("a cat").ids) == length


def test_the_storybook_loads_soon(storybook: ModelInfo) -> None:
    load(storybook)
    before = time.process_time()  # of this process alone, however busy the machine
    model = load(storybook)
    assert time.process_time() - before < 3  # a fifth of a second where nobody else works
    assert noise_pred(model).isfinite().all()


def test_half_precision_files_are_found(folder: Path) -> None:
    whole = noise_pred(load_folder(folder))
    for name in (UNET, VAE, TEXT):
        path = folder / name
        save_file({key: tensor.half() for key, tensor in load_file(path).items()}, path)
        path.rename(path.with_suffix(".fp16.safetensors"))
    torch.testing.assert_close(noise_pred(load_folder(folder)), whole, atol=1e-2, rtol=0)


def test_files_of_older_libraries_load(folder: Path) -> None:
    """A text model with its old wrapper and counter, a VAE whose attention had other names."""
    whole = load_folder(folder)
    with tensors(folder / TEXT) as text:
        for name in list(text):
            text[f"text_model.{name.removeprefix('text_model.')}"] = text.pop(name)
        text["text_model.embeddings.position_ids"] = torch.arange(24)[None]
    with tensors(folder / VAE) as vae:
        for name in list(vae):
            old = name.replace("to_q", "query").replace("to_k", "key").replace("to_v", "value")
            vae[old.replace("to_out.0", "proj_attn")] = vae.pop(name)
        assert any("proj_attn" in name for name in vae)
    again = load_folder(folder)
    for part in ("vae", "text_encoder"):
        ours, theirs = getattr(again, part).state_dict(), getattr(whole, part).state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def lose_a_key(folder: Path) -> None:
    with tensors(folder / UNET) as unet:
        del unet["conv_in.bias"]


def add_a_key(folder: Path) -> None:
    with tensors(folder / VAE) as vae:
        vae["decoder.extra.weight"] = torch.zeros(1)


def reshape(folder: Path) -> None:
    with tensors(folder / TEXT) as text:
        text["final_layer_norm.weight"] = torch.zeros(33)


def truncate(folder: Path) -> None:
    (folder / UNET).write_bytes((folder / UNET).read_bytes()[:1000])


def only_pickle(folder: Path) -> None:
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model.bin")


def another_class(folder: Path) -> None:
    with config(folder, "vae/config.json") as vae:
        vae["_class_name"] = "AsymmetricAutoencoderKL"


def another_text_model(folder: Path) -> None:
    with config(folder, "text_encoder/config.json") as text:
        text["model_type"] = "t5"


def an_unknown_option(folder: Path) -> None:
    with config(folder, "unet/config.json") as unet:
        unet["future_option"] = 1


def a_long_vocabulary(folder: Path) -> None:
    with config(folder, "text_encoder/config.json") as text:
        text["vocab_size"] = 100
    with tensors(folder / TEXT) as weights:
        name = next(name for name in weights if name.endswith("token_embedding.weight"))
        weights[name] = weights[name][:100].clone()


def an_inpainting_network(folder: Path) -> None:
    with config(folder, "unet/config.json") as unet:
        unet["in_channels"] = 9


def a_network_for_another_text(folder: Path) -> None:
    with config(folder, "unet/config.json") as unet:
        unet["cross_attention_dim"] = 64


def a_network_that_wants_more(folder: Path) -> None:
    with config(folder, "unet/config.json") as unet:
        unet["addition_embed_type"] = "text_time"


def another_prediction(folder: Path) -> None:
    with config(folder, "scheduler/scheduler_config.json") as scheduler:
        scheduler["prediction_type"] = "sample"


def a_config_without_a_size(folder: Path) -> None:
    with config(folder, "unet/config.json") as unet:
        del unet["sample_size"]


def a_config_that_is_no_object(folder: Path) -> None:
    (folder / "vae/config.json").write_text("[]")


def a_config_cut_off(folder: Path) -> None:
    (folder / "vae/config.json").write_text('{"a": ')


def no_network(folder: Path) -> None:
    shutil.rmtree(folder / "unet")


def no_words(folder: Path) -> None:
    (folder / "tokenizer/tokenizer.json").unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lose_a_key, "lacks conv_in.bias"),
        (add_a_key, "has decoder.extra.weight, which the network does not"),
        (reshape, "final_layer_norm.weight is 33, and the config says 32"),
        (truncate, "is cut off"),
        (only_pickle, "'diffusion_pytorch_model.bin' is not read, because it is a pickle"),
        (another_class, "is for 'AsymmetricAutoencoderKL'"),
        (another_text_model, "is for 't5'"),
        (an_unknown_option, "does not fit UNet2DConditionModel: .*future_option"),
        (a_long_vocabulary, "the tokenizer has 516 words, the text encoder 100"),
        (an_inpainting_network, "takes 9 channels and gives 4"),
        (a_network_for_another_text, "reads text of width 64, the text encoder writes width 32"),
        (a_network_that_wants_more, "addition_embed_type is 'text_time'"),
        (another_prediction, "it predicts 'sample'"),
        (a_config_without_a_size, "lacks sample_size"),
        (a_config_that_is_no_object, "is not a JSON object"),
        (a_config_cut_off, "cannot be read"),
        (no_network, "has no unet/config.json; it is not a model in the diffusers layout"),
        (no_words, "has neither tokenizer/tokenizer.json nor"),
    ],
)
def test_a_broken_model_is_refused_with_the_reason(folder: Path, harm: Callable[[Path], None], said: str) -> None:
    harm(folder)
    with pytest.raises(BrokenModel, match=said) as refused:
        load_folder(folder)
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)
