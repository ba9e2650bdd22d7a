"""`retouch bench speed`: how fast, beside what this device could do at most."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SECTIONS = ("denoiser", "host", "codec", "edits", "families", "compiled")  # in the order in which they are measured
SHARES = {"denoiser": 0.33, "host": 0.1, "codec": 0.1, "edits": 0.6, "families": 0.7, "compiled": 1.0}  # at most
DTYPES = ("bfloat16", "float16", "float32")
SECONDS, TOY_SECONDS = 110.0, 50.0
OUT = Path("out/bench-speed")


def main(argv: Sequence[str]) -> int:
    """Measure, section by section; print the tables last."""
    args = _parser().parse_args(argv)
    from contextlib import nullcontext
    from tempfile import TemporaryDirectory

    import torch

    from retouch.api.commands import WrongCommand
    from retouch_bench.speed.budget import Budget
    from retouch_bench.speed.limits import ceilings, floors
    from retouch_bench.speed.report import SpeedReport
    from retouch_bench.speed.setting import Setting
    from retouch_bench.speed.shapes import SHAPES

    device = _device(args.device)
    toy = args.toy or device.type != "cuda"
    dtype = getattr(torch, args.dtype or ("float32" if device.type != "cuda" else "bfloat16"))
    seconds = args.seconds or (TOY_SECONDS if toy else SECONDS)
    shape = SHAPES["toy" if toy else args.shape]
    try:
        found = SpeedReport(args.out, _about(device, dtype, shape.name, seconds), _say)
    except OSError as why:
        raise WrongCommand(f"'{args.out}' cannot be written: {why.strerror}") from None
    # Streams, graphs and marks of time are the current GPU's, wherever tensors lie.
    current = torch.cuda.device(device) if device.type == "cuda" else nullcontext()
    with current, TemporaryDirectory(prefix="retouch-speed-", ignore_cleanup_errors=True) as scratch:
        setting = Setting(device, dtype, shape, toy, Budget(seconds), found, Path(scratch))
        ceilings(setting)
        floors(setting)
        for name in [each for each in SECTIONS if not args.only or each in args.only]:
            _section(setting, name, 1.0 if args.only == [name] else SHARES[name])
    print(json.dumps(found.data) if args.json else found.markdown, flush=True)
    return 0


def _section(setting: Any, name: str, share: float) -> None:
    """Measure one section; if it fails as a whole, a row says why and the next goes on."""
    from retouch_bench.speed import coding, denoising, editing, hosting, published
    from retouch_bench.speed.report import release

    run = {
        "denoiser": denoising.denoiser,
        "host": hosting.host,
        "codec": coding.codec,
        "edits": editing.edits,
        "families": published.families,
        "compiled": denoising.compiled,
    }[name]
    failed: list[Exception] = []
    try:
        run(setting, setting.budget.part(share))
    except Exception as why:  # the other sections are measured all the same
        failed.append(why)
    for why in failed:
        setting.report.add(name, {"what": "the rest of this section", "failed": f"{type(why).__name__}: {why}"})
    failed.clear()
    release()


def _device(name: str | None) -> Any:
    import torch

    from retouch.api.commands import WrongCommand

    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        raise WrongCommand(f"'{name}' is no device; use cuda or cpu") from None
    if device.type not in ("cuda", "cpu"):
        raise WrongCommand(f"speed is measured on cuda and cpu, and not on '{name}'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise WrongCommand(f"this machine has no '{name}'")
    return device


def _about(device: Any, dtype: Any, shape: str, seconds: float) -> dict[str, Any]:
    from datetime import UTC, datetime
    from importlib.metadata import version
    from platform import machine, python_version

    import torch

    card = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{machine()} CPU"
    return {
        "device": card,
        "threads": torch.get_num_threads(),
        "shape": shape,
        "dtype": str(dtype).removeprefix("torch."),
        "python": python_version(),
        "torch": torch.__version__,
        "diffusers": version("diffusers"),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds given": seconds,
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="retouch bench speed",
        description="Measure the engine on a network of a published one's shape, with random weights; nothing is "
        "downloaded. Each figure is said, and kept in the folder of results, as soon as it is there.",
    )
    parser.add_argument("--device", metavar="D", help="cuda or cpu; the fastest by default")
    parser.add_argument("--dtype", choices=DTYPES, help="bfloat16 by default, float32 on a CPU")
    parser.add_argument("--seconds", type=_seconds, metavar="N", help=f"for everything; about {SECONDS:.0f} by default")
    parser.add_argument("--toy", action="store_true", help="tiny networks, which rehearse every line; always on a CPU")
    parser.add_argument("--shape", choices=("sd15",), default="sd15", help="the network's; sd15 by default")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=SECTIONS,
        metavar="SECTION",
        help=f"these alone, after ceilings and floors: {', '.join(SECTIONS)}",
    )
    parser.add_argument("--json", action="store_true", help="answer as JSON, for programs")
    parser.add_argument("-o", dest="out", type=Path, default=OUT, metavar="DIR", help=str(OUT))
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds") from None
    if not (math.isfinite(seconds) and seconds > 0):
        raise argparse.ArgumentTypeError(f"{text} is not more than 0 seconds")
    return seconds
