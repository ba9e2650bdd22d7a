"""A whole model in one command: parts share the minutes, drawings come in meanwhile, a stop loses nothing."""

import json
import os
import signal
import tarfile
from random import Random

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from retouch_storybook.train import base
from retouch_storybook.train.adam import BatchedAdamW
from retouch_storybook.train.captions import draw_caption, token_ids
from retouch_storybook.train.chunks import render_chunk
from retouch_storybook.train.loop import Training
from retouch_storybook.train.mixed import MixedTraining
from retouch_storybook.train.model import INTERRUPTED, SHARES, main
from retouch_storybook.train.model_parts import PoolLatent, PoolVae, Sizes, Words
from retouch_storybook.train.muon import BatchedMuon, Muon
from retouch_storybook.train.packing import LIMIT, pack
from retouch_storybook.train.pool import Artists, Pool, pick
from retouch_storybook.train.sampling import Painter
from retouch_storybook.world import sample
from tests.e2e.warm import PATIENCE, Warm

TINY = Sizes((8, 16, 16), (32, 32, 32), 32, 1, 2, 2)
FEW = ["--size", "64", "--drawings", "100", "--begin", "100", "--held-out", "2", "--samples", "2", "--edits", "0"]

STOPPED = """
import os, signal, sys
from retouch_storybook.train import model
from retouch_storybook.train.model_parts import PoolVae, Sizes
run = model.MixedTraining.run
def told(self, *given, **named):
    for step in run(self, *given, **named):
        yield step
        if self.step == 3 and isinstance(self.part, PoolVae):
            self.spent = self.budget
        elif self.step == 3:
            self.spent = 0.0  # so that there is time for more, however slow the machine
            os.kill(os.getpid(), signal.SIGTERM)
model.MixedTraining.run = told
sys.exit(model.main(sys.argv[1:], Sizes((8, 16, 16), (32, 32, 32), 32, 1, 2, 2)))
"""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Stopped after three steps of the denoiser."""
    folder = tmp_path_factory.mktemp("model")
    where = ["--out", str(folder / "out"), "--work", str(folder / "work")]
    with Warm(STOPPED, *FEW, *where, "--minutes", "30", "--export-on-stop", folder=folder) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == INTERRUPTED, said
    assert "Traceback" not in said
    numbers = json.loads((folder / "work" / "state" / "latent_64" / "state.json").read_text())
    assert numbers["step"] == 3
    (folder / "out").rename(folder / "at the stop")
    return folder


@pytest.fixture(scope="module")
def trained(stopped):
    """Stopped, and gone on with by the same command."""
    where = ["--out", str(stopped / "out"), "--work", str(stopped / "work")]
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert main([*FEW, *where, "--minutes", "0.03", "--bfloat16"], TINY) == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return stopped


@pytest.mark.thorough
def test_what_stands_at_a_stop_is_a_model_without_figures(stopped, tmp_path):
    assert not list((stopped / "at the stop").glob("*.json"))
    unpack(stopped / "at the stop", tmp_path)
    painter = Painter.of(tmp_path / "storybook64", "cpu")
    assert painter.paint(["a cat"]).isfinite().all()


@pytest.mark.thorough
def test_figures_and_archives_land_flat_and_small(trained):
    files = list((trained / "out").iterdir())
    assert len(files) <= 8
    assert all(path.is_file() and path.stat().st_size < 16 * 2**20 for path in files)
    figures = json.loads((trained / "out" / "figures.json").read_text())
    assert figures["vae"]["steps"] == 3
    assert figures["latent"]["steps"] > 3
    assert figures["shipped, VAE"]["round trip, dB"] > 28
    assert {"held-out: subject", "held-out: style"} <= set(figures["storybook64, text to image"])
    assert {"round_trips.png", "text_to_image.png"} <= {path.name for path in files}


class Asking(TorchDispatchMode):
    """Notes what a CUDA graph cannot hold: values read back by the host, or brought from it."""

    def __init__(self):
        super().__init__()
        self.asked = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._opname in {"_local_scalar_dense", "nonzero", "lift_fresh", "_pin_memory", "masked_select", "unique"}:
            self.asked.add(func._opname)
        return func(*args, **(kwargs or {}))


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["vae", "latent"])
def test_a_step_asks_the_device_for_no_value_and_brings_it_none(stopped, kind):
    pool = Pool(stopped / "work" / "drawings", 64, 100, "cpu")
    pool.take_in()
    part = PoolVae(pool, TINY) if kind == "vae" else PoolLatent(pool, TINY, stopped / "work" / "weights")
    made = MixedTraining(part, 1.0, torch.bfloat16)
    made.advance()
    places = [tensor.data_ptr() for tensor in (*made.moved, *made.weights.values(), *made.average.values())]
    with Asking() as noted:
        made.captured.function(made.captured.draws)
    assert not noted.asked
    assert places == [t.data_ptr() for t in (*made.moved, *made.weights.values(), *made.average.values())]


@pytest.mark.thorough
def test_what_is_unpacked_is_a_model_that_loads(trained, tmp_path):
    from retouch.models import catalog

    unpack(trained / "out", tmp_path)
    info = catalog.find(str(tmp_path / "storybook64"))
    assert (info.trained_size, info.channels, info.scale) == (64, 4, 4)
    unet = base.denoiser(tmp_path / "storybook64")
    assert all(torch.isfinite(p).all() for p in unet.parameters())


def unpack(packed, folder):
    for archive in packed.glob("*.tar"):
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")


def test_the_shares_of_the_parts_make_up_the_minutes():
    assert sum(SHARES.values()) == pytest.approx(1)


@pytest.mark.thorough
def test_a_pool_grows_by_the_chunks_that_have_come(tmp_path):
    pool = Pool(tmp_path, 16, 200, "cpu")
    pool.folder.mkdir()
    pool.take_in()
    assert len(pool) == 0
    render_chunk(pool.folder, 16, "pool_00001", 100)
    pool.take_in()
    pool.take_in()
    assert len(pool) == 100
    assert not any(scene.held_out for scene in pool.scenes)
    assert pool.awaited == ["pool_00000"]
    assert pool.filled == 100


def test_picks_are_all_that_are_there_and_no_other():
    draws = torch.Generator().manual_seed(0)
    assert set(pick(torch.tensor(7.0), 500, draws).tolist()) == set(range(7))
    assert pick(torch.tensor(40000.0), 100_000, draws).max() < 40000


def test_waiting_for_drawings_nobody_makes_ends(tmp_path):
    pool = Pool(tmp_path, 16, 100, "cpu")
    pool.folder.mkdir()
    with pytest.raises(RuntimeError, match="ended with 0 drawings"):
        pool.wait_for(100, Artists([], 1))


def test_artists_end_with_their_owner(tmp_path):
    pool = Pool(tmp_path, 16, 100_000, "cpu")  # more than are drawn in any time that a machine may take
    artists = Artists(pool.jobs(), 1)
    assert artists.at_work()
    artists.dismiss()
    assert not artists.at_work()
    for process in artists.processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)


def test_ids_put_together_from_words_are_the_tokenizers():
    tokenizer, rng = base.tokenizer(base.SHIPPED), Random(3)
    captions = [draw_caption(sample(rng), rng) for _ in range(300)]
    words = Words(tokenizer)
    assert torch.equal(torch.tensor([words.ids(caption) for caption in captions]), token_ids(tokenizer, captions))


def test_batched_muon_steps_as_muon_does():
    torch.manual_seed(0)
    shapes = [(32, 48), (48, 32), (32, 24, 3, 3), (40, 40)]
    first = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    second = [nn.Parameter(p.detach().clone()) for p in first]
    optimizers = Muon(first, 0.02), BatchedMuon(second, 0.02)
    for _ in range(3):
        for a, b in zip(first, second, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("on_device", [False, True])
def test_batched_adamw_steps_as_adamw_does(on_device):
    torch.manual_seed(0)
    first = [nn.Parameter(torch.randn(shape)) for shape in [(3, 4), (5,)]]
    second = [nn.Parameter(p.detach().clone()) for p in first]
    reference = torch.optim.AdamW(first, 0.1, betas=(0.9, 0.99), weight_decay=0.1)
    batched = BatchedAdamW(second, 0.1, betas=(0.9, 0.99), weight_decay=0.1)
    for step in range(1, 5):
        rate = 0.1 / step
        (theirs,), (ours,) = reference.param_groups, batched.param_groups
        theirs["lr"] = rate
        ours["lr"], ours["step"] = (torch.tensor(rate), torch.tensor(float(step))) if on_device else (rate, step)
        for a, b in zip(first, second, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        reference.step()
        batched.step()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(first, second, strict=True))


def test_steps_whose_numbers_are_tensors_give_the_weights_of_plain_ones():
    """All that a CUDA graph would replay, beside the loop that sets its numbers on the host."""
    from tests.plugins.tiny_training import Line

    class Whole(Line):
        def loss(self, draws: torch.Generator) -> torch.Tensor:
            x = torch.linspace(-1, 1, 32).view(16, 2)
            return (self.network(x)[:, 0] - x.prod(dim=1)).square().mean()

    plain, mixed = Training(Whole(), 1.0), MixedTraining(Whole(), 1.0, torch.float32)
    for spent in range(0, 60, 2):
        plain.spent = mixed.spent = float(spent)
        losses = plain.advance(), mixed.advance()
        assert torch.allclose(*losses, rtol=1e-4)
    for kept in (lambda made: made.weights, lambda made: made.average):
        pairs = zip(kept(plain).values(), kept(mixed).values(), strict=True)
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)


def test_the_smoothed_loss_follows_the_losses():
    from tests.plugins.tiny_training import Line

    made = MixedTraining(Line(), 1.0, torch.float32)
    losses = [made.advance().item() for _ in range(10)]
    assert made.smoothed.item() == pytest.approx(sum(losses) / 10, rel=1e-4)


def test_a_network_in_bfloat16_learns_with_weights_in_float32(tmp_path):
    from tests.plugins.tiny_training import Line

    class Half(Line):
        def loss(self, draws: torch.Generator) -> torch.Tensor:
            x = torch.randn(16, 2, generator=draws)
            return (self.network(x.bfloat16())[:, 0].float() - x.prod(dim=1)).square().mean()

    made = MixedTraining(Half(), 1.0, torch.bfloat16)
    losses = [made.advance() for _ in range(200)]
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])
    made.save(tmp_path)
    again = MixedTraining(Half(), 1.0, torch.bfloat16)
    assert again.resume(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(made.moved, again.moved, strict=True))
    made.finish()
    assert all(p.dtype == torch.float32 for p in made.part.network.parameters())


def test_a_file_that_fits_no_archive_is_refused(tmp_path):
    (tmp_path / "model").mkdir()
    for i in range(3):
        (tmp_path / "model" / f"{i}.bin").write_bytes(bytes(60_000))
    archives = pack(tmp_path / "model", tmp_path / "out", "model", limit=150_000)
    assert [path.name for path in archives] == ["model.0.tar", "model.1.tar"]
    assert all(path.stat().st_size <= 150_000 for path in archives)
    with pytest.raises(ValueError, match="more than an archive"):
        pack(tmp_path / "model", tmp_path / "out", "model", limit=50_000)
    assert LIMIT < 16 * 2**20
