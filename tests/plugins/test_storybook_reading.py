"""The judge and the image-text model, as they ship, on drawings that no training saw."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from retouch_storybook.image_text import StorybookImageText, load_image_text
from retouch_storybook.judge import Judge, JudgeNetwork, Reading, load_judge
from retouch_storybook.train.base import SHIPPED
from retouch_storybook.train.judge import accuracy
from retouch_storybook.train.sampling import Painter
from retouch_storybook.world import Scene, render

SCENES = [
    Scene("cat", "orange", "in a meadow", seed=4),
    Scene("dog", "brown", "on a beach", "hat", seed=11),
    Scene("bear", "green", "in the snow", "scarf", seed=12),
    Scene("rabbit", "pink", "in a room", "glasses", seed=7),
    Scene("car", "yellow", "in a desert", style="mosaic", seed=13),
    Scene("house", "blue", "at night", seed=14),
    Scene("fish", "red", "on a beach", seed=15),
    Scene("bird", "white", "in a meadow", style="watercolor", seed=16),
    Scene("tree", "green", "in a room", style="sketch", seed=17),
    Scene("ball", "gray", "in the snow", seed=18),
]


def drawn(scenes: list[Scene], size: int = 64) -> Tensor:
    pixels = [torch.from_numpy(np.array(render(scene, size))) for scene in scenes]
    return torch.stack(pixels).permute(0, 3, 1, 2) / 255


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_judge()


@pytest.fixture(scope="module")
def image_text() -> StorybookImageText:
    return load_image_text()


def test_the_judge_reads_drawings_right(judge):
    shares = accuracy(judge, drawn(SCENES), SCENES)
    assert all(share >= 0.9 for share in shares.values()), shares
    assert shares["color, sketches apart"] == shares["setting"] == shares["accessory"] == 1


def test_the_judge_reads_large_drawings_as_it_reads_small_ones(judge):
    scenes = SCENES[:4]
    assert judge(drawn(scenes, 128)) == judge(drawn(scenes, 64))


def test_a_reading_speaks_the_words_of_a_scene(judge):
    (reading,) = judge(drawn(SCENES[:1]))
    assert reading == Reading("cat", "orange", "in a meadow", None, None)
    assert {field.name for field in fields(Reading)} < {field.name for field in fields(Scene)}
    assert judge(torch.zeros(0, 3, 64, 64)) == []


def test_the_judge_is_sure_of_drawings_and_not_of_what_lies_between_two(judge):
    pictures = drawn(SCENES[:6])
    between = (pictures + pictures.roll(1, dims=0)) / 2
    for name in ("subject", "setting"):
        assert (judge.certainty(pictures)[name] > 0.9).float().mean() > 0.8
        assert judge.certainty(between)[name].mean() < judge.certainty(pictures)[name].mean() - 0.1


def test_an_untrained_judge_reads_almost_nothing_right():
    torch.manual_seed(0)
    shares = accuracy(Judge(JudgeNetwork().eval()), drawn(SCENES), SCENES)
    assert shares["subject"] < 0.5


def test_a_picture_is_nearest_to_its_own_caption(image_text):
    plain = [scene for scene in SCENES if scene.style is None]
    cosines = image_text.image_features(drawn(plain)) @ image_text.text_features([s.caption() for s in plain]).T
    assert torch.equal(cosines.argmax(dim=1), torch.arange(len(plain)))
    own = image_text.similarity(drawn(plain), [scene.caption() for scene in plain])
    assert torch.allclose(own, cosines.diagonal(), atol=1e-5)
    assert own.max() <= 1


def test_similarity_tells_a_picture_how_to_agree_with_a_caption(image_text):
    picture = drawn(SCENES[:1]).requires_grad_()
    before = image_text.similarity(picture, ["an orange dog in a meadow"])
    before.sum().backward()
    assert picture.grad is not None
    step = picture + 0.02 * picture.grad / picture.grad.abs().max()
    assert image_text.similarity(step, ["an orange dog in a meadow"]) > before


def test_as_many_captions_as_pictures(image_text):
    with pytest.raises(ValueError, match="2 pictures and 1 captions"):
        image_text.similarity(drawn(SCENES[:2]), ["a cat"])


def test_keys_are_those_of_the_deepest_attention(image_text):
    pictures, seen = drawn(SCENES[:2], 96), []
    layer = image_text.model.vision_model.encoder.layers[-1].self_attn.k_proj
    hook = layer.register_forward_hook(lambda module, given, keys: seen.append(keys))
    image_text.image_features(pictures)
    hook.remove()
    keys = image_text.keys(pictures)
    config = image_text.model.config.vision_config
    assert keys.shape == (2, (config.image_size // config.patch_size) ** 2 + 1, config.hidden_size)
    assert torch.allclose(keys, seen[0], atol=1e-5)


def test_the_denoiser_paints_what_a_caption_says(judge):
    captions = ["a blue house at night", "a red ball in a desert"]
    painted = Painter.of(SHIPPED, "cpu").paint(captions)
    assert painted.shape == (2, 3, 64, 64)
    read = [(reading.subject, reading.color, reading.setting) for reading in judge(painted)]
    assert read == [("house", "blue", "at night"), ("ball", "red", "in a desert")]


def test_the_image_text_folder_is_one_of_transformers():
    folder = SHIPPED / "image_text"
    model, info = CLIPModel.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    assert len(tokenizer) == model.config.text_config.vocab_size
    assert (
        tokenizer("an orange cat").input_ids
        == CLIPTokenizer.from_pretrained(SHIPPED / "tokenizer")("an orange cat").input_ids
    )
