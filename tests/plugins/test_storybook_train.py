"""The trainer: resumed or not, the same weights; a kill loses nothing that was kept; no held-out drawing is seen."""

import os
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor

from retouch_storybook.train import checkpoint
from retouch_storybook.train.__main__ import main
from retouch_storybook.train.captions import SYNONYMS, draw_caption, token_ids
from retouch_storybook.train.chunks import scenes_of
from retouch_storybook.train.diffusion import LATENTS, draw_timesteps, pixel_scheduler, scheduler, v_loss
from retouch_storybook.train.judge import spoilt
from retouch_storybook.train.loop import Training
from retouch_storybook.train.muon import orthogonal
from retouch_storybook.train.pixel import LEVELS, SIDE
from retouch_storybook.world import Scene
from tests.e2e.warm import Warm
from tests.plugins.tiny_training import STEPS, training


def final_weights(made: Training) -> list[Tensor]:
    made.finish()
    return [p.detach().clone() for p in made.part.network.parameters()]


def equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> list[Tensor]:
    made = training()
    assert [step for step, _, _ in made.run(tmp_path_factory.mktemp("whole"))] == list(range(1, STEPS + 1))
    return final_weights(made)


@pytest.mark.parametrize("stop", [1, 5])
def test_a_resumed_training_equals_an_uninterrupted_one(uninterrupted, tmp_path, stop):
    first = training()
    for _ in first.run(tmp_path, lambda: first.step == stop):
        pass
    assert first.step == stop
    second = training()
    assert second.resume(tmp_path)
    assert [step for step, _, _ in second.run(tmp_path)] == list(range(stop + 1, STEPS + 1))
    assert equal(final_weights(second), uninterrupted)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tiny_training import training
for step, _, _ in training().run(Path(sys.argv[2]), keep_every=0.0):
    print(step, flush=True)
    if step == 4:
        sys.stdin.read()
"""


@pytest.mark.thorough
def test_a_killed_training_resumes_to_the_same_weights(uninterrupted, tmp_path):
    read, write = os.pipe()  # of which it waits for the end
    with Warm(KILLED, Path(__file__).parent, tmp_path, folder=tmp_path, stdin=read) as process:
        assert [next(process.stdout).strip() for _ in range(4)] == ["1", "2", "3", "4"]
        process.kill()
    os.close(read)
    os.close(write)
    second = training()
    assert second.resume(tmp_path)
    assert 3 <= second.step <= 4
    for _ in second.run(tmp_path):
        pass
    assert equal(final_weights(second), uninterrupted)


def test_a_kill_while_a_state_is_written_leaves_the_one_before(tmp_path):
    checkpoint.save(tmp_path, {"weights a": torch.ones(2)}, {"step": 1})
    (tmp_path / "00000002.safetensors").write_bytes(b"half of it")
    (tmp_path / "state.unfinished").write_text("{")
    tensors, numbers = checkpoint.load(tmp_path, "cpu") or ({}, {})
    assert numbers == {"step": 1}
    assert torch.equal(tensors["weights a"], torch.ones(2))
    checkpoint.save(tmp_path, {"weights a": torch.zeros(2)}, {"step": 2})
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    assert len(list(tmp_path.iterdir())) == 2


def test_training_learns(tmp_path):
    made = training()
    made.budget = 200.0
    losses = [loss for _, _, loss in made.run(tmp_path)]
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


def test_no_training_scene_is_held_out_and_all_that_measure_are():
    assert not any(scene.held_out for name in ("00000", "00001") for scene in scenes_of(name))
    assert all(scene.held_out for scene in scenes_of("held_out"))
    assert scenes_of("00000") == scenes_of("00000") != scenes_of("00001")


def test_captions_come_in_every_length_and_fit():
    scene, rng = Scene("rabbit", "orange", "in a meadow", "glasses", "sketch"), Random(0)
    captions = [draw_caption(scene, rng) for _ in range(2000)]
    assert {"", "rabbit", "a rabbit", "an orange rabbit", "bunny", scene.caption()} <= set(captions)
    assert not any(caption.startswith("a orange") for caption in captions)
    assert 0.07 < captions.count("") / 2000 < 0.13


def test_synonyms_are_words_the_tokenizer_can_spell(tokenizer):
    words = " ".join(SYNONYMS.values())
    ids = token_ids(tokenizer, [words])
    assert ids.shape == (1, tokenizer.model_max_length)
    assert tokenizer.decode(ids[0], skip_special_tokens=True) == words


@pytest.fixture(scope="module")
def tokenizer():
    from retouch_storybook.train import base

    return base.tokenizer(base.SHIPPED)


def test_timesteps_of_a_batch_cover_the_noise_levels():
    timesteps = draw_timesteps(64, scheduler().alphas_cumprod, torch.Generator().manual_seed(0))
    assert torch.equal(timesteps, timesteps.sort().values)
    assert timesteps[0] < 60
    assert timesteps[-1] > 900
    assert 250 < timesteps.float().median() < 550


@pytest.mark.parametrize(("levels", "schedule"), [(LATENTS, scheduler), (LEVELS, pixel_scheduler)])
def test_timesteps_are_drawn_around_the_levels_asked_for(levels, schedule):
    kept, center, spread = schedule().alphas_cumprod, levels.center, levels.spread
    ratio = ((1 - kept) / kept).sqrt().log()
    timesteps = draw_timesteps(4000, kept, torch.Generator().manual_seed(0), levels)
    low, middle, high = ratio[timesteps].quantile(torch.tensor([0.1587, 0.5, 0.8413])).tolist()
    assert (low, middle, high) == pytest.approx((center - spread, center, center + spread), abs=0.02)


def test_the_last_noise_of_the_pixel_space_model_hides_the_mean_of_a_picture():
    schedule = pixel_scheduler()
    schedule.set_timesteps(50)
    kept = schedule.alphas_cumprod[schedule.timesteps[0]]
    mean_of_noise = (1 - kept).sqrt() / SIDE  # standard deviation, over SIDE x SIDE pixels
    assert kept.sqrt() < mean_of_noise / 2


def test_the_loss_of_a_denoiser_that_knows_v_is_zero():
    levels, clean = scheduler().alphas_cumprod, torch.rand(6, 3, 8, 8)

    def knows(noisy: Tensor, timesteps: Tensor) -> Tensor:
        alpha, sigma = (x[timesteps, None, None, None].sqrt() for x in (levels, 1 - levels))
        return (alpha * noisy - clean) / sigma  # from x0 = alpha x - sigma v

    assert v_loss(knows, clean, levels, torch.Generator().manual_seed(0)) < 1e-6


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (12, 12)])
def test_a_step_of_muon_is_nearly_orthogonal(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert values.min() > 0.3
    assert values.max() < 1.3
    kept = (orthogonal(matrix) * matrix).sum()
    assert kept > 0.7 * torch.linalg.svdvals(matrix).sum()


def test_spoiling_keeps_a_picture_what_it_is():
    pictures = torch.rand(4, 3, 16, 16).round() * 0.5 + 0.25
    spoiled = spoilt(pictures, torch.Generator().manual_seed(0))
    assert spoiled.shape == pictures.shape
    assert torch.equal(spoiled, spoilt(pictures, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(spoiled.mean((1, 2, 3)), pictures.mean((1, 2, 3)), rtol=0, atol=0.1)


@pytest.mark.parametrize("options", [["judge", "--size", "32"], ["painter"], ["judge", "--resume", "--out", "nowhere"]])
def test_a_wrong_command_is_refused_in_one_line(options, capsys):
    with pytest.raises(SystemExit) as refused:
        main(options)
    assert refused.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("python -m retouch_storybook.train: error: ")
