"""Train one part: `python -m retouch_storybook.train PART --minutes M --out DIR`; again with `--resume` to go on."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from retouch_storybook.train.base import SHIPPED
from retouch_storybook.train.loop import Training, train
from retouch_storybook.train.workspace import Workspace

PARTS = ("vae", "decoder", "latent", "image_text", "pixel", "judge")
REPORT_EVERY, KEEP_EVERY = 50, 240.0  # steps, seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Train, write the weights, and say what was measured on held-out drawings."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.resume and not options.out.is_dir():
        parser.error(f"nothing to resume: there is no folder '{options.out}'")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    workspace = Workspace(options.out, options.base, options.size, options.drawings, device, options.fresh)
    try:
        part = _part(options.part, workspace)
    except ValueError as why:
        parser.error(str(why))
    training = Training(part, options.minutes)
    state = workspace.state(options.part)
    if options.resume and not training.resume(state):
        parser.error(f"nothing to resume: '{options.out}' has no state of '{options.part}' at {options.size} px")
    weights = workspace.weights
    return train(training, weights, options.part, state, report_every=REPORT_EVERY, keep_every=KEEP_EVERY)


def _part(name: str, workspace: Workspace) -> Any:
    """Make a part; each loads what only it needs."""
    match name:
        case "vae":
            from retouch_storybook.train.vae import Vae as Part
        case "decoder":
            from retouch_storybook.train.vae import Decoder as Part
        case "latent":
            from retouch_storybook.train.latent import Latent as Part
        case "image_text":
            from retouch_storybook.train.image_text import ImageTextPart as Part
        case "pixel":
            from retouch_storybook.train.pixel import Pixel as Part
        case _:
            from retouch_storybook.train.judge import JudgePart as Part
    return Part(workspace)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m retouch_storybook.train",
        description="Train one part of the embedded model, on a GPU where there is one.",
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--size", type=int, choices=(64, 128), default=64, help="side of the drawings in pixels")
    parser.add_argument("--minutes", type=float, default=30.0, help="of training, resumed ones included (default: 30)")
    parser.add_argument("--resume", action="store_true", help="go on from the state kept in --out")
    parser.add_argument("--out", type=Path, default=Path("storybook"), help="drawings, states and weights")
    parser.add_argument("--base", type=Path, default=SHIPPED, help="weights to begin with (default: the shipped ones)")
    parser.add_argument("--fresh", action="store_true", help="begin the part with random weights")
    parser.add_argument("--drawings", type=int, default=6000, help="to train on (default: 6000)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
