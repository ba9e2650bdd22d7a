"""Of each family, the parts: what is described, the network's own forward, prompts, and latents."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from retouch.core.awaited.combinators import gather, together
from retouch.core.schedule import split
from retouch.models import families
from retouch.models.files.model_files import ModelFiles
from retouch.models.kit import loading
from retouch.models.prompts.prompt_reader import prompt_reader
from retouch.run.executor import run
from retouch.testing.tiny import Draws
from tests.families.family_models import FamilyModel, far
from tests.families.pipelines import answered, pipeline, said
from tests.families.tiny_families import FAMILIES

TEXTS = ("a white cat sitting on the beach", "", "a photo of a dog and a dog, with a red hat")


def test_describing_a_model_imports_no_torch(folder_of):
    """All families in one process, which says what it has loaded."""
    folders = [str(folder_of(name)) for name in FAMILIES]
    code = (
        "import sys; from retouch.models.catalog import find\n"
        f"print(sum(len(find(name).sites) for name in {folders!r}))\n"
        "print(sorted(name for name in ('torch', 'diffusers', 'transformers') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    sites, heavy = done.stdout.splitlines()
    assert int(sites) > 80
    assert heavy == "[]"


def test_a_pass_without_controls_is_the_modules_own_bit_for_bit(model: FamilyModel):
    """Two rows of one time, as a pipeline asks them."""
    x, prompts = model.latents(3, 2), [model.prompt("a white cat"), model.prompt("a red dog")]
    level = model.schedule(6).steps[2].noisy
    told = {"guidance": 2.5} if model.known.told else {}
    rows = [model.model(each, level, prompt, told=told) for each, prompt in zip(x, prompts, strict=True)]
    predictions = run(gather(rows))[0]
    out = answered(model, x, level.timestep, prompts, 2.5)
    wanted = split(model.known.prediction, x, out, torch.tensor(level.alpha), torch.tensor(level.sigma))
    assert out.std() > 1e-3
    for made, its in zip(predictions, wanted, strict=True):
        assert torch.equal(made.pair, its)


def test_rows_of_a_group_without_controls_are_the_same(model: FamilyModel):
    """A group by itself changes nothing: it is only that its rows share a pass."""
    x, prompt = model.latents(3, 2), model.prompt("a white cat")
    level = model.schedule(6).steps[2].noisy
    apart = run(gather([model.model(each, level, prompt) for each in x]))[0]
    grouped = run(together(a=model.model(x[0], level, prompt), b=model.model(x[1], level, prompt)))[0]
    assert all(torch.equal(one.pair, other.pair) for one, other in zip(apart, grouped.values(), strict=True))


@pytest.mark.parametrize("text", TEXTS)
def test_a_prompt_is_what_the_familys_own_pipeline_makes_of_it(model: FamilyModel, text: str):
    """Bit for bit; but Qwen-Image's padding differs, and its encoder is causal to rounding alone."""
    prompt, (embeds, pooled) = model.prompt(text), said(model, text)
    if model.name == "sdxl" and not text:  # its pipeline zeroes a negative prompt that is left out
        embeds, pooled = torch.zeros_like(embeds), {"pooled": torch.zeros_like(pooled["pooled"])}
    real = len(embeds)
    assert len(prompt.embeds) - real in range(32)
    assert far(prompt.embeds[:real], embeds) <= (1e-6 if model.name == "qwen_image" else 0.0)
    for name, its in pooled.items():
        assert torch.equal(prompt.extra[name], its)
    if "mask" in prompt.extra:
        assert prompt.extra["mask"].sum() == real
    if "count" in prompt.extra:
        assert prompt.extra["count"] == real


def test_spans_are_words_in_every_encoders_tokens(model: FamilyModel):
    """Each token spells its span; each segment of a prompt spells the whole text."""
    text = "a white cat sitting on the beach"
    prompt = model.prompt(text)
    segments = prompt.segments or (len(prompt.embeds),)
    assert sum(segments) == len(prompt.embeds) == len(prompt.spans) == len(prompt.ids)
    start = 0
    for length in segments:
        spans = [span for span in prompt.spans[start : start + length] if span[0] < span[1]]
        assert "".join(text[a:b] for a, b in spans) == text.replace(" ", "")
        assert all(not text[a:b].strip() or text[a:b] == text[a:b].strip() for a, b in spans)
        start += length
    assert len(prompt.positions("cat")) >= len(segments)
    assert prompt.positions("at") == ()


def test_words_that_fit_no_encoder_are_told_and_the_text_is_closed(model: FamilyModel):
    """A prompt of 1,200 words is too long for all; what ends a text for the model stays at its end."""
    text = "a white cat " * 400
    dropped = model.texts.heard(text).dropped
    assert dropped.endswith("cat")
    assert text.strip().endswith(dropped)
    assert model.texts.heard("a white cat").dropped == ""
    assert len(model.prompt(text).embeds) == model.known.tokens


HEARD = (*TEXTS, "a white cat " * 400, "Ünïcode 猫, and  two   blanks\n", "<think>a cat<|im_end|>")


@pytest.mark.parametrize("text", HEARD)
def test_check_hears_what_the_loaded_encoders_hear(model: FamilyModel, text: str):
    """Template, thought and limit included: what a model does not read is known before it loads."""
    reader = prompt_reader(model.info)
    assert reader is not None
    light, full = reader.heard(text), model.texts.heard(text)
    for name in ("spans", "pieces", "dropped", "real"):
        assert getattr(light, name) == getattr(full, name)
    assert not (reader.reads_whole(text) and full.dropped)


def test_pictures_go_to_latents_and_back_as_in_the_pipelines(model: FamilyModel):
    """What the VAE says, scaled as the pipeline scales it; and back to pixels from 0 to 1."""
    side, channels = 8 * model.known.scale, model.known.channels
    pictures = Draws(2).tensor(2, 3, side, side).sigmoid()
    with torch.no_grad():
        latents, its = model.codec.encode(pictures), encoded(model, pictures)
        assert latents.shape == (2, channels, 8, 8)
        assert far(latents, its) <= 1e-6
        assert far(model.codec.decode(latents), decoded(model, latents)) <= 1e-6
        assert far(model.codec.unscaled(model.codec.scaled(raw(model, pictures))), raw(model, pictures)) <= 1e-5


def raw(model: FamilyModel, pictures: torch.Tensor) -> torch.Tensor:
    """The mean that the VAE sees, before any scaling; of videos, with frames."""
    frames = pictures[:, :, None] if model.name == "qwen_image" else pictures
    return model.vae.encode(frames * 2 - 1).latent_dist.mode()


def encoded(model: FamilyModel, pictures: torch.Tensor) -> torch.Tensor:
    """Pictures as the pipelines that edit encode them."""
    its, config, means = pipeline(model), model.vae.config, raw(model, pictures)
    if model.name == "qwen_image":
        mean, spread = (torch.tensor(config[name]).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std"))
        return ((means - mean) / spread)[:, :, 0]
    if model.name == "flux2_klein":
        return its._encode_vae_image(pictures * 2 - 1, None)
    return (means - (config.get("shift_factor") or 0.0)) * config.scaling_factor


def decoded(model: FamilyModel, latents: torch.Tensor) -> torch.Tensor:
    """Latents as the pipelines decode them."""
    its, config = pipeline(model), model.vae.config
    if model.name == "qwen_image":
        mean, spread = (torch.tensor(config[name]).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std"))
        out = model.vae.decode(latents[:, :, None] / (1 / spread) + mean)[0][:, :, 0]
    elif model.name == "flux2_klein":
        norm = model.vae.bn
        spread = (norm.running_var.view(1, -1, 1, 1) + config.batch_norm_eps).sqrt()
        out = model.vae.decode(its._unpatchify_latents(latents * spread + norm.running_mean.view(1, -1, 1, 1)))[0]
    else:
        out = model.vae.decode(latents / config.scaling_factor + (config.get("shift_factor") or 0.0))[0]
    return its.image_processor.postprocess(out, output_type="pt")


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_built_once_has_the_bits_of_what_is_built_again(name: str, folder_of, monkeypatch: pytest.MonkeyPatch):
    """A module is built a second time only where it holds tensors that no file has; UNets and VAEs never are."""
    asked: dict[str, bool] = {}
    decide = loading._keeps_its_own

    def loaded() -> dict[tuple[str, str], torch.Tensor]:
        files = ModelFiles.of_folder(folder_of(name))
        family, parts = families.named(families.pipeline_of(files.configs)), loading.ModelLoading(files)
        family.load(family.describe(files.read), parts)
        return {
            (part, at): each
            for part, module in parts.made.items()
            for at, each in (*module.named_parameters(), *module.named_buffers())
        }

    monkeypatch.setattr(
        loading, "_keeps_its_own", lambda module: asked.setdefault(type(module).__name__, decide(module))
    )
    once = loaded()
    monkeypatch.setattr(loading, "_keeps_its_own", lambda module: True)
    again = loaded()
    assert once.keys() == again.keys()
    assert all(torch.equal(once[key], again[key]) and not once[key].is_meta for key in once)
    assert not any(twice for kind, twice in asked.items() if kind.startswith(("UNet", "Autoencoder")))
