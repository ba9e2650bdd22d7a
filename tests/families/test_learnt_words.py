"""Words that text encoders are taught: what diffusers makes of the same file, in prompts and while they are learnt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from retouch.api import Image, NoiseSource, TrainingPictures, value_and_grad, word_tensors
from retouch.core.tuned.embedding_file import KEYS
from retouch.models.checks import BrokenModel
from retouch.run.checkpoints import RunCheckpoints
from retouch.run.executor import run
from retouch.testing.worlds import Keeping
from retouch_methods.picture.codec import encode
from retouch_methods.tune.denoising import Practice
from retouch_methods.tune.textual_inversion import textual_inversion
from tests.e2e.command import draw, retouch
from tests.families.family_models import FamilyModel, far
from tests.families.pipelines import pipeline

ModelOf = Callable[[str], FamilyModel]
WORD = "<toy>"
TEXT = f"a white {WORD}, on the beach"


def drawn(model: FamilyModel, count: int) -> list[Tensor]:
    """Vectors [count, d] for each encoder."""
    generator = torch.Generator().manual_seed(5)
    widths = [encoder.model.get_input_embeddings().embedding_dim for encoder in model.texts.encoders]
    return [torch.randn(count, width, generator=generator) * 0.1 for width in widths]


@pytest.mark.parametrize("count", [1, 3])
def test_a_prompt_is_what_diffusers_makes_of_the_same_file(model_of: ModelOf, tmp_path: Path, count: int) -> None:
    model, fresh = (FamilyModel("stable_diffusion", model_of("stable_diffusion").folder) for _ in range(2))
    texts = model.texts.knowing(WORD, drawn(model, count))
    save_file(word_tensors(texts), tmp_path / "toy.safetensors")
    pipe = pipeline(fresh)
    pipe.load_textual_inversion(tmp_path, weight_name="toy.safetensors")
    theirs = pipe.encode_prompt(TEXT, "cpu", 1, do_classifier_free_guidance=False)[0][0]
    (ours,) = run(texts.prompt(TEXT))
    assert torch.equal(ours.embeds, theirs)
    (read,) = run(
        model.texts.knowing(WORD, model.machine.words(str(tmp_path / "toy.safetensors"), "")[WORD]).prompt(TEXT)
    )
    assert torch.equal(read.embeds, ours.embeds)
    assert len(ours.positions(WORD)) == count
    assert "beach" in {TEXT[a:b] for a, b in ours.spans} or len(ours.positions("beach"))
    assert run(model.texts.prompt("a white cat"))[0].embeds.equal(run(texts.prompt("a white cat"))[0].embeds)


def test_two_encoders_have_a_vector_each(model_of: ModelOf, tmp_path: Path) -> None:
    """As diffusers is told them for XL, one after the other; what it pools is at another token, and not compared."""
    model, fresh = (FamilyModel("sdxl", model_of("sdxl").folder) for _ in range(2))
    texts = model.texts.knowing(WORD, drawn(model, 2))
    tensors = word_tensors(texts)
    assert tuple(tensors) == KEYS
    save_file(tensors, tmp_path / "toy.safetensors")
    pipe, stored = pipeline(fresh), load_file(tmp_path / "toy.safetensors")
    pipe.load_textual_inversion(stored["clip_l"], token=WORD, text_encoder=pipe.text_encoder, tokenizer=pipe.tokenizer)
    pipe.load_textual_inversion(
        stored["clip_g"], token=WORD, text_encoder=pipe.text_encoder_2, tokenizer=pipe.tokenizer_2
    )
    theirs = pipe.encode_prompt(TEXT, do_classifier_free_guidance=False)[0][0]
    (ours,) = run(texts.prompt(TEXT))
    assert far(ours.embeds, theirs) <= 1e-6
    with pytest.raises(BrokenModel, match="does not say its word"):
        model.machine.words(str(tmp_path / "toy.safetensors"), "")
    assert list(model.machine.words(str(tmp_path / "toy.safetensors"), "it")) == ["it"]


def test_learning_is_a_plain_loop_over_the_table_of_embeddings(model_of: ModelOf) -> None:
    """Against transformers with a table that has grown by a word, and torch's own Adam."""
    model = FamilyModel("stable_diffusion", model_of("stable_diffusion").folder)
    side, lr, steps = 8 * model.known.scale, 5e-3, 3
    picture = Image(torch.rand(3, side, side, generator=torch.Generator().manual_seed(3)))
    schedule, noise = model.schedule(4), NoiseSource(2, "words")
    before = {name: weight.clone() for name, weight in model.encoders[0][0].named_parameters()}
    ports = (
        model.texts, model.machine, model.model, TrainingPictures((picture,)), schedule, model.codec, noise,
        Keeping(), RunCheckpoints(None),
    )  # fmt: skip
    (texts,) = run(
        textual_inversion(*ports, word=WORD, init="cat", templates=("a photo of _",), iterations=steps, lr=lr)
    )
    ((made,),) = texts.learnt.values()
    assert all(torch.equal(weight, before[name]) for name, weight in model.encoders[0][0].named_parameters())

    encoder, tokenizer = FamilyModel("stable_diffusion", model.folder).encoders[0]
    tokenizer.add_tokens([WORD])
    encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    place = tokenizer.convert_tokens_to_ids(WORD)
    table = encoder.get_input_embeddings().weight
    name = next(name for name, weight in encoder.named_parameters() if weight is table)
    (start,) = model.texts.vectors("cat")
    vector = start[:1].clone().requires_grad_()
    adam, practice = torch.optim.Adam([vector], lr), Practice.of(schedule, noise)
    ids = tokenizer(f"a photo of {WORD}", padding="max_length", max_length=77, return_tensors="pt").input_ids
    (x0,) = (each.data for each in run(encode(picture, model.codec)))
    for i in range(steps):
        grown = torch.cat((table.detach()[:place], vector))
        told = torch.func.functional_call(encoder, {name: grown}, (ids,)).last_hidden_state
        level, eps = practice.at(i, x0)
        noisy = (level.alpha * x0 + level.sigma * eps)[None]
        out = model.module(noisy, torch.tensor([level.timestep]), encoder_hidden_states=told).sample[0]
        adam.zero_grad()
        (out - eps).square().mean().backward()
        adam.step()
    torch.testing.assert_close(made, vector.detach(), atol=1e-5, rtol=1e-4)
    assert far(made, start[:1]) > lr


def test_gradients_go_through_a_prompt_to_each_vector(model_of: ModelOf) -> None:
    model = model_of("stable_diffusion")

    async def loss(vectors: Tensor) -> Tensor:
        return (await model.texts.knowing(WORD, [vectors]).prompt(TEXT)).embeds.square().mean()

    (found,) = run(value_and_grad(loss, *drawn(model, 2)))
    assert found.grads[0].abs().min(1).values.max() > 0


def test_a_family_without_a_form_for_words_is_refused_before_it_loads(model_of: ModelOf, tmp_path: Path) -> None:
    recipe = (
        f'model "{model_of("sd3").folder}" | tune textual_inversion word="{WORD}" init="cat" | invert ddim "a"->"b"'
    )
    draw(tmp_path / "cat.png")
    allowed = ("--allow", model_of("sd3").folder)
    told = retouch("check", "-e", recipe, "cat.png", "--caption", "a", *allowed, folder=tmp_path)
    assert "RT466" in told.out + told.err, told
