"""Train a whole second model in one go: `python -m retouch_storybook.train.model --size 128 --minutes 4 --out DIR`.

All cores draw while the network learns.  Again with the same --work it goes on where it stopped.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from retouch_storybook.train.chunks import HELD_OUT
from retouch_storybook.train.mixed import MixedTraining
from retouch_storybook.train.model_figures import measure
from retouch_storybook.train.model_parts import PoolLatent, PoolVae, Sizes, write_card
from retouch_storybook.train.packing import pack
from retouch_storybook.train.pool import Artists, Pool

SHARES = {"vae": 0.27, "latent": 0.73}  # of the minutes
KEEP_EVERY = 45.0  # seconds
REPORT_EVERY = 200  # steps
TAKE_IN_EVERY = 2.0  # seconds
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None, sizes: Sizes | None = None) -> int:
    """Draw, train, export, pack and measure."""
    options = _parser().parse_args(argv)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if sizes is None:  # a CPU takes the same networks in small batches
        sizes = Sizes() if device == "cuda" else Sizes(vae_batch=4, unet_batch=8)
    torch.set_float32_matmul_precision("high")
    drawings = options.work / "drawings"
    pool = Pool(drawings, options.size, options.drawings, device)
    held_out = [(drawings / str(side), side, "held_out", options.held_out) for side in sorted({64, options.size})]
    workers = max(1, (os.cpu_count() or 2) * 3 // 4)
    first = pool.jobs()
    artists = Artists([*first[: 2 * workers], *held_out, *first[2 * workers :]], workers)
    # Collect signals that ask to stop; they are heard between two steps
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hear)
    try:
        pool.wait_for(min(options.drawings, options.begin), artists)
        for name in SHARES:
            if not _trained(name, options, pool, sizes, device, lambda: bool(heard)):
                print(f"stopped in '{name}'; the same command goes on", flush=True)
                if options.export_on_stop and (options.work / "weights").is_dir():
                    _pack(options, {})
                return INTERRUPTED
        return _finish(options, device, artists)
    finally:
        artists.dismiss()


def _trained(name: str, options: Any, pool: Pool, sizes: Sizes, device: str, stopped: Callable[[], bool]) -> bool:
    """Train a part, unless it has been, and write its weights; False if it was stopped."""
    weights, done = options.work / "weights", options.work / f"{name}.done.json"
    if done.exists():
        return True
    part = PoolVae(pool, sizes) if name == "vae" else PoolLatent(pool, sizes, weights)
    dtype = torch.bfloat16 if device == "cuda" or options.bfloat16 else torch.float32
    training = MixedTraining(part, SHARES[name] * options.minutes, dtype)
    state = options.work / "state" / f"{name}_{options.size}"
    training.resume(state)
    taken_in = training.spent
    for step, spent, _ in training.run(state, stopped, keep_every=KEEP_EVERY):
        if step % REPORT_EVERY == 0:
            loss = training.smoothed.item()
            print(f"{name}: step {step}, {spent:.0f} s, loss {loss:.4f}, {len(pool)} drawings", flush=True)
        if spent - taken_in > TAKE_IN_EVERY:
            part.take_in()
            taken_in = spent
    whole = training.spent >= training.budget
    if not whole and not (options.export_on_stop and training.step):
        return False
    training.finish()
    part.export(weights)
    if whole:
        done.write_text(json.dumps({"steps": training.step, "batch": part.batch, "drawings": len(pool)}))
    return whole


def _finish(options: Any, device: str, artists: Artists) -> int:
    """Pack first, then measure: what is cut off then is not lost."""
    weights = options.work / "weights"
    _pack(options, {})
    figures = {part: json.loads((options.work / f"{part}.done.json").read_text()) for part in SHARES}

    def keep(more: dict[str, Any]) -> None:
        figures.update(more)
        (options.out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")

    keep({})
    measured = measure(options, weights, device, artists, keep)
    _pack(options, measured)
    print(json.dumps(figures, indent=2), flush=True)
    return 0


def _pack(options: Any, measured: dict[str, Any]) -> None:
    weights, name = options.work / "weights", f"storybook{options.size}"
    write_card(weights, name, options.size, measured)
    pack(weights, options.out, name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m retouch_storybook.train.model", description=__doc__)
    parser.add_argument("--size", type=int, choices=(64, 128), default=128, help="side of the drawings in pixels")
    parser.add_argument("--minutes", type=float, default=4.0, help="of training; 0.27 of them for the VAE (default: 4)")
    parser.add_argument("--out", type=Path, required=True, help="archives of the model, figures and sheets")
    parser.add_argument("--work", type=Path, default=Path("build/model"), help="drawings and states")
    parser.add_argument("--drawings", type=int, default=40000, help="to draw at most (default: 40000)")
    parser.add_argument("--begin", type=int, default=500, help="drawings to begin with (default: 500)")
    parser.add_argument("--held-out", type=int, default=HELD_OUT, help="drawings to measure on (default: 300)")
    parser.add_argument("--samples", type=int, default=100, help="pictures from text for each figure (default: 100)")
    parser.add_argument("--edits", type=int, default=6, help="edits for each figure; 0 makes none (default: 6)")
    parser.add_argument(
        "--export-on-stop", action="store_true", help="at Ctrl-C or SIGTERM pack what stands, unmeasured"
    )
    parser.add_argument("--bfloat16", action="store_true", help="train in bfloat16 on a CPU too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
