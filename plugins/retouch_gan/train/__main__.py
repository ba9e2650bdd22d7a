"""Train one part: `python -m retouch_gan.train gan|encoder --minutes M --out DIR`; again with `--resume` to go on."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from retouch_gan.train.adversary import AdversarialTraining
from retouch_gan.train.encoder import EncoderPart
from retouch_gan.train.gan import Gan
from retouch_storybook.train.base import SHIPPED
from retouch_storybook.train.loop import Training, train
from retouch_storybook.train.workspace import Workspace

SIDE = 64  # pixels
REPORT_EVERY, KEEP_EVERY = 100, 120.0  # steps, seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Train, write the weights, and say what was measured."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.resume and not options.out.is_dir():
        parser.error(f"nothing to resume: there is no folder '{options.out}'")
    workspace = Workspace(options.out, SHIPPED, SIDE, options.drawings, "cpu", fresh=True)
    if options.part == "encoder" and not (workspace.weights / "generator.safetensors").exists():
        parser.error(f"the encoder is trained for a generator: train the part 'gan' in '{options.out}' first")
    training = AdversarialTraining(Gan(workspace), options.minutes) if options.part == "gan" else None
    training = training or Training(EncoderPart(workspace), options.minutes)
    state = workspace.state(options.part)
    if options.resume and not training.resume(state):
        parser.error(f"nothing to resume: '{options.out}' has no state of '{options.part}'")
    weights = workspace.weights
    return train(training, weights, options.part, state, report_every=REPORT_EVERY, keep_every=KEEP_EVERY)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m retouch_gan.train", description="Train the GAN of the drawn world, or its encoder."
    )
    parser.add_argument("part", choices=("gan", "encoder"))
    parser.add_argument("--minutes", type=float, default=80.0, help="of training, resumed ones included (default: 80)")
    parser.add_argument("--resume", action="store_true", help="go on from the state kept in --out")
    parser.add_argument("--out", type=Path, default=Path("gan"), help="drawings, states and weights")
    parser.add_argument("--drawings", type=int, default=12000, help="to train on (default: 12000)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
