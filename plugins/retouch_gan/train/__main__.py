"""Train one part: `python -m retouch_gan.train gan|encoder --minutes M --out DIR`; again with `--resume` to go on."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from retouch_gan.train.adversary import AdversarialTraining
from retouch_gan.train.encoder import EncoderPart
from retouch_gan.train.gan import Gan
from retouch_storybook.train.base import SHIPPED
from retouch_storybook.train.loop import Training
from retouch_storybook.train.workspace import Workspace

SIDE = 64  # pixels
INTERRUPTED = 130
REPORT_EVERY = 100  # steps


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
    part: Any = training.part
    state = workspace.state(options.part)
    if options.resume and not training.resume(state):
        parser.error(f"nothing to resume: '{options.out}' has no state of '{options.part}'")
    if _interrupted(training, state):
        print(f"stopped at step {training.step}; go on with --resume")
        return INTERRUPTED
    training.finish()
    part.export()
    figures = {"steps": training.step, **part.measure()}
    (workspace.weights / f"{options.part}.figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 0


def _interrupted(training: Training, state: Path) -> bool:
    """Train to the end of the budget, or to Ctrl-C, which is heard between two steps."""
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGINT, hear)
    mean = None
    for step, spent, loss in training.run(state, lambda: bool(heard), keep_every=120):
        mean = loss if mean is None else 0.98 * mean + 0.02 * loss
        if step % REPORT_EVERY == 0:
            print(f"step {step}, {spent / 60:.1f} min, loss {mean:.4f}", flush=True)
    signal.signal(signal.SIGINT, before)
    return bool(heard)


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
